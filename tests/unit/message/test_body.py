"""What of a mail is its text, and what a file: by how the mail is built."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.config.models.operator import RuleConditions
from gatewayd.config.rules import Rule, why_not
from gatewayd.testing.contracts.custodian import make_filing
from tests.unit.mime_made import Made, many, one, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.mail import Mail

ATTACHED = "Content-Disposition: attachment"
INLINE = "Content-Disposition: inline"
LOGO = one("image/png", "png", "Content-ID: <logo@x>")
HTML = one("text/html", '<p>B-756</p><img src="cid:logo@x">')
PLAIN = one("text/plain", "plain")
RICH = one("text/html", "<p>rich</p>")
SIGNATURE = one("application/pgp-signature; name=signature.asc", "-----BEGIN PGP SIGNATURE-----")


def files(mail: Mail) -> tuple[list[str], list[str]]:
    return [one.type for one in mail.attachments], [one.type for one in mail.inline]


# --- 1: only multipart/alternative is a choice ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (many("mixed", one("text/html", "<p>B-756</p>"), one("text/plain", "footer", INLINE)), "B-756\nfooter"),
        (many("mixed", one("text/plain", "[EXTERNAL]"), one("text/html", "<p>B-756</p>")), "[EXTERNAL]\nB-756"),
        (many("mixed", PLAIN, RICH, PLAIN), "plain\nrich\nplain"),
        (many("mixed", many("alternative", PLAIN, RICH), one("text/plain", "footer")), "plain\nfooter"),
        (many("mixed", one("text/plain", "banner"), many("alternative", PLAIN, RICH)), "banner\nplain"),
        (many("mixed", one("text/plain", "banner"), many("related", HTML, LOGO)), "banner\nB-756"),
        (many("related", HTML, LOGO, one("text/plain", "footer")), "B-756\nfooter"),
        (many("related", many("alternative", PLAIN, HTML), LOGO), "plain"),
        (many("alternative", PLAIN, many("related", HTML, LOGO)), "plain"),
        (many("alternative", one("text/plain", " \r\n\t"), many("related", HTML, LOGO)), "B-756"),
        (many("alternative", one("text/plain", ""), RICH), "rich"),
        (many("alternative", one("text/plain; charset=utf-8", "\ufeff\u200b \u00a0\u200c\r\n"), RICH), "rich"),
        (many("alternative", one("text/html", "<p>&zwnj;&#8203;&shy;</p>"), RICH), "rich"),
        (many("alternative", RICH, PLAIN), "plain"),
        (many("alternative", one("text/html", "<p>old"), one("text/html", "<p>best")), "best"),
        (
            many("alternative", PLAIN, many("mixed", RICH, one("application/pdf", "x", ATTACHED), one("text/html", "<p>end"))),
            "plain",
        ),
        (many("alternative", one("text/plain", " "), many("mixed", RICH, one("text/plain", "end"))), "rich\nend"),
        (many("alternative", many("mixed", PLAIN, one("text/plain", "more")), RICH), "plain\nmore"),
        (many("alternative", many("alternative", one("text/plain", " "), RICH), one("text/html", "<p>last")), "rich"),
        (many("alternative", one("text/calendar", "BEGIN:VCALENDAR"), RICH), "rich"),
        (many("alternative", one("text/plain", " ")), " "),
        (many("signed", one("text/html", "<p>signed"), SIGNATURE), "signed"),
        (many("signed", many("mixed", PLAIN, RICH), SIGNATURE), "plain\nrich"),
        (many("x-unheard-of", PLAIN, RICH), "plain\nrich"),
        (many("parallel", PLAIN, RICH), "plain\nrich"),
        (many("report", PLAIN, one("message/delivery-status", "Status: 5.0.0"), RICH), "plain\nrich"),
        (many("digest", one("", "Subject: x\r\n\r\ninner")), ""),
        (many("form-data", one("text/plain", "B-756", 'Content-Disposition: form-data; name="code"')), "B-756"),
        (many("mixed", many("mixed", many("mixed", PLAIN)), RICH), "plain\nrich"),
        (many("mixed", many("alternative", PLAIN, RICH), many("alternative", one("text/html", "<p>2"))), "plain\n2"),
    ],
)
def test_parts_are_shown_in_turn_and_only_versions_are_a_choice(made: Made, text: str) -> None:
    assert read(made).text == text


NUMBERS = count()
TEXTS = st.sampled_from(["text/plain", "text/html"])
LEAVES = st.tuples(TEXTS, st.sampled_from(["", INLINE, ATTACHED]), st.sampled_from(["", "a.txt"]))
SHAPES = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from(["mixed", "related", "signed", "x-odd", "alternative"]), st.lists(inner, min_size=1, max_size=4)), max_leaves=12
)  # fmt: skip


def built(shape: object, number: Iterator[int]) -> Made:
    match shape:
        case (str(kind), list(parts)):
            return many(kind, *(built(part, number) for part in parts))
        case (str(kind), str(disposition), str(name)):
            head = [disposition] if disposition else []
            return one(f"{kind}; name={name}" if name else kind, f"text{next(number)}.", *head)
    raise AssertionError(shape)


def expected(made: Made) -> list[list[str]]:
    """What is shown of a part, each text as itself; of versions the plain ones before those with html, the last first."""
    if made.parts is None:
        return [] if ATTACHED in made.head else [[made.body.decode(), made.head[0].partition(" ")[2].partition(";")[0]]]
    shown = [found for part in made.parts if (found := expected(part))]
    if "alternative" not in made.head[0] or not shown:
        return [text for found in shown for text in found]
    plain = [found for found in shown if all(kind == "text/plain" for _, kind in found)]
    return plain[-1] if plain else shown[-1]


@given(SHAPES)
def test_whatever_the_tree_each_text_is_shown_once_in_its_place(shape: object) -> None:
    made = many("mixed", built(shape, count()), one("text/plain", "end"))
    mail = read(made)
    assert mail.text.split("\n") == [text for text, _ in expected(made)]
    assert mail.faults == ()


# --- 2: a file name is no disposition ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "text", "attached", "inline"),
    [
        (one("text/html", "<p>order", 'Content-Disposition: inline; filename="orderform.htm"'), "order", [], ["orderform.htm"]),
        (many("mixed", one("text/html", "<p>order", 'Content-Disposition: inline; filename="o.htm"')), "order", [], ["o.htm"]),
        (many("alternative", one("text/plain; name=a.txt", "plain"), one("text/html; name=a.htm", "rich")), "plain", [], ["a.txt", "a.htm"]),
        (many("mixed", one("text/plain; name=message.txt", "B-756"), one("application/pdf; name=x.pdf", "x")), "B-756", ["x.pdf"], ["message.txt"]),
        (many("mixed", PLAIN, one("text/plain; name=log.txt", "log")), "plain\nlog", [], ["log.txt"]),
        (many("mixed", PLAIN, one("text/plain; name=log.txt", "log", ATTACHED)), "plain", ["log.txt"], []),
        (one("text/plain; name=only.txt", "only", ATTACHED), "only", ["only.txt"], []),
        (many("mixed", one("application/pdf", "x"), one("text/plain; name=only.txt", "only", ATTACHED)), "only", ["attachment-1.pdf", "only.txt"], []),
        (many("mixed", one("text/plain", "1", f"{ATTACHED}; filename=1.txt"), one("text/html", "2", f"{ATTACHED}; filename=2.htm")), "1", ["1.txt", "2.htm"], []),
        (one("text/enriched", "<bold>B-756</bold>"), "<bold>B-756</bold>", [], []),
        (many("mixed", one("text/markdown; name=a.md", "# B-756")), "# B-756", [], ["a.md"]),
        (many("mixed", one("text/calendar; name=i.ics", "BEGIN")), "", ["i.ics"], []),
        (many("alternative", one("text/calendar; name=i.ics", "BEGIN")), "", ["i.ics"], []),
        (many("mixed", PLAIN, one("text/plain", "x", "Content-Disposition: unheard-of")), "plain", ["attachment-1.txt"], []),
        (many("mixed", PLAIN, one("text/plain; name=a.txt", "x", "Content-Disposition: ;")), "plain\nx", [], ["a.txt"]),
        (many("mixed", PLAIN, one("message/rfc822", "Subject: x\r\n\r\ninner")), "plain", ["x.eml"], []),
    ],
)  # fmt: skip
def test_what_says_inline_is_shown_whatever_its_name(made: Made, text: str, attached: list[str], inline: list[str]) -> None:
    mail = read(made)
    assert (mail.text, [file.name for file in mail.attachments], [file.name for file in mail.inline]) == (text, attached, inline)


# --- 14: what the text shows is no attachment -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "attached", "inline"),
    [
        (many("related", HTML, LOGO), [], ["image/png"]),
        (many("related", HTML, one("image/png", "x", "Content-ID: <other>", INLINE)), [], ["image/png"]),
        (many("related", HTML, one("image/png; name=a.png", "x")), [], ["image/png"]),
        (many("related", many("alternative", PLAIN, HTML), LOGO, LOGO), [], ["image/png", "image/png"]),
        (many("alternative", PLAIN, many("related", HTML, LOGO)), [], ["image/png"]),
        (many("mixed", many("related", HTML, LOGO), one("application/pdf", "x", ATTACHED)), ["application/pdf"], ["image/png"]),
        (many("mixed", HTML, LOGO), [], ["image/png"]),
        (many("mixed", HTML, one("image/png", "x", "Content-ID: <logo@x>", f"{ATTACHED}; filename=a.png")), [], ["image/png"]),
        (many("related", HTML, one("image/png", "x", "Content-ID: <photo@x>", f"{ATTACHED}; filename=a.png")), ["image/png"], []),
        (many("related", HTML, one("application/pdf; name=a.pdf", "x", ATTACHED)), ["application/pdf"], []),
        (many("related", HTML, one("application/pdf; name=a.pdf", "x", "Content-ID: <pdf@x>")), ["application/pdf"], []),
        (many("related", HTML, one("application/octet-stream", "x", "Content-ID: <logo@x>")), [], ["application/octet-stream"]),
        (many("mixed", PLAIN, LOGO), ["image/png"], []),
        (many("mixed", PLAIN, one("image/png", "x", INLINE)), ["image/png"], []),
        (many("signed", PLAIN, SIGNATURE), [], ["application/pgp-signature"]),
        (many("signed", PLAIN, one("application/x-pkcs7-signature", "x", f"{ATTACHED}; filename=smime.p7s")), [], ["application/x-pkcs7-signature"]),
        (many("signed", PLAIN, one("application/octet-stream; name=smime.p7s", "x")), [], ["application/octet-stream"]),
        (many("mixed", many("signed", PLAIN, SIGNATURE), one("text/plain", "footer")), [], ["application/pgp-signature"]),
        (many("mixed", PLAIN, one("application/pkcs7-signature", "x", ATTACHED)), [], ["application/pkcs7-signature"]),
        (many("alternative", PLAIN, one("text/x-amp-html", "<html amp4email>"), RICH), [], ["text/x-amp-html"]),
        (many("alternative", PLAIN, RICH, one("text/calendar; method=REQUEST", "BEGIN")), [], ["text/calendar"]),
        (many("alternative", PLAIN, RICH, one("application/pdf; name=a.pdf", "x")), ["application/pdf"], []),
        (many("related", one("text/html", "<p>"), one("text/css", "p {}", "Content-ID: <css@x>")), [], ["text/css"]),
        (many("mixed", one("text/html", "<img src='CID:a%40x'>"), one("image/gif", "x", "Content-ID: <a@x>", ATTACHED)), [], ["image/gif"]),
        (many("mixed", one("text/html", "<img src=cid:a&amp;b@x>"), one("image/gif", "x", "Content-ID:<a&b@x>", ATTACHED)), [], ["image/gif"]),
        (many("mixed", one("text/html", "PGltZyBzcmM9ImNpZDphQHgiPg==", "Content-Transfer-Encoding: base64"), one("image/gif", "x", "Content-ID: <a@x>")), [], ["image/gif"]),
        (one("image/png; name=scan.png", "x"), ["image/png"], []),
    ],
)  # fmt: skip
def test_what_the_text_shows_and_signatures_are_no_attachments_but_can_be_had(
    made: Made, attached: list[str], inline: list[str]
) -> None:
    mail = read(made)
    assert files(mail) == (attached, inline)
    sizes = [sum(map(len, mail.attachment(number))) for number in range(len(attached) + len(inline))]
    assert sizes == [file.size for file in (*mail.attachments, *mail.inline)]
    with pytest.raises(IndexError):
        mail.attachment(len(sizes))


def test_a_rule_for_attachments_does_not_fire_for_a_logo() -> None:
    rule = Rule(number=1, where="acme.yaml:1", when=RuleConditions(attachment=True), targets=("duty",))
    logo, pdf = read(many("related", HTML, LOGO)), read(many("mixed", HTML, LOGO, one("application/pdf", "x")))
    assert why_not(rule, account="a", mail=logo, filing=make_filing()) == "has no attachment"
    assert why_not(rule, account="a", mail=pdf, filing=make_filing()) == ""
