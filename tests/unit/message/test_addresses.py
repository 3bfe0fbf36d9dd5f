"""Addresses of headers: the one that somebody wrote, or none; what an encoded word holds is never one."""

from __future__ import annotations

import re
from email.utils import formataddr, getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd.message.addresses import address_list
from gatewayd.message.lexing import uncommented
from gatewayd.message.mail import BytesSource, parse
from tests.unit.linear import assert_linear, peak


def read(value: str | bytes) -> list[tuple[str, str]]:
    raw = value if isinstance(value, bytes) else value.encode()
    found, _ = address_list(raw.decode("latin-1"), 1000)
    return [(one.name, one.email) for one in found]


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("=?utf-8?q?boss=40acme.example?=", []),
        ("=?utf-8?b?Ym9zc0BhY21lLmV4YW1wbGU=?=", []),
        ("<=?utf-8?q?boss=40acme.example?=>", []),
        ("Anna <=?utf-8?q?boss=40acme.example?=>", []),
        ("=?utf-8?q?Anna_=3Cboss=40acme.example=3E?=", []),
        ("=?utf-8?q?boss?=@acme.example", []),
        ("<=?utf-8?q?boss?=@acme.example>", []),
        ("boss@=?utf-8?q?acme?=.example", []),
        ("=?utf-8?q?boss=40acme.example=2C?= <evil@x.example>", [("boss@acme.example,", "evil@x.example")]),
        ("=?utf-8?q?boss=40acme.example?=, evil@x.example", [("", "evil@x.example")]),
        ("=?utf-8?q?x?= <evil@x.example> =?utf-8?q?=3Cboss=40acme.example=3E?=", [("x", "evil@x.example")]),
        ('"=?utf-8?q?boss=40acme.example?=" <evil@x.example>', [("boss@acme.example", "evil@x.example")]),
        ("evil@x.example (=?utf-8?q?boss=40acme.example?=)", [("boss@acme.example", "evil@x.example")]),
        ("<?utf-8?q?boss@acme.example>", []),
        ("<utf-8?B?boss@acme.example>", []),
        ("<=?utf-8?Q?boss@acme.example>", []),
    ],
)
def test_an_encoded_word_is_never_an_address(value: str, found: list[tuple[str, str]]) -> None:
    assert read(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Voilà Tours <v@x.example>", [("Voilà Tours", "v@x.example")]),
        ("Šárka <s@x.example>", [("Šárka", "s@x.example")]),
        ("Åse Книга Рим Książ <a@x.example>", [("Åse Книга Рим Książ", "a@x.example")]),
        ("ŠárkaNová@example.com", [("", "ŠárkaNová@example.com")]),
        ("<Šárka@žižkov.example>", [("", "Šárka@žižkov.example")]),
        ("à@x.example, Å@x.example", [("", "à@x.example"), ("", "Å@x.example")]),
        (b"J\xfcrgen <j@x.example>", [("Jürgen", "j@x.example")]),
        ("旅行、代理店 <t@x.example>".encode("iso2022_jp"), [("旅行、代理店", "t@x.example")]),
        # The bytes of these letters are those of <a@b>.
        (
            b"\x1b$B<a@b>!\x1b(B <t@x.example>, s@x.example",
            [(b"\x1b$B<a@b>!\x1b(B".decode("iso2022_jp"), "t@x.example"), ("", "s@x.example")],
        ),
        (b"J\xfcrgen <j\xfc@x.example>", []),
        (b"j\xa0oe@x.example", []),
        (b"anna@x\x85.example", []),
        ("anna@x\u200b.example", []),
        ("an\u202ena@x.example", []),
        ("anna\u00a0@x.example", []),
        ("anna@x.example\u3000", []),
        ("Anna\u00a0Berg <a@x.example>", [("Anna\u00a0Berg", "a@x.example")]),
    ],
)
def test_bytes_of_utf8_are_no_white_space(value: str | bytes, found: list[tuple[str, str]]) -> None:
    assert [(name.replace(" ", "\u00a0"), email) for name, email in read(value)] == [
        (name.replace(" ", "\u00a0"), email) for name, email in found
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("jdoe@test  . example", [("", "jdoe@test.example")]),
        ("jdoe @ test.example", [("", "jdoe@test.example")]),
        ("<jdoe @ test . example>", [("", "jdoe@test.example")]),
        ("<john doe@example.com>", []),
        ("john doe@example.com", []),
        ("<john.doe@ex ample.com>", []),
        ("<a@b@c.example>", []),
        ("a@b@c.example", []),
        ("anna@x.example.", [("", "anna@x.example")]),
        ("<anna@x.example.>", [("", "anna@x.example")]),
        ("<anna@x..example>", []),
        ("<anna@.x.example>", []),
        ("<@x.example>", []),
        ("<anna@>", []),
        ("Berg, Anna <anna@x.example>", [("Berg, Anna", "anna@x.example")]),
        (
            "Berg, Anna <anna@x.example>, Novák, Petr <p@x.example>",
            [("Berg, Anna", "anna@x.example"), ("Novák, Petr", "p@x.example")],
        ),
        ("Berg, anna@x.example", [("", "anna@x.example")]),
        ("Berg, Anna", []),
        ("Anna Berg", []),
        ('"Berg, Anna <anna@x.example>', [("Berg, Anna", "anna@x.example")]),
        ('"Anna <anna@x.example>', [("Anna", "anna@x.example")]),
        ('"Anna" <anna@x.example', [("Anna", "anna@x.example")]),
        ('Anna" Berg <anna@x.example>', [("Anna Berg", "anna@x.example")]),
        ("Anna [mailto:anna@x.example]", [("Anna", "anna@x.example")]),
        ("Anna Berg [MAILTO:anna@x.example]; b@x.example", [("Anna Berg", "anna@x.example"), ("", "b@x.example")]),
        ("<mailto:anna@x.example>", [("", "anna@x.example")]),
        ("mailto:anna@x.example", [("", "anna@x.example")]),
        ("Anna anna@x.example", []),
        ("anna@x.example Anna", []),
        ("anna&amp;berg@x.example", []),
        ("a@x.example; anna&#38;berg@x.example; b@x.example", [("", "a@x.example"), ("", "b@x.example")]),
        ("Anna &lt;anna@x.example&gt;", []),
        ("Anna &amp; Berg <anna@x.example>", [("Anna &amp; Berg", "anna@x.example")]),
        ('"Anna Berg" anna@x.example', [("Anna Berg", "anna@x.example")]),
        ("=?utf-8?q?Anna?= anna@x.example", [("Anna", "anna@x.example")]),
        ("a@x.example b@x.example", [("", "a@x.example"), ("", "b@x.example")]),
        ("alice@example.org)bob@example.com", []),
        ("'anna@x.example'", []),
        ("anna@x.example via Lists <lists@y.example>", [("anna@x.example via Lists", "lists@y.example")]),
        ("<anna@x.example>bob@y.example", [("bob@y.example", "anna@x.example")]),
        ("<<anna@x.example>>", [("", "anna@x.example")]),
        ("a@b\x00.example", []),
        ("anna@[192.0.2.1]", [("", "anna@[192.0.2.1]")]),
        ("anna@[IPv6:2001:db8::1]", [("", "anna@[IPv6:2001:db8::1]")]),
        ('"john doe"@x.example', [("", '"john doe"@x.example')]),
        ('<"a>b"@x.example>', [("", '"a>b"@x.example')]),
        ("root", [("", "root")]),
        ("MAILER-DAEMON (Mail System)", [("Mail System", "MAILER-DAEMON")]),
        ("a@x.example, junk", [("", "a@x.example"), ("", "junk")]),
    ],
)
def test_an_address_that_nobody_wrote_is_never_made(value: str, found: list[tuple[str, str]]) -> None:
    assert read(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Bob <b@x.example> Bobby <c@x.example>", [("Bob", "b@x.example"), ("Bobby", "c@x.example")]),
        (
            '"Bob" <b@x.example> "Bobby" <c@x.example> Rob <d@x.example>',
            [("Bob", "b@x.example"), ("Bobby", "c@x.example"), ("Rob", "d@x.example")],
        ),
        (r'"\"Anna Berg\"" <a@x.example>', [("Anna Berg", "a@x.example")]),
        (r'"\\\"Anna Berg\\\"" <a@x.example>', [("Anna Berg", "a@x.example")]),
        ('""Anna Berg"" <a@x.example>', [("Anna Berg", "a@x.example")]),
        ("=?utf-8?q?=22Berg=2C_Anna=22?= <a@x.example>", [("Berg, Anna", "a@x.example")]),
        (r'"\"Anna\" Berg" <a@x.example>', [('"Anna" Berg', "a@x.example")]),
        (r'"Anna \"Anni\"" <a@x.example>', [('Anna "Anni"', "a@x.example")]),
        (r'"\"Anna\" or \"Ben\"" <a@x.example>', [('"Anna" or "Ben"', "a@x.example")]),
        ('"" <a@x.example>', [("", "a@x.example")]),
        ("=?utf-8?Q?Berg, Anna?= <a@x.example>", [("Berg, Anna", "a@x.example")]),
    ],
)
def test_names_are_for_people(value: str, found: list[tuple[str, str]]) -> None:
    assert read(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("<pete(his account)@silly.test(his host)>", [("", "pete@silly.test")]),
        (r"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>", [("Pete", "pete@silly.test")]),
        ("pete(his account)@silly.test(his host)", [("his account his host", "pete@silly.test")]),
        ("pete@silly(c).test", [("c", "pete@silly.test")]),
        ("(boss@acme.example) evil@x.example", [("boss@acme.example", "evil@x.example")]),
        (
            "evil@x.example (boss@acme.example, (nested) other@y.example)",
            [("boss@acme.example, (nested) other@y.example", "evil@x.example")],
        ),
        (
            "A Group(Some people):Chris Jones <c@(Chris's host.)public.example>, joe@example.org;",
            [("Chris Jones", "c@public.example"), ("", "joe@example.org")],
        ),
        ("(unclosed anna@x.example", []),
        ("Anna (unclosed <anna@x.example>", [("Anna unclosed", "anna@x.example")]),
        ('"(no comment" <a@x.example>', [("(no comment", "a@x.example")]),
        ("undisclosed-recipients:;", []),
        ("(Undisclosed recipients):;", []),
        ("unlisted-recipients:; (no To-header on input)", []),
    ],
)
def test_comments_are_no_part_of_an_address(value: str, found: list[tuple[str, str]]) -> None:
    assert read(value) == found


# --- properties -------------------------------------------------------------------------------------------------------


HOSTILE = st.lists(
    st.sampled_from(
        ["a@b.c", "boss@x", "Anna", '"', "<", ">", "(", ")", ",", ";", ":", "@", ".", " ", "\t", "\\", "=?utf-8?q?", "?=", "=40", "[mailto:", "]", "=?utf-8?q?boss=40acme.example?=", "=?utf-8?b?YUBi?=", "Š", "à", "\u202e", "\xa0", "\x85", "a b", "'"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


def stripped(value: str) -> str:
    """What is written, without comments and blanks, which may stand between the pieces of an address."""
    return re.sub(r"[ \t]", "", uncommented(value))


@given(HOSTILE)
@example("jdoe@test  . example")
@example("(a)b(c)@d(e).f")
def test_every_address_stands_in_the_header_as_it_is(value: str) -> None:
    for _, email in read(value):
        written = [stripped(value), stripped(value.replace("(", " ")), re.sub(r"[ \t]", "", value)]
        assert any(re.sub(r"[ \t]", "", email) in one for one in written)
        assert email.isprintable()
        assert "acme" not in email or "@acme" in value


@given(st.text(alphabet='boss@acme.example<>," ()=?', min_size=1, max_size=40), st.sampled_from(["b", "q"]), st.booleans())
def test_whatever_an_encoded_word_holds_it_gives_no_address(content: str, encoding: str, within: bool) -> None:  # noqa: FBT001
    from email.header import Header  # noqa: PLC0415

    word = Header(content, "utf-8", maxlinelen=1000).encode()
    value = f"<{word}>" if within else word
    if word.startswith("=?"):
        assert read(value) == []
        assert read(f"{word} <me@x.example>") == [(read(f"{word} <me@x.example>")[0][0], "me@x.example")]
    assert encoding


NAMES = st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Zs", "P"], exclude_characters="\x85"), max_size=20)

LOCALS = st.from_regex(r"[a-z0-9!#$%&'*+/^_`{|}~-]{1,8}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True)

DOMAINS = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,4})?(\.[a-z]{2,6}){1,2}", fullmatch=True)

PEOPLE = st.tuples(NAMES, st.builds("{}@{}".format, LOCALS, DOMAINS))


@given(st.lists(PEOPLE, min_size=1, max_size=5))
def test_honest_lists_are_read_as_the_standard_library_wrote_them(people: list[tuple[str, str]]) -> None:
    value = ", ".join(formataddr((name, email), "utf-8") for name, email in people)
    assert [email for _, email in read(value)] == [email for _, email in people] == [email for _, email in getaddresses([value])]


@given(st.text(alphabet='ab@<>"\\(),;: =?q\xe4\xa0\x85\r\n[].', max_size=120))
def test_any_list_is_borne(value: str) -> None:
    for _, email in [(one.name, one.email) for one in address_list(value, 1000)[0]]:
        assert email
        assert "\ufffd" not in email


@pytest.mark.parametrize(
    "unit",
    ["(", "()", "(\\", '"', '"\\', "<", '<"', "a:", "a ", " ", "a@b<", "=?a?q?", "(a)", ";", "\\", '"a" ', "a@b,", "a,", "a a,", "[", "[a", "[mailto:", "a@b ", ". ", " .", "@", "<a@", "a.", '"a"@', "a (", '<"a" ', "=?a?b?x?= ", "a,b <c@d>,", "a@[", ")", "(((a)", '("', "<a>"],
)  # fmt: skip
def test_hostile_lists_take_linear_time(unit: str) -> None:
    assert_linear(lambda text: address_list(text, 1000), unit)
    assert_linear(uncommented, unit)


def test_the_first_address_is_the_sender() -> None:
    mail = parse(BytesSource(b"From: =?utf-8?q?boss=40acme.example?=\r\n <a@x.example>\r\nTo: b@x.example c@x.example\r\n\r\n"))
    assert (str(mail.sender), len(mail.to)) == ("boss@acme.example <a@x.example>", 2)


@pytest.mark.parametrize("unit", ["a[]", '<""', "=?a?q?b?= ", "a.", "[mailto:"])
def test_P8_a_hostile_header_takes_little_memory(unit: str) -> None:
    """A pattern that may go back remembers each place to which it might."""
    assert peak(lambda: address_list(unit * (500_000 // len(unit)), 1000)) < 20 << 20


@pytest.mark.parametrize("unit", ["(", '"', '"\\', "<", "a:", "a ", " ", "a@b<", "=?a?q?", "(a)", ";", "\\", '"a" ', "a@b,"])
def test_hostile_address_lists_take_linear_time(unit: str) -> None:
    assert_linear(lambda text: address_list(text, 1000), unit)
