"""Watch the folders of operators' directories, so that a changed file is loaded before the mail that comes after it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from watchfiles.main import AbstractEvent

__all__ = ["DirectoryWatcher", "folder_changes", "inodes"]

#: Milliseconds after which a change is reported at the latest, without a further change, and between two looks at the folders.
_SETTLED, _STEP, _AGAIN = 200, 20, 500
#: Seconds until folders that can't be watched are tried again. Directories are looked at from time to time anyway.
_LATER = 5.0


class DirectoryWatcher:
    """Reports changed files from ``run``, in its caller's thread, until ``stop``."""

    def __init__(self, folders: Callable[[], Collection[Path]], touched: Callable[[Collection[Path]], None]) -> None:
        self._folders = folders
        self._touched = touched
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let ``run`` end, within half a second."""
        self._stopping.set()

    def run(self) -> None:
        """Watch until ``stop`` is called."""
        while not self._stopping.is_set():
            there = inodes(self._folders())
            try:
                self._watch(there)
            except (OSError, RuntimeError):
                # A folder is gone by now, or the system has no watches left.
                self._stopping.wait(_LATER)

    def _watch(self, there: dict[Path, int]) -> None:
        if not there:
            self._stopping.wait(_AGAIN / 1000)
            return
        changes = folder_changes(there, self._stopping, settled=_SETTLED, step=_STEP, every=_AGAIN)
        told: Collection[Path] = [*there]
        for changed in changes:
            # The first time, all folders: files may have changed before they were watched.
            told = {*told, *changed}
            if told:
                self._touched(told)
            told = ()
            # A folder that was replaced by another of its name must be watched anew.
            if inodes(self._folders()) != there:
                return


def inodes(folders: Iterable[Path]) -> dict[Path, int]:
    """Return the folders that exist, each with its inode, which differs when a folder is replaced by another of its name."""
    found = {}
    for folder in sorted(folders):
        with suppress(OSError):
            found[folder] = folder.stat().st_ino
    return found


def folder_changes(folders: Iterable[Path], stop: AbstractEvent, *, settled: int, step: int, every: int) -> Iterator[set[Path]]:
    """Yield the paths that changed in folders, or none after ``every`` ms, until ``stop`` is set. The caller may take its time.

    Times are in ms: a change is reported once nothing else changed for ``step``, after ``settled`` at the latest. Without a filter,
    since changes that it leaves out would keep the watch from returning.

    Raises OSError or RuntimeError if a folder is gone, or if the system has no watches left.
    """
    for changes in watch(
        *folders,
        watch_filter=None,
        debounce=settled,
        step=step,
        stop_event=stop,
        rust_timeout=every,
        yield_on_timeout=True,
        recursive=False,
        raise_interrupt=False,
        ignore_permission_denied=True,
    ):
        yield {Path(path) for _, path in changes}
