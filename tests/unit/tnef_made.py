"""TNEF streams (MS-OXTNEF) that tests build: attributes, and properties in them."""

from __future__ import annotations

import struct

__all__ = ["attribute", "file", "props", "stream"]


def attribute(number: int, data: bytes, level: int = 1) -> bytes:
    """Return an attribute with its checksum."""
    return struct.pack("<BII", level, number, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def props(*pairs: tuple[int, int, bytes]) -> bytes:
    """Return a list of properties as (id, type, value)."""
    out = struct.pack("<I", len(pairs))
    for number, kind, value in pairs:
        out += struct.pack("<HH", kind, number)
        if number >= 0x8000:
            out += b"g" * 16 + struct.pack("<II", 0, 7)
        if kind in {0x1E, 0x1F, 0x102, 0xD}:
            out += struct.pack("<II", 1, len(value))
        out += value + b"\0" * (-len(value) % 4)
    return out


def file(title: bytes, data: bytes, *pairs: tuple[int, int, bytes]) -> bytes:
    """Return the attributes of a file."""
    out = attribute(0x00069002, b"\0" * 14, 2) + attribute(0x00018010, title + b"\0", 2)
    if data:
        out += attribute(0x0006800F, data, 2)
    return out + (attribute(0x00069005, props(*pairs), 2) if pairs else b"")


def stream(*attributes: bytes) -> bytes:
    """Return a whole stream, in code page 1252."""
    version = attribute(0x00089006, struct.pack("<I", 0x10000)) + attribute(0x00069007, struct.pack("<II", 1252, 0))
    return bytes.fromhex("789f3e22") + struct.pack("<H", 1) + version + b"".join(attributes)
