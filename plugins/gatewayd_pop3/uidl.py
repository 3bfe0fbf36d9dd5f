"""Keys from a UIDL listing, also from servers that break its rules (RFC 1939 section 7).

A UIDL names a message over sessions; numbers count within one session only. What servers get wrong, and what is done, so
that no message stays without a key of its own:

- The same UIDL for several messages. The rules allow it, where it is a hash of the message; some hash a few headers only. The
  key of each is ``UIDL #digest``, the digest of its size and its header block; of messages that are equal in that, too, the second
  is ``UIDL #digest #2``. No true UIDL has a space, so these meet no other.
- A UIDL that is no word of visible ASCII, or longer than 255 bytes (the rule says 70; up to here longer ones do no harm):
  the key is its digest.
- No UIDL for a message: the key is the digest of its header block.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["keys", "lines", "mark", "numbered", "unnamed", "word"]

_LINE = re.compile(rb"[ \t]{0,9}(\d{1,9})(?:[ \t]{1,9}(.*+))?", re.DOTALL)
_LONGEST = 1000
_WORD = re.compile(rb"[\x21-\x7e]{1,255}")


def lines(body: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a reply, which comes in pieces. One that is longer than any server sends is cut."""
    rest = b""
    for piece in body:
        *whole, rest = (rest + piece).split(b"\r\n")
        # No more is kept of a line that does not end; its last byte may be the CR of its end.
        rest = rest[: _LONGEST + 1] + rest[-1:] if len(rest) > _LONGEST else rest
        yield from whole
    if rest:
        yield rest


def numbered(line: bytes) -> tuple[int, bytes] | None:
    """Return message number and what stands behind it in a line of a UIDL or LIST reply; None where it is no such line."""
    found = _LINE.fullmatch(line) if len(line) <= _LONGEST else None
    return (int(found[1]), (found[2] or b"").strip()) if found else None


def word(uidl: bytes) -> str:
    """Return what names a message by its UIDL; empty where it has none."""
    if _WORD.fullmatch(uidl):
        return uidl.decode("ascii")
    return f"sha256:{hashlib.sha256(uidl).hexdigest()}" if uidl else ""


def mark(named: str, size: int | None, head: bytes) -> str:
    """Return what tells a message from others of its name, or what names it, by its header block; empty where nothing does."""
    if not named:
        return f"sha256:{hashlib.sha256(head).hexdigest()}" if head else ""
    return hashlib.sha256(b"%d %b" % (size or 0, head)).hexdigest()[:16]


def unnamed(numbers: Iterable[int], words: Mapping[int, str]) -> list[int]:
    """Return the numbers that their UIDL alone does not name, ascending; their header blocks are needed."""
    several = {each for each, times in Counter(words.values()).items() if times > 1}
    return sorted(number for number in numbers if words.get(number, "") in several or number not in words)


def keys(words: Mapping[int, str], marks: Mapping[int, str]) -> dict[str, int]:
    """Return number by key, in the order of numbers. ``marks`` has the mark of each ``unnamed`` message."""
    found: dict[str, int] = {}
    times = Counter[str]()
    for number in sorted(words.keys() | marks.keys()):
        name = words.get(number, "")
        if number in marks:
            name = f"{name} #{marks[number]}" if name else marks[number]
        if name in found:
            # The first counts, too.
            times[name] += 1
            name = f"{name} #{times[name] + 1}"
        found[name] = number
    return found
