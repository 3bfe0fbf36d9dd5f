"""Listen to all watched servers in one thread, which sleeps until a server speaks or has to prove that it is still there."""

from __future__ import annotations

import math
import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.session import Heard
from gatewayd.errors import GatewaydError, PluginError, TransientError
from gatewayd.runtime.due_times import DueTimes
from gatewayd.runtime.threads import started
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gatewayd.api.session import Watch

__all__ = ["WatchEvent", "Watcher"]

#: Renewals wait for the next half second, so that many of them cost one wake-up.
_STEP = 0.5
#: A watch that wakes the thread so often with nothing to report would keep it busy: it counts as lost.
_EMPTY_WAKEUPS = 1000
_NOTHING = Heard()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """News of a watch."""

    name: str
    #: Mail may have come.
    news: bool = False
    #: The server proved that nothing was missed.
    proven: bool = False
    #: It is lost, and no longer watched.
    lost: GatewaydError | None = None


@dataclass(slots=True, eq=False)
class _Watched:
    name: str
    watch: Watch
    #: Seconds between two proofs that nothing was missed, and until such a proof must have come.
    every: float
    timeout: float
    file: int = -1
    #: It was asked for a proof that has not come yet.
    asked: bool = False
    #: How often in a row it woke the thread with nothing to report.
    empty: int = 0


class Watcher:
    """Watches. A watch that is added belongs to the watcher until ``remove`` returned, or until it was reported lost."""

    def __init__(self, report: Callable[[Sequence[WatchEvent]], None], failed: Callable[[BaseException], None]) -> None:
        """``report`` gets the events, ``failed`` gets bugs of the watcher; both are called in its thread, and must not wait."""
        self._report = report
        self._failed = failed
        #: How often the thread woke up.
        self.turns = 0
        self._lock = threading.Lock()
        self._watches: dict[str, _Watched] = {}
        self._fresh: list[_Watched] = []
        self._due = DueTimes()
        self._ended = False
        #: The watch that is being called now, and since when.
        self._calling: tuple[str, float] | None = None
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = started(self._run, "watcher")

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, name: str, watch: Watch, *, every: float, timeout: float) -> None:
        """Watch from now on; let the server prove itself each ``every`` seconds, within ``timeout`` seconds."""
        with self._lock:
            if name in self._watches:
                self._forget(self._watches[name])
            watched = self._watches[name] = _Watched(name, watch, every=min(every, watch.lasts), timeout=timeout)
            self._fresh.append(watched)
        self._ring()

    def remove(self, name: str, watch: Watch) -> bool:
        """Give the watch back to the caller, who alone has it afterwards; return whether it was still watched.

        Waits while the thread is in a call of a watch, which may not take long; see ``stuck``.
        """
        with self._lock:
            watched = self._watches.get(name)
            if watched is None or watched.watch is not watch:
                return False
            self._forget(watched)
        return True

    def stuck(self, seconds: float) -> str | None:
        """Return the name of a watch that has kept the thread for longer, against its contract; it should be aborted."""
        calling = self._calling
        return calling[0] if calling and time.monotonic() - calling[1] > seconds else None

    def stop(self, timeout: float) -> Collection[str]:
        """End, and return the names of those that were still watched; all of them belong to the caller now."""
        with self._lock:
            self._ended = True
        self._ring()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self._selector.close()
            self._bell.close()
            self._ear.close()
        return list(self._watches)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001  a bug here must not leave all accounts unwatched
                self._failed(error)
                time.sleep(_STEP)

    def _turn(self) -> None:
        with self._lock:
            at = self._due.next()
            pause = 0.0 if self._fresh else None if at is None else max(0.0, at - time.monotonic())
        # Watches may be added and removed meanwhile; ``_call`` ignores those that are no longer ours.
        ready = [key.data for key, _ in self._selector.select(pause)]
        self.turns += 1
        events: list[WatchEvent] = []
        for watched in ready:
            if watched is not None:
                events += self._call(watched, self._listen)
                continue
            with suppress(BlockingIOError):
                while self._ear.recv(4096):
                    pass
        fresh, self._fresh = self._fresh, []
        for watched in fresh:
            events += self._call(watched, self._begin)
        with self._lock:
            due = [self._watches[name] for name, _ in self._due.pop(time.monotonic())]
        for watched in due:
            events += self._call(watched, self._renew)
        if events:
            self._report(events)

    def _call(self, watched: _Watched, call: Callable[[_Watched], Heard]) -> list[WatchEvent]:
        """Call one watch, if it is still ours. The lock is held, so that whoever removes the watch has it alone afterwards."""
        with self._lock:
            if self._watches.get(watched.name) is not watched:
                return []
            self._calling = (watched.name, time.monotonic())
            lost: GatewaydError | None = None
            try:
                heard = call(watched)
            except GatewaydError as error:
                lost = error.alone()
            except BaseException as error:  # noqa: BLE001  whatever a watch raises costs only itself (P4), a SystemExit, too
                lost = PluginError(f"the watch of account {watched.name} failed: {where(error)}")
            finally:
                self._calling = None
            if lost is not None:
                self._forget(watched)
                return [WatchEvent(name=watched.name, lost=lost)]
            return [WatchEvent(name=watched.name, news=heard.news, proven=heard.proven)] if heard != _NOTHING else []

    def _begin(self, watched: _Watched) -> Heard:
        watched.file = watched.watch.fileno()
        try:
            self._selector.register(watched.file, selectors.EVENT_READ, watched)
        except KeyError:
            # The file of another watch was closed, and this one has its number.
            self._selector.unregister(watched.file)
            self._selector.register(watched.file, selectors.EVENT_READ, watched)
        self._put(watched, watched.every)
        return self._listen(watched)

    def _listen(self, watched: _Watched) -> Heard:
        heard = watched.watch.listen()
        watched.empty = 0 if heard != _NOTHING else watched.empty + 1
        if watched.empty > _EMPTY_WAKEUPS:
            raise TransientError(f"the server of account {watched.name} keeps talking and says nothing")
        if heard.proven:
            watched.asked = False
            self._put(watched, watched.every)
        return heard

    def _renew(self, watched: _Watched) -> Heard:
        if watched.asked:
            advice = "The connection is opened anew; see to the network between here and there if this comes often."
            raise TransientError(f"the server did not answer for {watched.timeout:g} seconds while it was watched", advice=advice)
        watched.watch.renew()
        watched.asked = True
        self._put(watched, watched.timeout)
        return _NOTHING

    def _put(self, watched: _Watched, seconds: float) -> None:
        self._due.put(watched.name, math.ceil((time.monotonic() + seconds) / _STEP) * _STEP)

    def _forget(self, watched: _Watched) -> None:
        del self._watches[watched.name]
        self._due.drop(watched.name)
        key = self._selector.get_map().get(watched.file) if watched.file >= 0 else None
        if key is not None and key.data is watched:
            # The file may be closed already.
            with suppress(KeyError, ValueError, OSError):
                self._selector.unregister(watched.file)

    # --- waking it --------------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        # A full pipe wakes the thread, too; a closed one has nothing to wake.
        with suppress(BlockingIOError, OSError):
            self._bell.send(b"!")
