"""Addresses as people type them, and as our own mail may carry them."""

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

#: How many addresses one word of a person may hold.
_MOST = 1000
# What is quoted may be anything. Behind an address in angle brackets stands a comma or nothing: what else does would be lost.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|(?P<unclosed>))|(?P<unparted>>\s*[^\s,;])')
_BETWEEN = re.compile(r"[,;]")
#: How much of somebody else's name our own mail carries, in characters.
LONGEST_NAME = 200


def addresses(typed: Iterable[str]) -> tuple[Address, ...]:
    """Return the addresses of what a person typed, such as ``Anna <anna@example.com>``; several are separated by commas.

    Raises PermanentError for what is no address, or can't stand in a mail of ours.
    """
    return tuple(strict(one) for word in typed for one in _parsed(word))


def _parsed(word: str) -> tuple[Address, ...]:
    if BREAKS.search(word):
        raise PermanentError(f"{word!r} is no address: it has line breaks or control characters")
    # What is quoted is no structure, and stays as long as it is.
    bare = _STRUCTURE.sub(lambda part: "-" * len(part[0]), word)
    # The parser reads what robots write, too; a person who leaves out a comma means somebody else than it would find.
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
    """Return the one address of what was typed between two commas."""
    # The parser takes each character for one byte, as it stands in mail.
    found, _ = address_list(word.encode("utf-8", "replace").decode("latin-1"), _MOST)
    if len(found) != 1 or not _typed(found[0], word):
        raise _no_address(word)
    return found[0]


def _no_address(word: str) -> PermanentError:
    advice = "A name with a comma needs quotes around it."
    return PermanentError(f"{word.strip()[:100]!r} is no address: expected name@domain, or Name <name@domain>", advice=advice)


def _typed(address: Address, word: str) -> bool:
    """Whether a person typed this very address, in angle brackets where it has a name."""
    return (f"<{address.email}>" if address.name else address.email) in word


def strict(address: Address) -> Address:
    """Return the address with its domain in A-labels (RFC 5890); raises PermanentError where our own mail can't carry it."""
    try:
        email = wire(address.email)
    except PermanentError as error:
        advice = error.advice or "Expected name@domain, or Name <name@domain>; a name with a comma needs quotes around it."
        raise PermanentError(error.message, advice=advice) from None
    if not email.isascii():
        # It would need SMTPUTF8 (RFC 6531) on the whole way, and a mail in another form for it.
        advice = "Ask for an address whose part before the @ is ASCII."
        raise PermanentError(f"{address.email!r} can't be written to: its name before the @ is not ASCII", advice=advice)
    return replace(address, email=email)
