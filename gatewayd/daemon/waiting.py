"""What the main thread waits for: signals, changed files of the config, and the next look."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from watchfiles import watch

from gatewayd.config import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType
    from typing import Self

    from gatewayd.config import Config

__all__ = ["Waiting"]

#: Milliseconds without a further change after which files count as written, and after which a signal is seen at the latest.
_SETTLED, _STEP = 300, 100
#: What people edit; what their editors leave beside it is none of it.
_SUFFIXES = {".yaml", ".py", ""}


class _Flag:
    """What watchfiles asks whether to stop."""

    def __init__(self) -> None:
        self.up = False

    def is_set(self) -> bool:
        return self.up


class Waiting:
    """Takes the signals over while its block lasts."""

    def __init__(self) -> None:
        self._stop = _Flag()
        self._interrupted = _Flag()
        self._reload = False
        #: Which signal said to end.
        self.why = ""
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number, handler in ((signal.SIGTERM, self._end), (signal.SIGINT, self._end), (signal.SIGHUP, self._again)):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.why = signal.Signals(number).name
        self._stop.up = self._interrupted.up = True

    def _again(self, _: int, __: FrameType | None) -> None:
        self._reload = self._interrupted.up = True

    def events(self, config: Callable[[], Config], every: float) -> Iterator[Literal["reload", "look"]]:
        """Yield ``reload`` for changed files or SIGHUP, and ``look`` about every so many seconds, until a signal says to end."""
        while not self._stop.up:
            self._interrupted.up = self._stop.up
            if self._reload:
                self._reload = False
                yield "reload"
                continue
            yield from self._watch(watched(config()), every)

    def _watch(self, folders: tuple[Path, ...], every: float) -> Iterator[Literal["reload", "look"]]:
        """Yield until a signal comes or files change; then the folders to watch may be others."""
        looked = time.monotonic()
        changes = watch(
            *folders,
            watch_filter=lambda _, path: Path(path).suffix in _SUFFIXES,
            debounce=_SETTLED,
            step=_STEP,
            stop_event=self._interrupted,
            rust_timeout=int(every * 1000),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for changed in changes:
            if changed:
                self._reload = True
                return
            if time.monotonic() - looked >= every:
                looked = time.monotonic()
            yield "look"
