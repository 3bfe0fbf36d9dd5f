"""When files count as written: an export takes its time, and half of it must not be taken for the whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd_csv.tables import stamps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd_csv.tables import Stamp

__all__ = ["settled"]

#: Seconds for which a file must not change, or must be gone; and one that is shorter than this part of what it was, which may be
#: half an export.
_QUIET, _QUIET_SHORTER, _SHORTER = 2.0, 7.0, 0.9
#: Seconds that are waited for that at most, and between two looks.
_PATIENCE, _LOOK = 10.0, 0.1
#: So many seconds ago is long ago, whatever the clock says that a file has its time from: that of a file server may be behind.
_LONG_AGO = 900.0


def settled(folder: Path, before: Sequence[Stamp]) -> tuple[Stamp, ...] | None:
    """Return the stamps of the files once those that differ from ``before`` count as written; None where they do not yet.

    Raises ConfigError where the folder can't be read.
    """
    old = {one.name: one for one in before}
    seen: dict[Stamp | str, float] = {}
    until = time.monotonic() + _PATIENCE
    while True:
        found = stamps(folder)
        now = time.monotonic()
        gone = old.keys() - {one.name for one in found}
        for name in old.keys() - gone:
            seen.pop(name, None)
        lefts = [_left(one, old.get(one.name), now - seen.setdefault(one, now)) for one in found]
        lefts += [_QUIET - (now - seen.setdefault(name, now)) for name in gone]
        left = max(lefts, default=0.0)
        if left <= 0:
            return found
        if now >= until:
            return None
        time.sleep(min(left, _LOOK))


def _left(one: Stamp, old: Stamp | None, watched: float) -> float:
    """Return for how many seconds a file must stay as it is; ``watched`` is for how long it was seen to do so."""
    if one == old:
        return 0.0
    quiet = _QUIET_SHORTER if old and one.size < _SHORTER * old.size else _QUIET
    return 0.0 if time.time() - one.mtime_ns / 1e9 > _LONG_AGO else quiet - watched
