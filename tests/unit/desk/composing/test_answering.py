"""Subject, references and quotation of an answer: they come from the mail that it answers, and nothing in it breaks them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from gatewayd.desk.composing.answering import QUOTED, QuotedOriginal, answered, quoted, references
from gatewayd.desk.composing.writing import written
from tests.unit.desk.composing.drafts import DRAFT, anything, is_sound, mail


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("Rome", "Re: Rome"),
        ("Re: Rome", "Re: Rome"),
        ("RE: AW: Sv: re:Rome", "Re: Rome"),
        ("Re[2]: Re (3): re^4 : Rome", "Re: Rome"),
        ("Antw: VS: R: Rome", "Re: Rome"),
        ("RE\uff1a Rome", "Re: Rome"),
        ("  Re:\r\n Rome\t in  May ", "Re: Rome in May"),
        ("Ref: 756", "Re: Ref: 756"),
        ("Fwd: Re: Rome", "Re: Fwd: Re: Rome"),
        ("Rest: Rome", "Re: Rest: Rome"),
        ("Re:", "Re:"),
        ("", "Re:"),
    ],
)
def test_an_answer_has_a_single_re(subject: str, answer: str) -> None:
    assert answered(subject) == answer
    assert answered(answer) == answer


def test_references_of_an_answer_are_those_of_the_mail_and_the_mail() -> None:
    assert references(mail(head=b"Message-ID: <2@x>\r\nReferences: <0@x> <1@x>\r\nIn-Reply-To: <1@x>\r\n")) == (
        "<0@x>",
        "<1@x>",
        "<2@x>",
    )
    assert references(mail()) == ()


def test_the_original_is_quoted_in_text_and_html() -> None:
    text, html = quoted(
        "Thanks\n\n", "<body><p>Thanks</p></body>", QuotedOriginal.of(mail(b"A < B & <script>\r\n> earlier\r\n\r\nend\r\n"))
    )
    assert text == "Thanks\n\nOn 2026-01-05 09:00 UTC, Müller wrote:\n> A < B & <script>\n>> earlier\n>\n> end\n"
    assert html.startswith("<body><p>Thanks</p>\n<p>On 2026-01-05 09:00 UTC, Müller wrote:</p>\n<blockquote")
    assert html.endswith("</blockquote>\n</body>")
    assert "A &lt; B &amp; &lt;script&gt;<br>" in html


def test_html_of_others_is_quoted_as_its_text_alone() -> None:
    hostile = mail(
        b"<p onclick='x()'>Hi</p><script>steal()</script><img src=http://track.example/1.gif><style>a{}</style>",
        head=b"Content-Type: text/html\r\n",
    )
    _, html = quoted("", "<p>Thanks</p>", QuotedOriginal.of(hostile))
    assert "Hi" in html
    assert not re.search("script|img|onclick|style|track", html)


def test_a_hostile_name_is_escaped_and_one_line() -> None:
    text, html = quoted("x", "x", QuotedOriginal(name="<b>\r\n> x", date=None, text=""))
    assert "Some time ago, <b> > x wrote:\n" in text
    assert "&lt;b&gt; &gt; x wrote:" in html


def test_what_is_quoted_is_bounded_and_says_so() -> None:
    text, html = quoted("x", "x", QuotedOriginal(name="", date=None, text="y" * QUOTED + "z"))
    assert "somebody wrote" in text
    assert "z" not in text
    assert text.endswith("> [...]\n")
    assert "[...]\n</blockquote>" in html
    is_sound(written(replace(DRAFT, text=text, html=html)))


def test_the_original_is_quoted_below_a_text_that_is_made_of_html_too() -> None:
    original = QuotedOriginal.of(mail())
    text, html = quoted("", "<p>Yes &amp; no</p>", original)
    assert text.startswith("Yes & no\n\n")
    assert "\n> Hello" in text
    assert "<blockquote" in html
    assert quoted("x", "", original)[1] == ""
    assert "> Hello" in quoted("", "", original)[0]


@given(anything, anything)
def test_a_quotation_stays_a_quotation_whatever_it_quotes(text: str, name: str) -> None:
    below, html = quoted("x", "<p>x", QuotedOriginal(name=name, date=None, text=text))
    assert all(line.startswith(">") for line in below.splitlines()[3:])
    _, _, inside = html.partition('<blockquote type="cite">\n')
    assert "<" not in inside.removesuffix("\n</blockquote>\n").replace("<br>\n", "")
