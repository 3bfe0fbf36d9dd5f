"""Forwards for tests, as they are sent, and originals."""

from __future__ import annotations

import base64
from email import policy
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

from gatewayd import Parcel, forwarded

if TYPE_CHECKING:
    from email.message import Message


def wired(one: Parcel, *, eight_bit: bool = True, smtputf8: bool = False) -> bytes:
    """The bytes of a forward, after the promises of ``Written`` are held against them."""
    written = forwarded(one, eight_bit=eight_bit, smtputf8=smtputf8)
    raw = b"".join(written.pieces())
    assert b"".join(written.pieces()) == raw
    assert len(raw) == written.size
    assert written.eight_bit == (not raw.isascii())
    assert raw.endswith(b"\r\n")
    assert b"\0" not in raw
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return raw


def head(raw: bytes) -> Message:
    return BytesHeaderParser(policy=policy.compat32).parsebytes(raw)


def original(raw: bytes) -> tuple[str, bytes]:
    """Take a forward apart as its receiver does; return the second part's type and what is in it."""
    boundary = b"--" + str(head(raw).get_boundary()).encode()
    _, _, rest = raw.partition(b"\r\n" + boundary + b"\r\n")
    _, _, rest = rest.partition(b"\r\n" + boundary + b"\r\n")
    part, closing, behind = rest.partition(b"\r\n" + boundary + b"--\r\n")
    assert closing
    assert not behind
    _, _, body = part.partition(b"\r\n\r\n")
    fields = head(part)
    if fields["Content-Transfer-Encoding"] != "base64":
        return fields.get_content_type(), body
    assert max(map(len, body.split(b"\r\n"))) <= 76
    return f"{fields.get_content_type()} {fields.get_filename()}", base64.b64decode(body)


CARRIED = {
    "plain": b"Subject: x\r\n\r\nbody\r\n",
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n",
    "no end": b"Subject: x\r\n\r\nbody",
    "longest": b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n" + b"y" * 998,
    "nothing": b"",
    "8-bit": b"Subject: x\r\n\r\nGr\xfc\xdfe\r\n",
}
