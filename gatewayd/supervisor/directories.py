"""Operators' directories: one process at a time lets each follow its changes, and whoever waits for one that is down is told.

Looking may take minutes, so it has no deadline that matters to mail: a visit waits only for an operator's very first look, and
not for ever. What was filed without the directory is matched again by itself when it is back.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.supervisor.labouring import Seconds, laboured
from gatewayd.supervisor.threads import started
from gatewayd.worker import Labour

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.examine import Recipe
    from gatewayd.supervisor.labouring import Outcome
    from gatewayd.supervisor.lanes import Lane
    from gatewayd.worker import Sealed

__all__ = ["Directories"]

#: Seconds between two looks; after one whose process had to be ended, more.
_LOOK, _AFTER_DEATH = 5.0, 60.0
#: Seconds that a visit waits for the first look, and that a look may take at all.
_FIRST, _LONGEST = 20.0, 900.0
#: Seconds until mail that was filed without the directory is tried again: at first, and at most.
_RETRY, _RETRY_LONGEST = 15.0, 300.0


@dataclass(slots=True)
class _Known:
    """What is known of one operator's directory."""

    recipe: Recipe
    #: Until when visits wait for the first look.
    patience: float
    looking: bool = False
    #: When the next look is due.
    due: float = 0.0
    looked: threading.Event = field(default_factory=threading.Event)
    faults: tuple[str, ...] = ()
    #: The last look failed.
    stale: bool = False
    #: Mail was filed without it: when that is tried again, and how long it is waited then.
    retry_at: float | None = None
    retry: float = _RETRY


@dataclass(frozen=True, slots=True)
class _Told:
    """What a look found out."""

    faults: tuple[str, ...]
    stale: bool


class Directories:
    """The directories of all operators. Every method may be called from any thread."""

    def __init__(
        self,
        lane: Lane,
        seal: Callable[[Recipe], Sealed],
        back: Callable[[str], None],
        *,
        first: float = _FIRST,
        retry: float = _RETRY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``back`` is told of an operator whose directory answers again."""
        self._lane = lane
        self._seal = seal
        self._back = back
        self._first = first
        self._retry = retry
        self._clock = clock
        self._door = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._closed = False

    def refresh(self, recipe: Recipe) -> list[str]:
        """See ``Examining``. Looks apart, every few seconds; waits for the first look only, and not for ever."""
        name = recipe.operator.name
        if recipe.directory is None or recipe.faulty:
            return []
        with self._door:
            known = self._known.get(name)
            if known is None or known.recipe.directory != recipe.directory or known.recipe.place != recipe.place:
                retry_at, patience = known.retry_at if known else None, self._clock() + self._first
                known = self._known[name] = _Known(recipe, patience, retry_at=retry_at, retry=self._retry)
            if not known.looking and self._clock() >= known.due:
                known.looking = True
                started(partial(self._look, known), f"directory-{name}")
        # All of those that come meanwhile: without it their mail would be filed with a fault each.
        left = known.patience - self._clock()
        if left > 0 and not known.looked.wait(left):
            return [f"its directory is not ready after {self._first:g} s; mail goes on without it and is matched again by itself"]
        with self._door:
            faults, known.faults = known.faults, ()
        return list(faults)

    def _look(self, known: _Known) -> None:
        """Let one process build what there is to build."""
        name, pause = known.recipe.operator.name, _LOOK
        try:
            labour = Labour(recipes={0: self._seal(known.recipe)}, refused={}, refresh=True)
            outcome = laboured(self._lane, labour, Seconds(_LONGEST), self._wanted)
        except GatewaydError as error:
            told = _Told((error.message,), stale=True)
        else:
            told = _said(outcome)
            pause = _AFTER_DEATH if outcome.failure else _LOOK
        with self._door:
            back = known.stale and not told.stale
            known.faults, known.stale, known.looking, known.due = told.faults, told.stale, False, self._clock() + pause
        known.looked.set()
        if back:
            self._back(name)

    def _wanted(self, _: object) -> None:
        if self._closed:
            raise GatewaydError("it was ended")

    def told(self, operator: str, *, failed: bool) -> None:
        """Take note that mail was matched with the directory, or could not be."""
        with self._door:
            known = self._known.get(operator)
            if known is None:
                return
            back = not failed and known.retry_at is not None
            if failed and known.retry_at is None:
                known.retry_at = self._clock() + known.retry
            elif not failed:
                known.retry_at, known.retry = None, self._retry
        if back:
            self._back(operator)

    def due(self) -> Sequence[str]:
        """Return the operators whose mail that was filed without a directory is to be tried again now."""
        now, due = self._clock(), []
        with self._door:
            for name, known in self._known.items():
                if known.retry_at is not None and known.retry_at <= now:
                    known.retry = min(known.retry * 2, _RETRY_LONGEST)
                    known.retry_at = now + known.retry
                    due.append(name)
        return sorted(due)

    def forget(self, but: Sequence[str]) -> None:
        """Forget all operators but these."""
        with self._door:
            for name in self._known.keys() - set(but):
                del self._known[name]

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True
        with self._door:
            for known in self._known.values():
                known.looked.set()


def _said(outcome: Outcome) -> _Told:
    if outcome.failure is None:
        return _Told(outcome.faults, stale=outcome.failed)
    how = f"it did not come to its end within {_LONGEST:g} s" if outcome.failure.overran else outcome.failure.how
    return _Told((f"its directory could not be refreshed: {how}",), stale=True)
