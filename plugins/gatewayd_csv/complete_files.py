"""Wait until files are completely written: an export takes some time, and a partial one must not be imported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd_csv.tables import stamps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd_csv.tables import Stamp

__all__ = ["settled"]

#: Seconds for which a file must not change, or must be gone; and the same for a file that has shrunk below this share of its
#: size, which may be a partial export.
_QUIET, _QUIET_SHORTER, _SHORTER = 2.0, 7.0, 0.9
#: Seconds to wait for that at most, and between two checks.
_PATIENCE, _LOOK = 10.0, 0.1
#: A file that was changed this many seconds ago is complete, even if the clock of a file server is slow.
_LONG_AGO = 900.0


def settled(folder: Path, before: Sequence[Stamp] | None) -> tuple[Stamp, ...] | None:
    """Return the stamps of the files once those that differ from ``before`` are complete; None if they are still changing.

    ``before`` is None at the first load. Then a file's time of change counts as well, so that no start waits for a file that was
    written seconds ago: of what changes later, the clock of a file server would not say in time that it is being written.

    Raises ConfigError if the folder can't be read.
    """
    old = {one.name: one for one in before or ()}
    seen: dict[Stamp | str, float] = {}
    until = time.monotonic() + _PATIENCE
    while True:
        found = stamps(folder)
        now = time.monotonic()
        gone = old.keys() - {one.name for one in found}
        for name in old.keys() - gone:
            seen.pop(name, None)
        still = {one: now - seen.setdefault(one, now) for one in found}
        if before is None:
            still = {one: max(seconds, time.time() - one.mtime_ns / 1e9) for one, seconds in still.items()}
        lefts = [_left(one, old.get(one.name), seconds) for one, seconds in still.items()]
        lefts += [_QUIET - (now - seen.setdefault(name, now)) for name in gone]
        left = max(lefts, default=0.0)
        if left <= 0:
            return found
        if now >= until:
            return None
        time.sleep(min(left, _LOOK))


def _left(one: Stamp, old: Stamp | None, watched: float) -> float:
    """Return for how many more seconds a file must not change; ``watched`` is how long it has not changed so far."""
    if one == old:
        return 0.0
    quiet = _QUIET_SHORTER if old and one.size < _SHORTER * old.size else _QUIET
    return 0.0 if time.time() - one.mtime_ns / 1e9 > _LONG_AGO else quiet - watched
