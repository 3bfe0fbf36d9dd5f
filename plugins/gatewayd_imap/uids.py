"""UIDs: keys, cursors, and sets of them on the wire. Does no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["MAX_UID", "Cursor", "chunks", "copied", "gmail_id", "key", "uid_of", "uid_set"]

#: A UID and a UIDVALIDITY are non-zero 32-bit numbers (RFC 3501 section 2.3.1.1).
MAX_UID = (1 << 32) - 1
#: A number of 64 bits has so many digits at most.
_DIGITS = 20

_CURSOR = re.compile(r"([1-9]\d{0,9}) (\d{1,10}) (\d{1,10})", re.ASCII)
_KEY = re.compile(r"([1-9]\d{0,9}):([1-9]\d{0,9})", re.ASCII)
_RUN = re.compile(rb"([0-9]{1,10})(?::([0-9]{1,10}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a folder was listed; as text ``uidvalidity last backlog_until``."""

    uidvalidity: int
    #: The highest UID that was listed.
    last: int
    #: UIDs up to this one are backlog: they were there when the listing began at the folder's beginning.
    backlog_until: int

    def __str__(self) -> str:
        return f"{self.uidvalidity} {self.last} {self.backlog_until}"

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Return the cursor that a text stands for, None where it is none of ours."""
        found = _CURSOR.fullmatch(text or "")
        if found is None:
            return None
        uidvalidity, last, backlog_until = (int(group) for group in found.groups())
        if max(uidvalidity, last, backlog_until) > MAX_UID:
            return None
        return cls(uidvalidity=uidvalidity, last=last, backlog_until=backlog_until)


def key(uidvalidity: int, uid: int) -> str:
    """Return the key of a message: unique in its folder, and never given again (RFC 3501 section 2.3.1.1)."""
    return f"{uidvalidity}:{uid}"


def uid_of(text: str, uidvalidity: int) -> int | None:
    """Return the UID of a key; None where it is a key of other numbers, or no key."""
    found = _KEY.fullmatch(text)
    return int(found[2]) if found and int(found[1]) == uidvalidity and int(found[2]) <= MAX_UID else None


def gmail_id(text: bytes | None) -> str | None:
    """Return an X-GM-MSGID, an unsigned number of 64 bits, as it is always written; None where it is none."""
    found = int(text) if text and text.isdigit() and len(text) <= _DIGITS else 0
    return str(found) if 0 < found < 1 << 64 else None


def uid_set(uids: Iterable[int]) -> str:
    """Return UIDs as a set on the wire, runs as ranges (RFC 3501 section 9, sequence-set).

    >>> uid_set([3, 1, 2, 7])
    '1:3,7'
    """
    runs: list[list[int]] = []
    for uid in sorted(set(uids)):
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


def copied(copyuid: object, asked: Sequence[int]) -> list[int] | None:
    """Return which of these UIDs a COPYUID says were copied (RFC 4315 section 3); None where it does not say, or names others.

    >>> copied(b"9 1,3 20:21", [1, 2, 3])
    [1, 3]
    """
    parts = copyuid.split() if isinstance(copyuid, bytes) else []
    runs = parts[1].split(b",") if len(parts) == 3 else []  # noqa: PLR2004  the target's numbers, from, to
    read = [one for run in runs[: len(asked) + 1] if (one := _RUN.fullmatch(run))]
    if len(runs) > len(asked) or len(read) < len(runs):
        return None
    bounds = [sorted((int(run[1]), int(run[2] or run[1]))) for run in read]
    found = [uid for uid in asked if any(first <= uid <= last for first, last in bounds)]
    return found if found and len(found) == sum(last - first + 1 for first, last in bounds) else None


def chunks(uids: Iterable[int], size: int) -> Iterator[list[int]]:
    """Yield lists of at most ``size``, in order."""
    rest = iter(uids)
    while chunk := list(islice(rest, size)):
        yield chunk
