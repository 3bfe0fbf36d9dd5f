"""Wait in the main thread for signals, for changed files of the config, and for the next check."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gatewayd.config import watched
from gatewayd.daemon.directory_watcher import folder_changes, inodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType
    from typing import Self

    from gatewayd.config import Config

__all__ = ["Early", "MainWait", "newer"]

#: Milliseconds without a further change after which files count as written, and after which a signal is seen at the latest.
_SETTLED, _STEP = 300, 100
#: Suffixes of files that people edit; other files are left there by editors.
_SUFFIXES = {".yaml", ".py", ""}
#: Seconds by which a file's time may be behind the clock's.
_COARSE = 0.05


class _Flag:
    """A flag that watchfiles asks whether to stop. Unlike an Event it has no lock, which a signal handler could wait for."""

    def __init__(self) -> None:
        self.up = False

    def is_set(self) -> bool:
        return self.up


class Early:
    """Remembers a SIGHUP that comes before there is anything to reload. Without a handler it would end the process."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGHUP, self._hear)

    def _hear(self, _: int, __: FrameType | None) -> None:
        self.asked = True


class MainWait:
    """Handles the signals while its block lasts."""

    def __init__(self, read_at: float, early: Early | None = None) -> None:
        """``read_at`` is when reading the config began, as ``time.time`` has it; ``early`` has a SIGHUP that came before."""
        self._early = early
        self._stop = _Flag()
        self._interrupted = _Flag()
        self._reload = False
        self._read_at = read_at
        #: Which signal said to end.
        self.why = ""
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number, handler in ((signal.SIGTERM, self._end), (signal.SIGINT, self._end), (signal.SIGHUP, self._again)):
            self._before[number] = signal.signal(number, handler)
        self._reload = self._reload or (self._early is not None and self._early.asked)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.why = signal.Signals(number).name
        self._stop.up = self._interrupted.up = True

    def _again(self, _: int, __: FrameType | None) -> None:
        self._reload = self._interrupted.up = True

    @property
    def ended(self) -> bool:
        """Whether a signal said to end."""
        return self._stop.up

    def events(self, config: Callable[[], Config], every: float) -> Iterator[Literal["reload", "look"]]:
        """Yield ``reload`` for changed files or SIGHUP, and ``look`` about every so many seconds, until a signal says to end."""
        while not self._stop.up:
            self._interrupted.up = self._stop.up
            if self._reload:
                self._reload = False
                yield self._again_now()
                continue
            folders = watched(config())
            known, armed = inodes(folders), False
            for paths in self._changes(folders, every):
                # Files that changed while nobody watched are found by their times.
                changed = any(map(_is_ours, paths)) or (not armed and newer(folders, self._read_at))
                armed = True
                yield self._again_now() if changed else "look"
                # A folder that was replaced by another of its name must be watched anew.
                if inodes(watched(config())) != known:
                    break

    def _again_now(self) -> Literal["reload"]:
        self._read_at = time.time()
        return "reload"

    def _changes(self, folders: tuple[Path, ...], every: float) -> Iterator[set[Path]]:
        """Yield changed paths, or none after ``every`` seconds, until a signal comes. Changes meanwhile are not lost."""
        try:
            yield from folder_changes(folders, self._interrupted, settled=_SETTLED, step=_STEP, every=int(every * 1000))
        except (OSError, RuntimeError):
            # A folder is gone by now, or the system has no watches left: then its files' times are compared each time.
            until = time.monotonic() + every
            while not self._interrupted.up and time.monotonic() < until:
                time.sleep(_STEP / 1000)
            yield set()


def _is_ours(path: Path) -> bool:
    return path.suffix in _SUFFIXES


def newer(folders: tuple[Path, ...], since: float) -> bool:
    """Whether something in these folders changed after a time, give or take the file system's clock."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            ours = [entry.stat(follow_symlinks=False) for entry in entries if _is_ours(Path(entry.name))]
            if any(one.st_ctime > since - _COARSE for one in (folder.stat(), *ours)):
                return True
    return False
