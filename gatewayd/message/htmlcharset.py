"""The charset that an html page says it is in (HTML section 13.2.3.2): for pages that come without one."""

from __future__ import annotations

import re

from gatewayd.message.charsets import codec

__all__ = ["declared"]

#: Of a page so many bytes are searched; the standard asks for 1024, but the styles of Outlook can stand before it.
_SEARCHED = 8192
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta[\s/]([^>]{1,1000})", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s{0,20}=\s{0,20}[\"']?\s{0,20}([^\s\"'/>;]{1,64})", re.IGNORECASE)
_CONTENT = re.compile(rb"content\s{0,20}=", re.IGNORECASE)
_XML = re.compile(rb"\s{0,100}<\?xml\s[^>]{0,200}?encoding\s{0,20}=\s{0,20}[\"']([^\"'\s>]{1,64})[\"']")


def declared(page: bytes, charset: str) -> str:
    """Return the charset to read a page by: that of its part, or where that names none that is known, what the page says.

    A part that calls 8-bit text ASCII names none.
    """
    known = codec(charset) if charset else None
    if page.isascii() or (known and (known != "utf-8" or "utf" in charset)):
        return charset
    head = page[:_SEARCHED]
    found = _XML.match(head)
    head = _COMMENT.sub(b"", head) if b"-->" in head else head
    for meta in () if found else _META.finditer(head):
        named = _CHARSET.search(meta[1])
        content = _CONTENT.search(meta[1])
        # In ``content`` it counts only where the meta stands for the header of that name.
        if named and (not content or named.start() < content.start() or b"content-type" in meta[1].lower()):
            found = named
            break
    label = found[1].decode("latin-1") if found else ""
    # Whoever can read it byte by byte sees that it is not of two bytes each.
    return charset if not label or (codec(label) or "").startswith("utf_16") else label
