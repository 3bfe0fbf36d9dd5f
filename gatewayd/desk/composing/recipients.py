"""Read the addresses that people type, and check that our own mail can carry them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from gatewayd.errors import PermanentError
from gatewayd.message.addresses import address_list
from gatewayd.message.control_characters import BREAKS
from gatewayd.message.envelope import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.message.values import Address

__all__ = ["LONGEST_NAME", "addresses", "strict"]

#: The most addresses in one word that a person types.
_MOST = 1000
# Quoted text may be anything. Only a comma or the end may follow an address in angle brackets: anything else would be lost.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|(?P<unclosed>))|(?P<unparted>>\s*[^\s,;])')
_BETWEEN = re.compile(r"[,;]")
#: The most characters of another person's name in our own mail.
LONGEST_NAME = 200


def addresses(typed: Iterable[str]) -> tuple[Address, ...]:
    """Return the addresses that a person typed, such as ``Anna <anna@example.com>``; several are separated by commas.

    Raises PermanentError for a word that is no address, or that a mail of ours can't carry.
    """
    return tuple(strict(one) for word in typed for one in _parsed(word))


def _parsed(word: str) -> tuple[Address, ...]:
    if BREAKS.search(word):
        raise PermanentError(f"{word!r} is no address: it has line breaks or control characters")
    # Commas in quotes separate nothing; places in the word stay the same.
    bare = _STRUCTURE.sub(lambda part: "-" * len(part[0]), word)
    # The parser is made for robots' mail, too: where a person leaves out a comma, it would find another address than is meant.
    odd = any(part.lastgroup for part in _STRUCTURE.finditer(word))
    ends = [-1, *(match.start() for match in _BETWEEN.finditer(bare)), len(word)]
    if odd or len(ends) > _MOST:
        raise _no_address(word)
    pieces = [word[start + 1 : end] for start, end in pairwise(ends)]
    found = tuple(_one(piece) for piece in pieces if piece.strip())
    if not found:
        raise _no_address(word)
    return found


def _one(word: str) -> Address:
    """Return the one address between two commas."""
    # The parser takes each character for one byte, as in a mail.
    found, _ = address_list(word.encode("utf-8", "replace").decode("latin-1"), _MOST)
    # The very address that a person typed, in angle brackets if it has a name.
    if len(found) != 1 or (f"<{found[0].email}>" if found[0].name else found[0].email) not in word:
        raise _no_address(word)
    return found[0]


def _no_address(word: str) -> PermanentError:
    advice = "A name with a comma needs quotes around it."
    return PermanentError(f"{word.strip()[:100]!r} is no address: expected name@domain, or Name <name@domain>", advice=advice)


def strict(address: Address) -> Address:
    """Return the address with its domain in A-labels (RFC 5890); raises PermanentError if our own mail can't carry it."""
    try:
        email = wire(address.email)
    except PermanentError as error:
        advice = error.advice or "Expected name@domain, or Name <name@domain>; a name with a comma needs quotes around it."
        raise PermanentError(error.message, advice=advice) from None
    if not email.isascii():
        # It would need SMTPUTF8 (RFC 6531) on the whole way, and another form of the mail.
        advice = "Ask for an address whose part before the @ is ASCII."
        raise PermanentError(f"{address.email!r} can't be written to: its name before the @ is not ASCII", advice=advice)
    return replace(address, email=email)
