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
from gatewayd.registry.loading import where
from gatewayd.runtime.clock import DueTimes
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gatewayd.api.session import Watch

__all__ = ["WatchEvent", "Watcher"]

#: Renewals wait for the next half second, so that many of them cost one wake-up.
_TICK = 0.5
#: A watch that wakes us so often without saying anything would keep a thread busy: it counts as lost.
_SAYS_NOTHING = 1000
_NOTHING = Heard()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """What became known of a watch."""

    name: str
    #: Something may have come.
    news: bool = False
    #: The server proved that nothing was missed.
    proven: bool = False
    #: It is lost, and no longer watched.
    lost: GatewaydError | None = None


@dataclass(slots=True, eq=False)
class _Kept:
    name: str
    watch: Watch
    #: Seconds between two proofs, and until a proof must have come.
    every: float
    timeout: float
    file: int = -1
    #: It was asked for a proof that has not come yet.
    asked: bool = False
    #: How often it woke us for nothing since it last said something.
    empty: int = 0


class Watcher:
    """Watches. A watch that is added belongs to the watcher until ``remove`` returned, or until it was reported lost."""

    def __init__(self, say: Callable[[Sequence[WatchEvent]], None], failed: Callable[[BaseException], None]) -> None:
        """``say`` gets the events, ``failed`` gets bugs of the watcher; both are called in its thread, and must not wait."""
        self._say = say
        self._failed = failed
        #: How often the thread woke up.
        self.turns = 0
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._fresh: list[_Kept] = []
        self._due = DueTimes()
        self._ended = False
        #: The watch that is being called now, and since when.
        self._calls: tuple[str, float] | None = None
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = started(self._run, "watcher")

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, name: str, watch: Watch, *, every: float, timeout: float) -> None:
        """Watch from now on; let the server prove itself each ``every`` seconds, within ``timeout`` seconds."""
        with self._lock:
            if name in self._kept:
                self._forget(self._kept[name])
            kept = self._kept[name] = _Kept(name, watch, every=min(every, watch.lasts), timeout=timeout)
            self._fresh.append(kept)
        self._ring()

    def remove(self, name: str, watch: Watch) -> bool:
        """Give the watch back to the caller, who alone has it afterwards; return whether it was still watched.

        Waits while the thread is in a call of a watch, which may not take long; see ``stuck``.
        """
        with self._lock:
            kept = self._kept.get(name)
            if kept is None or kept.watch is not watch:
                return False
            self._forget(kept)
        return True

    def stuck(self, seconds: float) -> str | None:
        """Return the name of a watch that has kept the thread for longer, against its contract; it should be aborted."""
        calls = self._calls
        return calls[0] if calls and time.monotonic() - calls[1] > seconds else None

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
        return list(self._kept)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001  a bug here must not leave all accounts unwatched
                self._failed(error)
                time.sleep(_TICK)

    def _turn(self) -> None:
        with self._lock:
            at = self._due.next()
            pause = 0.0 if self._fresh else None if at is None else max(0.0, at - time.monotonic())
        # Others may add and remove meanwhile: what is stale by then is sorted out below.
        ready = [key.data for key, _ in self._selector.select(pause)]
        self.turns += 1
        said: list[WatchEvent] = []
        for kept in ready:
            if kept is not None:
                said += self._with(kept, self._listen)
                continue
            with suppress(BlockingIOError):
                while self._ear.recv(4096):
                    pass
        fresh, self._fresh = self._fresh, []
        for kept in fresh:
            said += self._with(kept, self._begin)
        with self._lock:
            due = [self._kept[name] for name, _ in self._due.pop(time.monotonic())]
        for kept in due:
            said += self._with(kept, self._renew)
        if said:
            self._say(said)

    def _with(self, kept: _Kept, call: Callable[[_Kept], Heard]) -> list[WatchEvent]:
        """Call one watch, if it is still ours. The lock is held meanwhile: whoever removes the watch has it alone afterwards."""
        with self._lock:
            if self._kept.get(kept.name) is not kept:
                return []
            self._calls = (kept.name, time.monotonic())
            lost: GatewaydError | None = None
            try:
                heard = call(kept)
            except GatewaydError as error:
                lost = error.alone()
            except BaseException as error:  # noqa: BLE001  whatever a watch raises costs only itself (P4), a SystemExit, too
                lost = PluginError(f"the watch of account {kept.name} failed: {where(error)}")
            finally:
                self._calls = None
            if lost is not None:
                self._forget(kept)
                return [WatchEvent(name=kept.name, lost=lost)]
            return [WatchEvent(name=kept.name, news=heard.news, proven=heard.proven)] if heard != _NOTHING else []

    def _begin(self, kept: _Kept) -> Heard:
        kept.file = kept.watch.fileno()
        try:
            self._selector.register(kept.file, selectors.EVENT_READ, kept)
        except KeyError:
            # Somebody closed a file under its watch, and the number was given again.
            self._selector.unregister(kept.file)
            self._selector.register(kept.file, selectors.EVENT_READ, kept)
        self._put(kept, kept.every)
        return self._listen(kept)

    def _listen(self, kept: _Kept) -> Heard:
        heard = kept.watch.listen()
        kept.empty = 0 if heard != _NOTHING else kept.empty + 1
        if kept.empty > _SAYS_NOTHING:
            raise TransientError(f"the server of account {kept.name} keeps talking and says nothing")
        if heard.proven:
            kept.asked = False
            self._put(kept, kept.every)
        return heard

    def _renew(self, kept: _Kept) -> Heard:
        if kept.asked:
            advice = "The connection is opened anew; see to the network between here and there if this comes often."
            raise TransientError(f"the server did not answer for {kept.timeout:g} seconds while it was watched", advice=advice)
        kept.watch.renew()
        kept.asked = True
        self._put(kept, kept.timeout)
        return _NOTHING

    def _put(self, kept: _Kept, seconds: float) -> None:
        self._due.put(kept.name, math.ceil((time.monotonic() + seconds) / _TICK) * _TICK)

    def _forget(self, kept: _Kept) -> None:
        del self._kept[kept.name]
        self._due.drop(kept.name)
        key = self._selector.get_map().get(kept.file) if kept.file >= 0 else None
        if key is not None and key.data is kept:
            # The file may be closed already, which the selector does not mind.
            with suppress(KeyError, ValueError, OSError):
                self._selector.unregister(kept.file)

    # --- waking it --------------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        # A full pipe wakes it as well as one more byte; a closed one has nobody to wake.
        with suppress(BlockingIOError, OSError):
            self._bell.send(b"!")
