"""Read the content of signed and compressed S/MIME messages (RFC 8551, RFC 5652, RFC 3274), which needs no key.

The outer layers of CMS are parsed as BER, by their tags and lengths only. No signature is checked.
"""

from __future__ import annotations

import zlib
from typing import Literal, NamedTuple

__all__ = ["content_of"]

_CONTEXT_0, _CONTEXT_0_PRIMITIVE = 0xA0, 0x80
_SEQUENCE, _SET, _INTEGER, _OID, _OCTETS, _OCTETS_OF_OCTETS = 0x30, 0x31, 0x02, 0x06, 0x04, 0x24
_CONSTRUCTED = 0x20
_SIGNED = bytes.fromhex("2a864886f70d010702")
_COMPRESSED = bytes.fromhex("2a864886f70d0109100109")
#: EnvelopedData, EncryptedData and AuthEnvelopedData.
_ENCRYPTED = {bytes.fromhex(oid) for oid in ("2a864886f70d010703", "2a864886f70d010706", "2a864886f70d0109100117")}
#: How deep indefinite lengths may be nested, and of how many pieces a content may consist (promise P8).
_MAX_DEPTH = 20
_MAX_PIECES = 1_000_000


class _Bad(ValueError):
    """These bytes are no valid CMS."""


class _Value(NamedTuple):
    """The position of a BER value (X.690 section 8.1)."""

    tag: int
    start: int
    #: Where its content ends; -1 if its length is indefinite, and an end marker follows the content.
    end: int


def content_of(data: bytes, most: int) -> tuple[Literal["signed", "compressed", "encrypted"], bytes] | None:
    """Return the kind and the content of a CMS message; the content of an encrypted one is empty.

    None for anything else, for a message without content, with more than ``most`` bytes, and for a broken one.
    """
    try:
        outer = _expect(data, 0, _SEQUENCE)
        kind = _expect(data, outer.start, _OID)
        oid = data[kind.start : kind.end]
        if oid not in {_SIGNED, _COMPRESSED}:
            return ("encrypted", b"") if oid in _ENCRYPTED else None
        message = _expect(data, _expect(data, kind.end, _CONTEXT_0).start, _SEQUENCE)
        at = _expect(data, message.start, _INTEGER).end
        at = _after(data, at, _SET if oid == _SIGNED else _SEQUENCE)
        held = _expect(data, at, _SEQUENCE)
        content = _expect(data, _expect(data, held.start, _OID).end, _CONTEXT_0)
        found = _octets(data, content.start, most)
        return ("signed", found) if oid == _SIGNED else ("compressed", _inflated(found, most))
    except (_Bad, zlib.error):
        return None


def _inflated(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    found = stream.decompress(data, most)
    if stream.unconsumed_tail:
        raise _Bad("it is larger than is read")
    return found


def _value(data: bytes, at: int) -> _Value:
    header = data[at : at + 2]
    if len(header) < 2 or header[0] & 0x1F == 0x1F:  # noqa: PLR2004  CMS has no tags of several bytes
        raise _Bad(at)
    size = header[1]
    start = at + 2
    if size == 0x80:  # noqa: PLR2004
        return _Value(header[0], start, -1)
    if size > 0x80:  # noqa: PLR2004
        start += size - 0x80
        if size > 0x88:  # noqa: PLR2004
            raise _Bad(at)
        size = int.from_bytes(data[at + 2 : start])
    if start + size > len(data):
        raise _Bad(at)
    return _Value(header[0], start, start + size)


def _expect(data: bytes, at: int, tag: int) -> _Value:
    found = _value(data, at)
    if found.tag != tag:
        raise _Bad(at)
    return found


def _after(data: bytes, at: int, tag: int) -> int:
    """Return where the value that begins at ``at`` ends."""
    found = _expect(data, at, tag)
    if found.end >= 0:
        return found.end
    depth, at = 1, found.start
    for _ in range(_MAX_PIECES):
        if data[at : at + 2] == b"\0\0":
            depth, at = depth - 1, at + 2
            if not depth:
                return at
            continue
        inner = _value(data, at)
        if inner.end < 0:
            depth += 1
            if depth > _MAX_DEPTH:
                break
        at = inner.end if inner.end >= 0 else inner.start
    raise _Bad(at)


def _octets(data: bytes, at: int, most: int) -> bytes:
    """Return the bytes of an OCTET STRING, which may consist of nested pieces (X.690 section 8.7)."""
    first = _value(data, at)
    if first.tag == _OCTETS and first.end >= 0:
        return _bounded([data[first.start : first.end]], most)
    if first.tag != _OCTETS_OF_OCTETS:
        raise _Bad(at)
    pieces: list[bytes] = []
    ends, at, size = [first.end], first.start, 0
    while ends and len(pieces) < _MAX_PIECES:
        if (ends[-1] < 0 and data[at : at + 2] == b"\0\0") or at == ends[-1]:
            at += 2 if ends.pop() < 0 else 0
            continue
        inner = _value(data, at)
        if inner.tag == _OCTETS_OF_OCTETS and len(ends) < _MAX_DEPTH:
            ends.append(inner.end)
            at = inner.start
            continue
        if inner.tag != _OCTETS or inner.end < 0:
            raise _Bad(at)
        pieces.append(data[inner.start : inner.end])
        size += len(pieces[-1])
        at = inner.end
        if size > most:
            break
    if ends:
        raise _Bad(at)
    return _bounded(pieces, most)


def _bounded(pieces: list[bytes], most: int) -> bytes:
    found = b"".join(pieces)
    if len(found) > most:
        raise _Bad("it is larger than is read")
    return found
