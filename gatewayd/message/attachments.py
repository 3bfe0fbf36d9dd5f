"""Describe the files of a mail: a name that is safe to show, and the decoded size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd.message.control_characters import clean
from gatewayd.message.transfer_encoding import BASE64, transfer_decoded
from gatewayd.message.values import CHUNK, Attachment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.mime import Leaf
    from gatewayd.message.sources import Raw
    from gatewayd.message.values import Part

__all__ = ["attachment", "bare_id", "type_of"]

_MAX_NAME = 255
_MAX_ID = 998
_UNSAFE = re.compile(r"[/\\\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_EXTENSIONS = {
    "text/plain": "txt",
    "text/html": "html",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "text/rfc822-headers": "txt",
    "message/delivery-status": "txt",
    "message/disposition-notification": "txt",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/rtf": "rtf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/pkcs7-signature": "p7s",
    "application/x-pkcs7-signature": "p7s",
    "application/pkcs7-mime": "p7m",
    "application/x-pkcs7-mime": "p7m",
    "application/pgp-signature": "asc",
    "application/pgp-encrypted": "asc",
    "application/ms-tnef": "dat",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/tiff": "tif",
    "image/webp": "webp",
    "audio/mpeg": "mp3",
    "video/mp4": "mp4",
}
_TYPES = {extension: kind for kind, extension in reversed(_EXTENSIONS.items())}


def attachment(raw: Raw, leaf: Leaf, number: int) -> Attachment:
    """Return a leaf as an attachment; if it has no name, it gets one with ``number``, which counts from 1."""
    size = _size(raw, leaf.part)
    return Attachment(
        name=_name(leaf, number),
        type=leaf.part.type,
        size=size,
        part=leaf.part,
        content_id=clean(bare_id(leaf.content_id))[:_MAX_ID],
    )


def bare_id(content_id: str) -> str:
    """Return a Content-ID as URLs of the scheme ``cid`` have it (RFC 2392): without its brackets."""
    return content_id.strip(" \t<>")


def type_of(name: str) -> str:
    """Return the media type of a file by the extension of its name."""
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def _name(leaf: Leaf, number: int) -> str:
    name = _UNSAFE.sub("_", leaf.name).strip()
    if not name.strip("._ "):
        return f"attachment-{number}.{_EXTENSIONS.get(leaf.part.type, 'bin')}"
    if len(name) <= _MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 16:  # noqa: PLR2004  a longer one is none
        return name[:_MAX_NAME]
    return stem[: _MAX_NAME - len(extension) - 1] + dot + extension


def _size(raw: Raw, part: Part) -> int:
    if part.encoding == "base64":
        counted = _base64_size(raw, part)
        if counted is not None:
            return counted
    elif part.encoding not in {"quoted-printable", "x-uuencode"}:
        return part.length
    return sum(map(len, transfer_decoded(_pieces(raw, part.offset, part.offset + part.length), part.encoding)))


def _pieces(raw: Raw, start: int, end: int) -> Iterator[bytes]:
    for offset in range(start, end, CHUNK):
        yield raw[offset : min(offset + CHUNK, end)]


def _base64_size(raw: Raw, part: Part) -> int | None:
    """Return the decoded size of a base64 body by counting its characters; None if there is a "=" before its end."""
    start, end = part.offset, part.offset + part.length
    padding = raw.find(b"=", start, end)
    if padding >= 0:
        if end - padding > _PADDED or raw[padding:end].strip(b"= \t\r\n"):
            return None
        end = padding
    count = sum(len(piece) - len(piece.translate(None, BASE64)) for piece in _pieces(raw, start, end))
    # A single last character is less than a byte.
    return count * 3 // 4 if count % 4 != 1 else (count - 1) * 3 // 4


#: The longest padding and white space at the end of a body.
_PADDED = 1024
