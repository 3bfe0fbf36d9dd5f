"""Keys from a UIDL listing, also from servers that break its rules (RFC 1939 section 7).

A UIDL names a message over sessions; numbers count within one session only. What servers get wrong, and what is done, so
that no message stays without a key of its own:

- The same UIDL twice. The rules allow it for identical messages. The second is ``UIDL #2``, the third ``UIDL #3``; no true
  UIDL has a space, so these meet no other. If the first goes, the next moves up: they are identical, so nothing is lost.
- A UIDL that is no word of visible ASCII, or longer than 255 bytes (the rule says 70; up to here longer ones do no harm):
  the key is its digest.
- No UIDL for a message: the key is the digest of its header block, which the caller gets by TOP.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["digest_key", "keys", "numbered"]

_LINE = re.compile(rb"\s*(\d{1,9})(?:[ \t]+(.*))?", re.DOTALL)
_WORD = re.compile(rb"[\x21-\x7e]{1,255}")


def numbered(body: bytes) -> dict[int, bytes]:
    """Return what stands behind each message number of a UIDL or LIST reply; lines without a number are left out."""
    found = (_LINE.fullmatch(line) for line in body.split(b"\r\n"))
    return {int(line[1]): (line[2] or b"").strip() for line in found if line}


def digest_key(content: bytes) -> str:
    """Return a key for a message that has no usable UIDL."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def keys(uidls: Mapping[int, bytes], headers: Iterable[tuple[int, bytes]]) -> dict[str, int]:
    """Return number by key, in the order of numbers. ``headers`` gives the header block of each message without UIDL."""
    named = {number: uidl.decode("ascii") if _WORD.fullmatch(uidl) else digest_key(uidl) for number, uidl in uidls.items() if uidl}
    named |= {number: digest_key(head) for number, head in headers}
    found: dict[str, int] = {}
    times: dict[str, int] = {}
    for number, name in sorted(named.items()):
        times[name] = times.get(name, 0) + 1
        found[name if times[name] == 1 else f"{name} #{times[name]}"] = number
    return found
