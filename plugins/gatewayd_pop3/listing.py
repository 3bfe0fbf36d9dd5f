"""List a mailbox by STAT, LIST and UIDL, and header blocks by TOP (RFC 1939), each within its bounds."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import Listed, PermanentError, TransientError
from gatewayd_pop3.faults import garbled, refused
from gatewayd_pop3.uidl import keys, lines, mark, numbered, unnamed, word
from gatewayd_pop3.wire import UNBOUNDED, accepted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd_pop3.options import Pop3Options
    from gatewayd_pop3.wire import Wire

__all__ = ["Maildrop", "listing", "tops", "whole_heads"]

#: Of a header block so much is read as tells messages apart, so much is handed on, and a server may send so much for it.
_MAX_HEADERS, _HANDED_ON, _MAX_TOP = 1 << 20, 1 << 15, 16 << 20
#: What all header blocks of one call may have, and how much more for each: servers that send bodies, too, are few.
_MAX_TOPS, _TOP = 32 << 20, 1 << 14
#: How long the lines of a listing may be on average, and how many may be none.
_LISTED_BYTES, _ODD = 100, 1000
#: Listings of more messages are believed for so many seconds.
_SMALL, _OLD = 1_000, 60.0
_COUNT = re.compile(rb"\+OK[ \t]{1,9}(\d{1,9})\b")
_SIZE = re.compile(rb"\d{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maildrop:
    """What one connection lists. Numbers count for it only."""

    #: Message number by key, in the order of numbers.
    numbers: dict[str, int]
    #: Size by number; None where the server does not tell.
    sizes: dict[int, int | None]
    #: How many messages the server counts; None where it does not tell.
    exists: int | None
    doubts: tuple[str, ...]
    #: When it was listed, by the monotonic clock.
    at: float = field(default_factory=time.monotonic)

    @property
    def is_old(self) -> bool:
        """Whether it is to be asked for anew before it is believed once more.

        What there is can't change while we are connected (RFC 1939 section 4). A small listing is asked for all the same; to ask
        for a large one with each batch would take the square of its size.
        """
        return len(self.numbers) <= _SMALL or time.monotonic() - self.at > _OLD

    def listed(self, key: str) -> Listed:
        """Return a message as it is listed."""
        return Listed(key, self.sizes.get(self.numbers[key]))


def listing(wire: Wire, options: Pop3Options) -> Maildrop:
    """Ask for all that the mailbox holds, in three ways: STAT, LIST and UIDL. It stays as it is for the whole connection."""
    exists = _count(wire, options.max_messages)
    listed = ((number, _SIZE.match(text)) for number, text in _lines(wire, "LIST", options.max_messages))
    sizes = {number: int(size[0]) if size else None for number, size in listed}
    words = {number: word(text) for number, text in _lines(wire, "UIDL", options.max_messages) if text}
    marks = dict(_marks(wire, words, sizes))
    doubts = [
        f"STAT counts {exists} messages, {command} lists {len(found)}"
        for command, found in (("LIST", sizes), ("UIDL and TOP", words.keys() | marks.keys()))
        if exists is not None and exists != len(found)
    ]
    if exists is None and sizes.keys() != words.keys() | marks.keys():
        doubts.append(f"LIST lists {len(sizes)} messages, UIDL {len(words)}")
    return Maildrop(numbers=keys(words, marks), sizes=sizes, exists=exists, doubts=tuple(doubts))


def _marks(wire: Wire, words: Mapping[int, str], sizes: Mapping[int, int | None]) -> Iterator[tuple[int, str]]:
    """Yield the mark of each message that its UIDL alone does not name. Of its header block no more is kept."""
    for number, head in tops(wire, unnamed(sizes.keys() | words.keys(), words), most=_MAX_HEADERS):
        found = mark(words.get(number, ""), sizes.get(number), head)
        if not found:
            raise PermanentError(
                f"{wire.where}: message {number} has neither a UIDL nor headers that TOP can show",
                advice="It could not be known again. Use IMAP for this mailbox, or take that message out of it.",
            )
        yield number, found


def _count(wire: Wire, most: int) -> int | None:
    status, _ = wire.ask("STAT")
    found = _COUNT.match(status)
    if found is None:
        return None
    if int(found[1]) > most:
        raise _too_many(wire, most, f"{int(found[1])} messages")
    return int(found[1])


def _lines(wire: Wire, command: str, most: int) -> Iterator[tuple[int, bytes]]:
    for status in wire.replies([command], limit=_LISTED_BYTES * most + _MAX_HEADERS):
        if not accepted(status):
            error = refused(wire, status, f"{command} was refused")
            error.advice = (
                error.advice or "gatewayd knows mail by its UIDL (RFC 1939 section 7). Use a server that has it, or IMAP."
            )
            raise error
        found = odd = 0
        for line in lines(wire.body()):
            if (read := numbered(line)) is None:
                odd += 1
            else:
                found += 1
                yield read
            if found > most:
                raise _too_many(wire, most, f"more than {most} messages in its {command}")
            if odd > _ODD:
                raise garbled(wire.where, line, wire.secrets)


def _too_many(wire: Wire, most: int, what: str) -> PermanentError:
    return PermanentError(
        f"{wire.where}: the mailbox has {what}, and `max_messages` is {most}",
        advice="Raise `max_messages`, use IMAP for this mailbox, or delete on the server what is filed (`after: delete`).",
    )


def tops(wire: Wire, numbers: Sequence[int], *, most: int = _HANDED_ON) -> Iterator[tuple[int, bytes]]:
    """Yield each message's number and its header block, cut at ``most`` bytes; empty where the server refuses."""
    statuses = wire.replies([f"TOP {number} 0" for number in numbers], limit=_MAX_TOP)
    room = bound = _MAX_TOPS + _TOP * len(numbers)
    for number, status in zip(numbers, statuses, strict=True):
        head = b""
        for piece in wire.body() if accepted(status) else ():
            room -= len(piece)
            if room < 0:
                text = f"more than {bound} bytes came for the headers of {len(numbers)} messages, which is the bound"
                advice = "If it lasts, the server is faulty: use IMAP for this mailbox."
                raise TransientError(f"{wire.where}: TOP: {text}", advice=advice)
            head += piece[: most - len(head)]
        yield number, head


def whole_heads(wire: Wire, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each message's number and its header block, of the whole message: for servers without TOP."""
    statuses = wire.replies([f"RETR {number}" for number in numbers], limit=UNBOUNDED)
    for number, status in zip(numbers, statuses, strict=True):
        head = b""
        for piece in wire.body() if accepted(status) else ():
            head += piece[: _HANDED_ON - len(head)]
        yield number, head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head else b""
