"""Make the subject, references and quotation of an answer from the mail that it answers."""

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

#: The most characters of a text that are quoted.
QUOTED = 65_536

#: Words for "Re" of mail programs in English, German, Swedish, Norwegian, Danish, Finnish and Italian, with their counts.
_ANSWER = re.compile(r"(?:re|aw|antw|sv|vs|r)\s?(?:\[\d{1,4}\]|\(\d{1,4}\)|\^\d{1,4})?\s?[:\uff1a]\s*", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedOriginal:
    """The parts of a mail that an answer quotes."""

    #: The sender's name or address; empty if it is unknown.
    name: str
    date: datetime | None
    #: The readable text; never the html itself, which is not trusted.
    text: str

    @classmethod
    def of(cls, mail: Mail) -> QuotedOriginal:
        """Return the parts of a mail that are quoted."""
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
    """Return text and html of an answer with the original quoted below; an empty text is made of the html."""
    when = f"On {minute(original.date)}" if original.date else "Some time ago"
    introduced = f"{when}, {' '.join(original.name[:LONGEST_NAME].split()) or 'somebody'} wrote:"
    lines = original.text[:QUOTED].strip("\n").splitlines() + (["[...]"] if len(original.text) > QUOTED else [])
    # A line that is a quotation already begins with ">>" (RFC 3676 section 4.5).
    below = [f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines]
    plain = "\n".join(((text or html_to_text(html)).rstrip("\n"), "", introduced, *below, ""))
    if not html:
        return plain, ""
    quotation = "<br>\n".join(map(escape, lines))
    added = f'\n<p>{escape(introduced)}</p>\n<blockquote type="cite">\n{quotation}\n</blockquote>\n'
    end = max((found.start() for found in _BODY_END.finditer(html)), default=len(html))
    return plain, html[:end] + added + html[end:]
