"""Views of raw mail for tests."""

from __future__ import annotations

import json
import pickle
from datetime import UTC
from email.message import EmailMessage

from gatewayd.message.body import parts_of
from gatewayd.message.mail import BytesSource, Mail, _view, parse
from gatewayd.message.values import CHUNK


def view(raw: bytes) -> Mail:
    """Parse without the net that would hide a defect of the parser."""
    return _view(BytesSource(raw), 0, None)


def check(mail: Mail, raw: bytes) -> None:
    """What is true of every view, whatever the message."""
    assert b"".join(mail.raw()) == raw
    assert pickle.loads(pickle.dumps(mail)) == mail
    strings = [mail.subject, mail.message_id, mail.text, *mail.references, *mail.faults, mail.anchor]
    strings += [text for pair in mail.headers for text in pair]
    strings += [text for one in (*mail.from_, *mail.to, *mail.cc) for text in (one.name, one.email)]
    strings += [text for part in parts_of(mail.body) for text in (part.type, part.encoding, part.charset)]
    strings += mail.notes
    strings += [piece.text for piece in mail.shown]
    assert sum(len(piece.text) for piece in mail.shown) <= CHUNK
    assert len(mail.shown) <= 101
    for number, one in enumerate((*mail.attachments, *mail.inline)):
        strings += [one.name, one.type, one.part.encoding, one.part.charset, one.content_id]
        assert 0 < len(one.name) <= 255
        assert not set(one.name) & set("/\\\0\r\n")
        size = 0
        for piece in mail.attachment(number):
            assert len(piece) <= CHUNK
            size += len(piece)
        assert one.size == size
    together = "\n".join(strings)
    assert "\0" not in together
    assert json.loads(json.dumps(together.encode().decode())) == together
    assert mail.sent_at is None or mail.sent_at.tzinfo is UTC
    assert len(mail.headers) <= 1000
    assert len(mail.attachments) <= 500


def built() -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = "<1@tours.example>"
    message["Date"] = "Mon, 05 Jan 2026 10:00:00 +0100"
    message["From"] = "Jürgen Müller <j@agency.example>"
    message["To"] = 'a@b.example, "Doe, Jane" <c@d.example>, undisclosed:;'
    message["Cc"] = "Řehoř <r@e.example>"
    message["Subject"] = "Buchung 756 für Größe " + "ä" * 80
    message["References"] = "<0@tours.example> <x@y>"
    message["In-Reply-To"] = "<0@tours.example>"
    message.set_content("Grüße 756\n", charset="iso-8859-1")
    message.add_alternative("<p>Grüße <b>757</b></p>", subtype="html")
    message.add_attachment(b"%PDF" * 1000, maintype="application", subtype="pdf", filename="Größe.pdf")
    return message


def part(lines: str) -> Mail:
    head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
    return view(f"{head}{lines}\r\n\r\nx\r\n--b--".encode("latin-1"))


def read(text: str | bytes) -> Mail:
    return parse(BytesSource(text if isinstance(text, bytes) else text.encode("latin-1")))
