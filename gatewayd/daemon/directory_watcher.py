"""Watches the folders of operators' directories, so that a changed file is looked at before the mail that comes after it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["DirectoryWatcher"]

#: Milliseconds without a further change after which a change is told, at most, and between two looks at which folders there are.
_SETTLED, _STEP, _AGAIN = 200, 20, 500
#: Seconds until folders that can't be watched are tried again: until then they are looked at by time alone.
_LATER = 5.0


class DirectoryWatcher:
    """Tells of changes, in whatever thread calls ``run``, until ``stop``."""

    def __init__(self, folders: Callable[[], Collection[Path]], touched: Callable[[Collection[Path]], None]) -> None:
        self._folders = folders
        self._touched = touched
        self._stopped = False

    def stop(self) -> None:
        """Let ``run`` end, within half a second."""
        self._stopped = True

    def is_set(self) -> bool:
        """Whether it is told to end, as watchfiles asks for it."""
        return self._stopped

    def run(self) -> None:
        """Watch until it is told to end."""
        while not self._stopped:
            there = _there(self._folders())
            try:
                self._watch(there)
            except (OSError, RuntimeError):
                # A folder is gone by now, or the system has no watches left.
                self._rest(_LATER)

    def _watch(self, there: dict[Path, int]) -> None:
        if not there:
            self._rest(_AGAIN / 1000)
            return
        changes = watch(
            *there,
            watch_filter=None,
            debounce=_SETTLED,
            step=_STEP,
            stop_event=self,
            rust_timeout=_AGAIN,
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        told: Collection[Path] = [*there]
        for changed in changes:
            # First of all: nobody saw what changed before the watch stood.
            told = {*told, *(Path(path) for _, path in changed)}
            if told:
                self._touched(told)
            told = ()
            # A folder that was replaced by another of its name is another one.
            if _there(self._folders()) != there:
                return

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < until:
            time.sleep(min(seconds, _AGAIN / 1000))


def _there(folders: Collection[Path]) -> dict[Path, int]:
    """Return the folders that can be watched, each with what tells it from another of its name."""
    found = {}
    for folder in sorted(folders):
        try:
            found[folder] = folder.stat().st_ino
        except OSError:
            continue
    return found
