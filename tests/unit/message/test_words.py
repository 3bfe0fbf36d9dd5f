from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.words import SearchTerm, mail_words, search_terms, thread_term, words

#: Letters that fold, fall apart or are left out, marks of all kinds, and what parts words.
_TEXT = st.text(
    st.sampled_from("aAeuäÜßẞ\u017fİ\u0131øæœﬁ½Ⅷ²\u0308\u0301\u00ad\u200b\u0345ΣςЙ東한\u1100\u1161 -_.'\"„“*\0\ud800\n")
    | st.characters()
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("Grüße an José: R-2311", ["grusse", "an", "jose", "r", "2311"]),
        ("Rech\u00adnung\u200bs_nr", ["rechnungs", "nr"]),
        ("Łódź Ærø İstanbul ﬁn", ["lodz", "aero", "istanbul", "fin"]),
        ("u\u0308ber", ["uber"]),
        ("a" * 70, ["a" * 64]),
    ],
)
def test_words_of_a_text(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(_TEXT)
def test_words_are_letters_and_digits_only_and_are_their_own_words(text: str) -> None:
    found = words(text)
    assert all(word.isalnum() and len(word) <= 64 for word in found)
    assert words(" ".join(found)) == found


@given(_TEXT)
def test_what_is_typed_as_it_stands_in_the_text_is_found_in_it(text: str) -> None:
    terms = search_terms(text)
    assert (terms is None) == (not text.strip())
    typed = [word for term in terms or () for word in term.ways[0]]
    assert typed == words(text)[: len(typed)]
    assert len(typed) == min(len(words(text)), 32)
    assert all(1 <= len(term.ways) <= 8 and all(term.ways) for term in terms or ())


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        (" ", None),
        ("???", ()),
        ("one two", (SearchTerm((("one",),)), SearchTerm((("two",),), prefix=True))),
        ("one* two ", (SearchTerm((("one",),), prefix=True), SearchTerm((("two",),), prefix=True))),
        ('"one two"', (SearchTerm((("one", "two"),)),)),
        ("„one two“ r-2", (SearchTerm((("one", "two"),)), SearchTerm((("r", "2"),), prefix=True))),
        ('one "two thr', (SearchTerm((("one",),)), SearchTerm((("two", "thr"),)))),
        ("müller", (SearchTerm((("muller",), ("mueller",)), prefix=True),)),
        ("Mueller", (SearchTerm((("mueller",), ("muller",)), prefix=True),)),
        ("baeuerle", (SearchTerm((("baeuerle",), ("baurle",), ("bauerle",), ("baeurle",)), prefix=True),)),
    ],
)
def test_terms_that_people_type(typed: str, terms: tuple[SearchTerm, ...] | None) -> None:
    assert search_terms(typed) == terms


def test_endless_input_is_cut() -> None:
    terms = search_terms("ue" * 100 + " " + "ae oe " * 10_000) or ()
    assert sum(len(term.ways) * len(term.ways[0]) for term in terms) <= 32 * 8


def test_words_of_a_mail_are_of_subject_people_files_and_text() -> None:
    raw = (
        b"From: Anna =?utf-8?q?M=C3=BCller?= <anna@example.com>\r\nTo: desk@example.org\r\nCc: Tom <tom@example.net>\r\n"
        b"Subject: Voucher 7\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        b"<p>See <b>Rome</b></p>\r\n--b\r\nContent-Type: application/pdf; name=Rooming_list.pdf\r\n"
        b"Content-Disposition: attachment\r\n\r\nx\r\n--b--\r\n"
    )
    assert mail_words(parse(BytesSource(raw))) == [
        ["voucher", "7"],
        ["anna", "muller", "anna", "example", "com", "desk", "example", "org", "tom", "tom", "example", "net"],
        ["rooming", "list", "pdf"],
        ["see", "rome"],
    ]
    long = b"Subject: a\r\n\r\n" + b"b " * 40_000
    assert mail_words(parse(BytesSource(long))) == [["a"], ["b"] * 32_768]


def test_a_mail_has_the_words_of_its_message_id_and_references() -> None:
    raw = "Message-ID: <own@a>\r\nReferences: {}\r\nSubject: x\r\n\r\n"

    def thread(references: list[str]) -> list[str]:
        return list(mail_words(parse(BytesSource(raw.format("\r\n ".join(references)).encode())))[-1])

    term = thread_term(["<own@a>", "<one@a>"])
    assert term
    assert [list(way) for way in term.ways] == [[one] for one in thread(["<one@a>"])]
    assert all(words(one) == [one] for one in thread(["<one@a>"]))
    many = [f"<{number}@a>" for number in range(100)]
    assert len(thread(many)) == 20
    for followed in ("<own@a>", "<0@a>", "<99@a>"):
        term = thread_term([followed])
        assert term
        assert term.ways[0][0] in thread(many)
    assert thread_term([]) is thread_term([""]) is None
