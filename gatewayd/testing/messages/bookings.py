"""Raw mail as a tour operator gets it every day, in several languages, charsets and shapes."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PEOPLE", "booking_messages", "person"]

#: How many different people write; ``person`` names them.
PEOPLE = 200

_FIRST = ("Anna", "Bram", "Chloé", "David", "Eva", "Filip", "Greta", "Hugo", "Irina", "Jürgen", "Katrin", "Luís", "Søren", "Urs")
_LAST = ("Novák", "Müller", "Peeters", "Dubois", "García", "Rossi", "Smith", "Jansen", "Kowalski", "Иванова")
_AGENCIES = ("sunny-travel", "alpine-tours", "oldtown-hotels", "blue-lagoon", "safari-lodge", "nordic-lights", "via-roma")


@dataclass(frozen=True, slots=True)
class _Language:
    charset: str
    subjects: tuple[str, ...]
    lines: tuple[str, ...]


_LANGUAGES = (
    _Language(
        "us-ascii",
        ("Booking {}: change of dates", "Re: your quote {}", "Voucher for {}", "URGENT: flight cancelled, booking {}"),
        (
            "Dear team,",
            "please find below the details of booking {}.",
            "Could you confirm the transfer for two adults?",
            "Kind regards",
        ),
    ),
    _Language(
        "iso-8859-1",
        ("Buchung {}: Änderung der Reisedaten", "Rückfrage zur Buchung {}"),
        ("Sehr geehrte Damen und Herren,", "für die Buchung {} benötigen wir ein größeres Zimmer.", "Mit freundlichen Grüßen"),
    ),
    _Language(
        "windows-1252",
        ("Réservation {} \u2013 numéro de vol", "Votre réservation {}"),
        ("Bonjour,", "le prix de la réservation {} est de 1 250 € à régler avant l\u2019arrivée.", "Meilleures salutations"),
    ),
    _Language(
        "utf-8",
        ("Rezervace {}: žádost o změnu", "Dotaz k rezervaci {}"),
        ("Dobrý den,", "prosíme o potvrzení rezervace {} pro čtyři osoby.", "S přátelským pozdravem"),
    ),
    _Language(
        "koi8-r",
        ("Бронирование {}: подтверждение", "Вопрос по заявке {}"),
        ("Здравствуйте,", "просим подтвердить бронирование {} на двоих.", "Хорошего дня"),
    ),
    _Language("gb2312", ("预订 {} 确认",), ("您好。", "请确认预订 {}。两位成人。", "谢谢")),
    _Language(
        "shift_jis",
        ("予約 {} の確認",),
        ("お世話になっております。", "予約 {} の日程をご確認ください。", "よろしくお願いいたします。"),
    ),
)


def person(number: int) -> tuple[str, str]:
    """Return name and address of one of the people who write; the same for the same number, always."""
    first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
    return f"{first} {last}", f"person{number}@{_AGENCIES[number % len(_AGENCIES)]}.example"


def booking_messages(count: int, seed: int = 1, *, heavy: bool = False, bookings: int = 1000) -> Iterator[bytes]:
    """Yield ``count`` messages with CRLF line ends, the same for the same arguments; every Message-ID is another one.

    Of ten messages six are plain text, two or three multipart, one has a PDF; one in twenty is unencoded 8-bit text. They
    are about 2 KB in the mean, about 27 KB if ``heavy`` (PDFs of 100 to 300 KB). Senders are ``person(0 … PEOPLE-1)``; one
    in eight is a stranger. Subjects name a booking from 1 to ``bookings``, a few none or two.
    """
    rng = random.Random(seed)  # noqa: S311  repeatable, not secret
    for number in range(count):
        yield _message(rng, number, seed, heavy=heavy, bookings=bookings)


def _message(rng: random.Random, number: int, seed: int, *, heavy: bool, bookings: int) -> bytes:
    kind = rng.choices(("plain", "multipart", "pdf", "8bit"), (60, 25, 10, 5))[0]
    language = rng.choice(_LANGUAGES[1:] if kind == "8bit" else (_LANGUAGES[0], *_LANGUAGES))
    code = str(rng.randint(1, bookings))
    subject = rng.choice(language.subjects).format(code)
    if not rng.randrange(10):
        subject = rng.choice((f"{subject} / {rng.randint(1, bookings)}", "Newsletter", subject.replace(code, "").strip()))
    lines = [line.format(code) for line in language.lines]
    if kind != "multipart":
        # Thousands of real messages have about this length: a quoted mail, a long signature, a disclaimer.
        lines += [rng.choice(lines) for _ in range(rng.randint(4, 24 if heavy or kind != "pdf" else 8))]
    text = "\r\n".join(lines) + "\r\n"
    body = {"plain": _plain, "8bit": _eight_bit, "multipart": _alternative, "pdf": _pdf}[kind](rng, language, text, heavy)
    return _head(rng, number, seed, subject, language.charset).encode() + body


def _head(rng: random.Random, number: int, seed: int, subject: str, charset: str) -> str:
    name, email = person(rng.randrange(PEOPLE))
    if not rng.randrange(8):
        name, email = "", f"stranger{number}@elsewhere.example"
    date = format_datetime(datetime(2026, 1, 5, 8, 0, tzinfo=UTC) + timedelta(seconds=97 * number))
    token = f"{rng.getrandbits(64):016x}"
    earlier = f"<{max(0, number - 3)}.{seed}@mail.example>"
    thread = f"In-Reply-To: {earlier}\r\nReferences: <start.{seed}@mail.example>\r\n {earlier}\r\n" if not rng.randrange(3) else ""
    box = rng.choice(("reservations", "sales"))
    return (
        f"Return-Path: <{email}>\r\n"
        f"Received: from mx1.example (mx1.example [192.0.2.{number % 250}])\r\n\tby mail.example (Postfix) with ESMTPS\r\n"
        f"\tid {token} for <{box}@tours.example>; {date}\r\n"
        f"Received: from client.example ([198.51.100.7])\r\n\tby mx1.example with ESMTPSA id {token[::-1]}; {date}\r\n"
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example;\r\n\ts=s2026; h=from:to:subject:date:message-id;\r\n"
        f"\tbh={base64.b64encode(rng.randbytes(32)).decode()};\r\n\tb={base64.b64encode(rng.randbytes(48)).decode()}\r\n"
        f"Message-ID: <{number}.{seed}.{token}@mail.example>\r\n"
        f"Date: {date}\r\n"
        f"From: {f'{_encoded(name, charset)} ' if name else ''}<{email}>\r\n"
        f"To: {'Reservations ' if rng.randrange(2) else ''}<{box}@tours.example>\r\n"
        f"Subject: {_encoded(subject, charset)}\r\n"
        f"{thread}X-Mailer: Agency Desk {rng.randint(3, 9)}.{rng.randint(0, 9)}\r\nMIME-Version: 1.0\r\n"
    )


def _encoded(text: str, charset: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        charset = "utf-8"
    return Header(text, charset, maxlinelen=76, header_name="Subject").encode(linesep="\r\n")


def _plain(rng: random.Random, language: _Language, text: str, _heavy: bool) -> bytes:  # noqa: FBT001  one shape for four makers
    data = text.encode(language.charset)
    if data.isascii() and language.charset == "us-ascii":
        return b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + data
    if rng.randrange(2):
        return _part("text/plain", language.charset, "base64", _base64(data))
    return _part("text/plain", language.charset, "quoted-printable", _quoted(data))


def _eight_bit(_rng: random.Random, language: _Language, text: str, _heavy: bool) -> bytes:  # noqa: FBT001
    return _part("text/plain", language.charset, "8bit", text.encode(language.charset))


def _alternative(rng: random.Random, language: _Language, text: str, _heavy: bool) -> bytes:  # noqa: FBT001
    rows = "".join(f'<tr><td class="cell">{line}</td><td>&nbsp;</td></tr>\r\n' for line in text.splitlines())
    html = f"<html><head><style>.cell {{ color: #333 }}</style></head><body><table>\r\n{rows}</table></body></html>\r\n"
    plain = _part("text/plain", language.charset, "quoted-printable", _quoted(text.encode(language.charset)))
    rich = _part("text/html", language.charset, "quoted-printable", _quoted(html.encode(language.charset)))
    return _multipart(rng, "alternative", plain, rich)


def _pdf(rng: random.Random, language: _Language, text: str, heavy: bool) -> bytes:  # noqa: FBT001
    data = b"%PDF-1.7\n" + rng.randbytes(rng.randint(100_000, 300_000) if heavy else rng.randint(500, 3000))
    name = f"voucher-{rng.randint(1, 99999)}.pdf"
    pdf = (
        f'Content-Type: application/pdf; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode() + _base64(data)
    return _multipart(rng, "mixed", _plain(rng, language, text, heavy), pdf)


def _multipart(rng: random.Random, subtype: str, *parts: bytes) -> bytes:
    boundary = f"----=_Part_{rng.getrandbits(48):012x}"
    head = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n\r\nThis is a multi-part message in MIME format.\r\n'
    opened = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    return head.encode() + opened + f"--{boundary}--\r\n".encode()


def _part(kind: str, charset: str, encoding: str, data: bytes) -> bytes:
    return f'Content-Type: {kind}; charset="{charset}"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'.encode() + data


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def _quoted(data: bytes) -> bytes:
    lines = (b"".join(_QUOTED[byte] for byte in line) for line in data.split(b"\r\n"))
    return b"\r\n".join(_soft(line) for line in lines)


_QUOTED = [bytes([code]) if 32 <= code < 127 and code != 61 else b"=%02X" % code for code in range(256)]  # noqa: PLR2004


def _soft(line: bytes) -> bytes:
    out = []
    while len(line) > 76:  # noqa: PLR2004  RFC 2045 section 6.7
        cut = 75 - (line[73:75].find(b"=") + 1 and 2 - line[73:75].find(b"="))
        out.append(line[:cut] + b"=\r\n")
        line = line[cut:]
    return b"".join((*out, line))
