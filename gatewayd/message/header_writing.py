"""Write the header lines of our own messages: ASCII, folded, and never more than one header (RFC 5322, RFC 2047)."""

from __future__ import annotations

import re
from email.header import Header
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd.errors import PermanentError
from gatewayd.message.control_characters import clean
from gatewayd.message.envelope import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.message.values import Address

__all__ = ["addressed", "parameter", "text", "verbatim"]

# Text that can be quoted unchanged and fits on one line (RFC 5322 section 3.2.4); an encoded word would be decoded.
_QUOTABLE = re.compile(r"(?:(?!=\?)[ !#-\[\]-~]){1,60}")
_FOLDED = 76
_UTF_8 = "utf-8''"
#: The most characters of a percent-encoded value on one line. No escape is divided.
_SECTION = 50
_SECTIONS = re.compile(rf"(?:[^%]|%..){{1,{_SECTION // 3}}}")


def text(name: str, value: str) -> str:
    """Return a header of free text, encoded and folded where necessary (RFC 2047)."""
    value = clean(value).strip()
    if value.isascii() and len(name) + len(value) < _FOLDED and "=?" not in value:
        return f"{name}: {value}"
    return f"{name}: {_words(value, name)}"


def addressed(name: str, addresses: Iterable[Address]) -> str:
    """Return a header of addresses, one on each line."""
    return f"{name}: " + ",\r\n ".join(map(_mailbox, addresses))


def verbatim(name: str, values: Iterable[str]) -> str:
    """Return a header of values that must not change, such as Message-IDs, one on each line; they are ASCII without spaces."""
    return f"{name}: " + "\r\n ".join(values)


def parameter(name: str, value: str) -> str:
    """Return a parameter of a MIME field, such as the name of a file, with the semicolon before it.

    A plain value is quoted. Any other becomes percent-encoded UTF-8 in numbered sections, one on each line (RFC 2231 sections 3
    and 4). So does a value that looks like an encoded word: some programs decode it inside quotes, against RFC 2047 section 5.
    """
    if _QUOTABLE.fullmatch(value):
        return f'; {name}="{value}"'
    encoded = quote(value, safe="")
    if len(encoded) <= _SECTION:
        return f";\r\n {name}*={_UTF_8}{encoded}"
    sections = _SECTIONS.findall(encoded)
    lines = [f"{name}*{number}*={'' if number else _UTF_8}{section}" for number, section in enumerate(sections)]
    return "".join(f";\r\n {line}" for line in lines)


def _words(value: str, name: str = "Resent-From") -> str:
    """Return text as encoded words; the first line has room for the header's ``name`` before it."""
    return Header(value, "utf-8", maxlinelen=_FOLDED, header_name=name).encode(linesep="\r\n")


def _mailbox(address: Address) -> str:
    """Return an address for a header (RFC 5322 section 3.4), in ASCII.

    An address that can't be written in ASCII becomes the name of an empty group (RFC 6857 section 3.1.10, RFC 6854).
    """
    try:
        email = wire(address.email)
    except PermanentError:
        email = ""
    if not email or not email.isascii():
        return f"{_words(clean(address.email))}:;"
    name = clean(address.name).strip()
    if not name:
        return email
    return f'"{name}" <{email}>' if _QUOTABLE.fullmatch(name) else f"{_words(name)} <{email}>"
