"""Recognise mail that grew on its server, because a program wrote fields of its own into the header.

It may also become shorter again, if such a field changes or goes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.api.values import Came
from gatewayd.errors import PermanentError
from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.importing.fetching import Batch
    from gatewayd.message.values import Source

__all__ = ["grown", "has_grown"]

#: Fields that programs write into the header of mail that they keep in mbox files, and send along.
_WRITTEN = frozenset(
    {
        b"content-length",
        b"lines",
        b"status",
        b"x-imap",
        b"x-imapbase",
        b"x-keywords",
        b"x-status",
        b"x-uid",
        b"x-uidl",
    }
)
#: How many bytes of a header are read, and how many such fields may have.
_HEADER, _MOST = 1 << 18, 1 << 12


def grown(batch: Batch, stored: Callable[[int], Source]) -> Mapping[int, int]:
    """Return the messages that have grown since they were filed, as {new entry: mail}. ``stored`` gives the bytes of a mail."""
    before = {one.listed.key: (one.entry_id, one.before) for one in batch.asked if one.before is not None}
    came = [one for one in batch.came if isinstance(one, Came) and one.key in before and one.key not in batch.unlike]
    found: dict[int, int] = {}
    for one in came:
        entry_id, mail_id = before[one.key]
        # A mail that is no longer stored can't be compared: the new one is filed.
        with suppress(PermanentError):
            if has_grown(stored(mail_id), one.source):
                found[entry_id] = mail_id
    return found


def has_grown(before: Source, now: Source) -> bool:
    """Whether a message differs from an earlier copy only by fields that servers write, and has another size because of them."""
    if not 0 < abs(now.size - before.size) <= _MOST:
        return False
    old, new = _header(before), _header(now)
    if not old or not new or before.size - len(old) != now.size - len(new) or _sent(old) != _sent(new):
        return False
    starts = range(0, before.size - len(old), CHUNK)
    return all(before.read(len(old) + start, CHUNK) == now.read(len(new) + start, CHUNK) for start in starts)


def _header(source: Source) -> bytes:
    """Return the header with the empty line behind it; empty if it does not end within bounds."""
    block = source.read(0, min(source.size, _HEADER))
    ends = [at + len(end) for end in (b"\r\n\r\n", b"\n\n") if (at := block.find(end)) >= 0]
    return block[: min(ends, default=0)]


def _sent(header: bytes) -> list[bytes]:
    """Return the lines of a header without the fields that servers write."""
    lines: list[bytes] = []
    written = False
    for line in header.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            written = line.partition(b":")[0].rstrip(b" \t").lower() in _WRITTEN
        if not written:
            lines.append(line)
    return lines
