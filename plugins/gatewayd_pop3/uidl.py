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

__all__ = ["digest_key", "keys", "numbered", "unnamed"]

_LINE = re.compile(rb"[ \t]{0,9}(\d{1,9})(?:[ \t]{1,9}(.*+))?", re.DOTALL)
_LONGEST = 1000
_WORD = re.compile(rb"[\x21-\x7e]{1,255}")


def numbered(body: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield message number and what stands behind it for each line of a UIDL or LIST reply, which comes in pieces.

    What is no such line, or a longer one than any server sends, is left out.
    """
    rest = b""
    for piece in body:
        *lines, rest = (rest + piece).split(b"\r\n")
        # A line is matched by its beginning and its length, so no more than that is kept of one that does not end.
        rest = rest[: _LONGEST + 1] + rest[-1:] if len(rest) > _LONGEST else rest
        yield from _matches(lines)
    yield from _matches([rest])


def _matches(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    found = (_LINE.fullmatch(line) for line in lines if len(line) <= _LONGEST)
    return ((int(line[1]), (line[2] or b"").strip()) for line in found if line)


def digest_key(content: bytes) -> str:
    """Return a key for a message that has no usable UIDL."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def unnamed(numbers: Iterable[int], uidls: Mapping[int, bytes]) -> list[int]:
    """Return the numbers that their UIDL alone does not name, ascending; their header blocks are needed."""
    times = Counter(uidls.values())
    return sorted(number for number in numbers if times[uidls.get(number, b"")] != 1 or not uidls.get(number))


def keys(uidls: Mapping[int, bytes], headers: Mapping[int, bytes], sizes: Mapping[int, int | None]) -> dict[str, int]:
    """Return number by key, in the order of numbers. ``headers`` has the header block of each ``unnamed`` message."""
    named: dict[int, str] = {}
    for number in uidls.keys() | headers.keys():
        uidl = uidls.get(number, b"")
        word = uidl.decode("ascii") if _WORD.fullmatch(uidl) else digest_key(uidl or headers[number])
        if uidl and number in headers:
            word = f"{word} #{hashlib.sha256(b'%d %b' % (sizes.get(number) or 0, headers[number])).hexdigest()[:16]}"
        named[number] = word
    found: dict[str, int] = {}
    times = Counter[str]()
    for number, name in sorted(named.items()):
        times[name] += 1
        found[name if times[name] == 1 else f"{name} #{times[name]}"] = number
    return found
