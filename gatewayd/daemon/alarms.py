"""Collect alarms, and decide when administrators are notified: seldom, and of several alarms at once.

The room that raises an alarm also ends it. Raising it again changes nothing but its text. An alarm that begins and ends
between two notices is not in any.
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

#: Seconds for which alarms are collected into one notice.
_TOGETHER = 60.0
#: At most so many notices in so many seconds.
_NOTICES, _HOUR = 6, 3600.0

_Key: TypeAlias = "tuple[AlarmKind, str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmDigest:
    """The alarms of one notice."""

    begun: tuple[Standing, ...] = ()
    #: Alarms of earlier notices that are over.
    over: tuple[Standing, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.over)


@dataclass(slots=True)
class _Known:
    """One alarm; times are on the clock of ``Alarms``."""

    standing: Standing
    #: From when on it belongs into a notice.
    ripe_at: float
    told: bool = False
    over_at: float | None = None


class Alarms:
    """Collects alarms. Every method may be called from any thread, and none waits."""

    def __init__(self, *, after: float = 900.0, clock: Callable[[], float] = time.monotonic) -> None:
        #: Seconds that an alarm which may pass by itself must last.
        self.after = after
        self._clock = clock
        self._known: dict[_Key, _Known] = {}
        self._told_at: deque[float] = deque(maxlen=_NOTICES)
        self._lock = Lock()

    def raised(self, alarm: Alarm) -> None:
        """Add an alarm, or change the text of one that lasts."""
        now, key = self._clock(), (alarm.kind, alarm.name)
        ripe = now + (self.after if alarm.passing else 0.0)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                self._known[key] = _Known(Standing(alarm=alarm, since=datetime.now(UTC)), ripe)
                return
            known.standing = replace(known.standing, alarm=alarm)
            known.ripe_at = min(known.ripe_at, ripe)
            # It was over for a moment, which no notice has reported.
            known.over_at = None

    def over(self, kind: AlarmKind, name: str = "") -> None:
        """End an alarm, if there is one."""
        with self._lock:
            known = self._known.get((kind, name))
            if known is None:
                return
            if not known.told:
                del self._known[kind, name]
            elif known.over_at is None:
                known.over_at = self._clock()

    def forget(self, kind: AlarmKind, name: str = "") -> None:
        """Drop an alarm, because somebody else is responsible for it now."""
        with self._lock:
            self._known.pop((kind, name), None)

    def standing(self) -> Sequence[Standing]:
        """Return the alarms that last, by kind and name, with those that no notice had yet."""
        with self._lock:
            return [known.standing for _, known in sorted(self._known.items()) if known.over_at is None]

    def due(self) -> AlarmDigest:
        """Return the notice that is due now, or an empty one. It stays due until ``told`` is called."""
        now = self._clock()
        with self._lock:
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
        """Take note that a notice was sent. Alarms that changed since it was made are due again."""
        now = self._clock()
        with self._lock:
            self._told_at.append(now)
            for one in news.begun:
                # If it was over meanwhile and dropped, the next notice says that it is over.
                known = self._known.setdefault((one.alarm.kind, one.alarm.name), _Known(one, now, over_at=now))
                known.told = True
            for one in news.over:
                was = self._known.get((one.alarm.kind, one.alarm.name))
                if was is not None and was.over_at is None:
                    was.told, was.ripe_at = False, now
                elif was is not None:
                    del self._known[one.alarm.kind, one.alarm.name]
