"""What an answer takes over from the mail that it answers: subject, references and quotation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from gatewayd.api.timestamps import minute
from gatewayd.desk.composing.recipients import LONGEST_NAME
from gatewayd.message.html_text import html_to_text

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.message.mail import Mail

__all__ = ["QUOTED", "QuotedOriginal", "answered", "quoted", "references"]

#: How much of a text is quoted, in characters.
QUOTED = 65_536

#: Words for "Re" of mail programs in English, German, Swedish, Norwegian, Danish, Finnish and Italian, with their counts.
_ANSWER = re.compile(r"(?:re|aw|antw|sv|vs|r)\s?(?:\[\d{1,4}\]|\(\d{1,4}\)|\^\d{1,4})?\s?[:\uff1a]\s*", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedOriginal:
    """What is quoted of a mail."""

    #: Name or address of who wrote it; empty where nobody knows.
    name: str
    date: datetime | None
    #: As it is read: never the html itself, which is not to be trusted.
    text: str

    @classmethod
    def of(cls, mail: Mail) -> QuotedOriginal:
        """Return what is quoted of this one."""
        sender = mail.sender
        return cls(name=(sender.name or sender.email) if sender else "", date=mail.sent_at or mail.received_at, text=mail.text)


def answered(subject: str) -> str:
    """Return the subject of an answer: a single ``Re:``, however many there are, in whatever language.

    >>> answered("RE: Aw: Re[2]: Rome")
    'Re: Rome'
    """
    rest = " ".join(subject.split())
    while begins := _ANSWER.match(rest):
        rest = rest[begins.end() :]
    return f"Re: {rest}".rstrip()


def references(mail: Mail) -> tuple[str, ...]:
    """Return the References of an answer (RFC 5322 section 3.6.4): the mail's own, and the mail itself."""
    return tuple(filter(None, (*mail.references, mail.message_id)))


def quoted(text: str, html: str, original: QuotedOriginal) -> tuple[str, str]:
    """Return text and html of an answer with the original quoted below; without a text, it is made of the html."""
    return _below_text(text or html_to_text(html), original), _below_html(html, original) if html else ""


def _introduced(original: QuotedOriginal) -> str:
    when = f"On {minute(original.date)}" if original.date else "Some time ago"
    return f"{when}, {' '.join(original.name[:LONGEST_NAME].split()) or 'somebody'} wrote:"


def _lines(original: QuotedOriginal) -> list[str]:
    lines = original.text[:QUOTED].strip("\n").splitlines()
    return [*lines, "[...]"] if len(original.text) > QUOTED else lines


def _below_text(text: str, original: QuotedOriginal) -> str:
    # Behind the last line of an earlier quotation stands ">>" (RFC 3676 section 4.5).
    lines = [f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in _lines(original)]
    return "\n".join((text.rstrip("\n"), "", _introduced(original), *lines, ""))


def _below_html(html: str, original: QuotedOriginal) -> str:
    lines = "<br>\n".join(escape(line) for line in _lines(original))
    below = f'\n<p>{escape(_introduced(original))}</p>\n<blockquote type="cite">\n{lines}\n</blockquote>\n'
    ends = [found.start() for found in _BODY_END.finditer(html)]
    return html[: ends[-1]] + below + html[ends[-1] :] if ends else html + below
