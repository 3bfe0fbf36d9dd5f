"""What Exchange does to the bytes of mail: makes MIME anew, and adds files to drafts."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ExchangeAttachment", "attached", "header_fields", "header_value", "made_anew", "with_body", "with_field", "with_fields"]

_LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
_END = re.compile(rb"\n(?=\r?\n)")
_BOUNDARY = re.compile(rb'boundary="?([^";\s]+)', re.IGNORECASE)


@dataclass(slots=True, kw_only=True, eq=False)
class ExchangeAttachment:
    """A file of a draft."""

    id: str = field(default_factory=lambda: f"AAMkAttachment{uuid4().hex}=")
    name: str
    content_type: str = "application/octet-stream"
    content: bytes
    is_inline: bool = False
    content_id: str = ""


def header_fields(mime: bytes) -> list[tuple[str, bytes]]:
    """Return the fields of a message's header: the name in lower case, and all its lines as they are."""
    fields: list[tuple[str, bytes]] = []
    for line in _LINE.findall(_split(mime)[0]):
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1] = fields[-1][0], fields[-1][1] + line
        else:
            fields.append((line.partition(b":")[0].strip().decode("latin-1").lower(), line))
    return fields


def header_value(mime: bytes, name: str) -> str:
    """Return the unfolded value of a message's first header field with a name; empty if there is none."""
    wanted = name.lower()
    raw = next((lines for field_name, lines in header_fields(mime) if field_name == wanted), b"")
    return b" ".join(raw.partition(b":")[2].split()).decode("utf-8", "replace")


def with_fields(mime: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Return a message in whose header each field is what ``change`` makes of its name and lines; empty bytes remove it."""
    body = _split(mime)[1]
    return b"".join(change(name, lines) for name, lines in header_fields(mime)) + body


def with_field(mime: bytes, name: str, value: str) -> bytes:
    """Return a message whose header has one field with a name; an empty value removes it."""
    wanted = name.lower()
    rest = with_fields(mime, lambda field_name, lines: b"" if field_name == wanted else lines)
    return f"{name}: {value}\r\n".encode() + rest if value else rest


def with_body(mime: bytes, content_type: str, text: str) -> bytes:
    """Return a message with another body."""
    outer = with_fields(mime, lambda name, lines: b"" if name.startswith("content-") else lines)
    fields = f"Content-Type: {content_type}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return _split(outer)[0] + fields.encode() + base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")


def attached(mime: bytes, attachments: Sequence[ExchangeAttachment]) -> bytes:
    """Return a message with files, which makes it multipart/mixed (RFC 2046 section 5.1.3)."""
    if not attachments:
        return mime
    boundary = f"_{sha256(repr([one.id for one in attachments]).encode()).hexdigest()[:30]}_"
    inner = b"".join(lines for name, lines in header_fields(mime) if name.startswith("content-"))
    outer = with_fields(mime, lambda name, lines: b"" if name.startswith(("content-", "mime-version")) else lines)
    header, body = _split(outer)
    parts = [inner + (body or b"\r\n"), *map(_part, attachments)]
    line = f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'.encode()
    mark = f"--{boundary}".encode()
    return header + line + b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def made_anew(mime: bytes, salt: str) -> bytes:
    """Return a message as Exchange makes its MIME anew: other boundaries, further header fields, and all else the same."""
    token = sha256(salt.encode()).hexdigest()
    header, body = _split(mime)
    found = _BOUNDARY.search(header)
    if found is not None:
        boundary = f"_000_{token[:32]}_".encode()
        header = header[: found.start(1)] + boundary + header[found.end(1) :]
        body = re.sub(rb"^--" + re.escape(found[1]), b"--" + boundary, body, flags=re.MULTILINE)
    # Other lengths, too: its size is no more reliable than its digest.
    added = f"X-MS-Exchange-Organization-Network-Message-Id: {token[: 8 + int(token[0], 16)]}\r\nX-MS-Has-Attach:\r\n"
    return added.encode() + header + body


def _part(one: ExchangeAttachment) -> bytes:
    how = "inline" if one.is_inline else "attachment"
    name = one.name.encode("ascii", "xmlcharrefreplace").decode().replace('"', "'")
    lines = [f'Content-Type: {one.content_type}; name="{name}"', f'Content-Disposition: {how}; filename="{name}"']
    lines += [f"Content-ID: <{one.content_id}>"] if one.content_id else []
    lines += ["Content-Transfer-Encoding: base64", "", ""]
    return "\r\n".join(lines).encode() + base64.encodebytes(one.content).replace(b"\n", b"\r\n")


def _split(mime: bytes) -> tuple[bytes, bytes]:
    """Split a message after its header; what follows begins with the empty line."""
    if mime.startswith((b"\n", b"\r\n")):
        return b"", mime
    end = _END.search(mime)
    return (mime[: end.end()], mime[end.end() :]) if end else (mime, b"")
