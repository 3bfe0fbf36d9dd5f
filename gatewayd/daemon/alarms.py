"""What a person must see to now, and when that is told: little and together, for nobody reads a hundred mails.

An alarm is raised by whoever knows of it, and is over when the same says so. It may be raised again and again: only the
first time counts. What begins and is over before anybody was told is not told at all.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.health import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.api.health import Alarm, AlarmKind

__all__ = ["AlarmDigest", "Alarms"]

#: Seconds within which what begins and ends is told together.
_TOGETHER = 60.0
#: So many notices in so many seconds, at most.
_NOTICES, _HOUR = 6, 3600.0

_Key: TypeAlias = "tuple[AlarmKind, str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmDigest:
    """What is to be told at once."""

    begun: tuple[Standing, ...] = ()
    #: What was told of before, and is over.
    over: tuple[Standing, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.over)


@dataclass(slots=True)
class _Known:
    """One alarm as it is known; times are on the clock of ``Alarms``."""

    standing: Standing
    #: From when on it is to be told.
    ripe_at: float
    told: bool = False
    over_at: float | None = None


class Alarms:
    """Collects alarms. Every method may be called from any thread, and none waits."""

    def __init__(self, *, after: float = 900.0, clock: Callable[[], float] = time.monotonic) -> None:
        #: Seconds after which an alarm counts that may pass by itself.
        self.after = after
        self._clock = clock
        self._known: dict[_Key, _Known] = {}
        self._told_at: deque[float] = deque(maxlen=_NOTICES)
        self._door = Lock()

    def raised(self, alarm: Alarm) -> None:
        """Take in that something is wrong, for the first time or still."""
        now, key = self._clock(), (alarm.kind, alarm.name)
        ripe = now + (self.after if alarm.passing else 0.0)
        with self._door:
            known = self._known.get(key)
            if known is None:
                self._known[key] = _Known(Standing(alarm=alarm, since=datetime.now(UTC)), ripe)
                return
            known.standing = replace(known.standing, alarm=alarm)
            known.ripe_at = min(known.ripe_at, ripe)
            # It was over for a moment, and nobody has heard of that.
            known.over_at = None

    def over(self, kind: AlarmKind, name: str = "") -> None:
        """Take in that nothing is wrong, any more or still."""
        with self._door:
            known = self._known.get((kind, name))
            if known is None:
                return
            if not known.told:
                del self._known[kind, name]
            elif known.over_at is None:
                known.over_at = self._clock()

    def forget(self, kind: AlarmKind, name: str = "") -> None:
        """Take in that it is no longer ours to say how this is."""
        with self._door:
            self._known.pop((kind, name), None)

    def standing(self) -> Sequence[Standing]:
        """Return what stands now, told or not, by kind and name."""
        with self._door:
            return [known.standing for _, known in sorted(self._known.items()) if known.over_at is None]

    def due(self) -> AlarmDigest:
        """Return what is to be told now, empty where nothing is. It stays due until ``told``."""
        now = self._clock()
        with self._door:
            begun = {key: one for key, one in self._known.items() if not one.told and one.ripe_at <= now}
            over = {key: one for key, one in self._known.items() if one.over_at is not None}
            first = min([*(one.ripe_at for one in begun.values()), *(one.over_at or now for one in over.values())], default=None)
            full = len(self._told_at) == _NOTICES and now - self._told_at[0] < _HOUR
            if first is None or now - first < _TOGETHER or full:
                return AlarmDigest()
            return AlarmDigest(
                begun=tuple(one.standing for _, one in sorted(begun.items())),
                over=tuple(one.standing for _, one in sorted(over.items())),
            )

    def told(self, news: AlarmDigest) -> None:
        """Take in that it was told. What has changed since it was made is due again."""
        now = self._clock()
        with self._door:
            self._told_at.append(now)
            for one in news.begun:
                # Over meanwhile, and forgotten: that is to be told, too.
                known = self._known.setdefault((one.alarm.kind, one.alarm.name), _Known(one, now, over_at=now))
                known.told = True
            for one in news.over:
                was = self._known.get((one.alarm.kind, one.alarm.name))
                if was is not None and was.over_at is None:
                    was.told, was.ripe_at = False, now
                elif was is not None:
                    del self._known[one.alarm.kind, one.alarm.name]
