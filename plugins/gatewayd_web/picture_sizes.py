"""Tell the type of a picture and how many pixels it has by its first bytes, without decoding it.

A small file can have so many pixels that a browser takes minutes and all memory for it.
"""

from __future__ import annotations

__all__ = ["pixels_of", "type_of"]

_PNG = b"\x89PNG\r\n\x1a\n"
_MARKS = ((_PNG, "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"))
#: Marks of the frame of a JPEG, which says its size (ITU-T T.81 table B.1): not those of tables.
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SCAN = 0xDA
#: What a JPEG may have before its frame: pieces with colour profiles, a small picture of it, and notes.
_MAX_PIECES = 500


def type_of(data: bytes) -> str:
    """Return the media type of a picture that browsers can show safely; empty for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _MARKS if data.startswith(mark)), "")


def pixels_of(data: bytes, kind: str) -> int:
    """Return the number of pixels of a picture of a type that ``type_of`` returned; 0 if that can't be read."""
    if kind == "image/png":
        # Its first piece is the header (PNG section 11.2.1).
        return _big(data[16:20]) * _big(data[20:24]) if data[12:16] == b"IHDR" else 0
    if kind == "image/gif":
        return _little(data[6:8]) * _little(data[8:10])
    return _webp(data) if kind == "image/webp" else _jpeg(data)


def _webp(data: bytes) -> int:
    """Return the pixels of a WebP file of one of its three formats (RFC 9649 sections 2.5 to 2.7, 3.4; RFC 6386 section 9.1)."""
    form = data[12:16]
    if form == b"VP8X":
        return (_little(data[24:27]) + 1) * (_little(data[27:30]) + 1)
    if form == b"VP8L":
        bits = _little(data[21:25])
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    return (_little(data[26:28]) & 0x3FFF) * (_little(data[28:30]) & 0x3FFF) if form == b"VP8 " else 0


def _jpeg(data: bytes) -> int:
    """Return the pixels of a JPEG, which its frame says (ITU-T T.81 section B.2.2)."""
    at = 2
    for _ in range(_MAX_PIECES):
        while data[at + 1 : at + 2] == b"\xff":
            at += 1
        mark = data[at + 1 : at + 2]
        if data[at : at + 1] != b"\xff" or not mark or mark[0] == _SCAN:
            break
        if mark[0] in _FRAMES:
            return _big(data[at + 5 : at + 7]) * _big(data[at + 7 : at + 9])
        at += 2 + max(_big(data[at + 2 : at + 4]), 2)
    return 0


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
