"""Call the observers of each event, beside the mail's path: at most once, from a bounded queue.

Two threads at most work for it: the teller takes events from the queue and hands each call to the caller. A call that
does not return is reported, then its caller is left behind (it is a daemon thread) and a new one goes on; that plugin
gets no events until its call has returned.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gatewayd.api.events import AccountChanged, ConfigLoaded, DeliverySettled, Event, MailFailed, MailFiled
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads, started

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.registry.loading import ObserverHook, Registry

__all__ = ["Observers"]

_HOOKS: Final[Mapping[type[Event], str]] = {
    MailFiled: "gatewayd_mail_filed",
    MailFailed: "gatewayd_mail_failed",
    DeliverySettled: "gatewayd_delivery_settled",
    AccountChanged: "gatewayd_account_changed",
    ConfigLoaded: "gatewayd_config_loaded",
}


def _observers(registry: Registry) -> Mapping[str, Sequence[ObserverHook]]:
    """Return all observers by hook. This imports them, so that it need not happen when an event comes."""
    return {hook: registry.observers(hook) for hook in _HOOKS.values()}


@dataclass(slots=True)
class _Call:
    """One call of one observer."""

    observer: ObserverHook
    event: Event
    began: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)


class Observers:
    """The observers of this process. ``tell`` may be called from any thread; ``close`` once, at the end."""

    def __init__(
        self,
        registry: Registry,
        *,
        length: int = 1000,
        report_after: float = 10.0,
        give_up_after: float = 30.0,
        report_every: float = 60.0,
        dropped: Callable[[int], None] = lambda _: None,
    ) -> None:
        """At most ``length`` events wait; times are in seconds; ``dropped`` is called with the number of events that are lost."""
        self._observers = _observers(registry)
        self._queue: queue.Queue[Event | None] = queue.Queue(length)
        self._report_after, self._give_up_after, self._report_every = report_after, give_up_after, report_every
        self._count_dropped = dropped
        self._lock = threading.Lock()
        self._dropped = 0
        self._reported_at = time.monotonic() - report_every
        #: The call that is under way, and those that were left behind, by plugin.
        self._current: _Call | None = None
        self._hanging: dict[str, _Call] = {}
        self._caller: WorkerThreads | None = None
        self._teller: threading.Thread | None = None
        self._closed = False

    def tell(self, event: Event) -> None:
        """Queue an event for its observers; never waits. If the queue is full, the event is lost and counted."""
        if self._closed or not self._observers[_HOOKS[type(event)]]:
            return
        with self._lock:
            if self._teller is None:
                self._teller = started(self._tell_all, "observers")
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            with self._lock:
                self._dropped += 1
            self._count_dropped(1)

    def replace(self, registry: Registry) -> None:
        """Call the observers of ``registry`` from now on, since plugins were loaded again."""
        self._observers = _observers(registry)

    def problems(self) -> tuple[str, ...]:
        """Return one line for each observer that does not return."""
        with self._lock:
            calls = [*self._hanging.values(), *([self._current] if self._current else [])]
        now = time.monotonic()
        return tuple(
            f"{call.observer.plugin}: {call.observer.hook} has not returned for {now - call.began:.0f} s"
            for call in calls
            if now - call.began >= self._report_after
        )

    def close(self, timeout: float = 1.0) -> None:
        """Let the observers have the events that wait, for at most ``timeout`` seconds."""
        self._closed = True
        if self._teller is None:
            return
        deadline = time.monotonic() + timeout
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return
        self._teller.join(max(0.0, deadline - time.monotonic()))

    # --- the teller -------------------------------------------------------------------------------------------------

    def _tell_all(self) -> None:
        while (event := self._next()) is not None:
            for observer in self._observers[_HOOKS[type(event)]]:
                hanging = self._hanging.get(observer.plugin)
                # A hanging call of code that was replaced does not count against the plugin.
                if hanging is None or not any(hanging.observer in each for each in self._observers.values()):
                    self._call(_Call(observer, event))
            self._report_dropped()
        self._report_dropped()
        if self._caller is not None:
            self._caller.shutdown(wait=False)

    def _next(self) -> Event | None:
        """Wait for an event; report lost events in the meantime."""
        while True:
            left = self._reported_at + self._report_every - time.monotonic()
            try:
                return self._queue.get(timeout=max(0.0, left) if self._dropped else None)
            except queue.Empty:
                self._report_dropped()

    def _report_dropped(self) -> None:
        if self._dropped and time.monotonic() >= self._reported_at + self._report_every:
            with self._lock:
                count, self._dropped = self._dropped, 0
            self._reported_at = time.monotonic()
            journal.events_dropped(count)

    def _call(self, call: _Call) -> None:
        """Have one observer called; report it if it hangs, then leave it behind."""
        if self._caller is None:
            self._caller = WorkerThreads(1, "observer")
        with self._lock:
            self._current = call
        self._caller.submit(self._serve, call)
        if not call.ended.wait(self._report_after):
            self._report_hanging(call, given_up=False)
            if not call.ended.wait(self._give_up_after - self._report_after):
                self._leave(call)
        with self._lock:
            self._current = None

    def _leave(self, call: _Call) -> None:
        with self._lock:
            if call.ended.is_set():
                return
            self._hanging[call.observer.plugin] = call
            left, self._caller = self._caller, None
        if left is not None:
            # Its thread ends when the call returns.
            left.shutdown(wait=False)
        self._report_hanging(call, given_up=True)

    def _report_hanging(self, call: _Call, *, given_up: bool) -> None:
        seconds = time.monotonic() - call.began
        journal.observer_hangs(call.observer.plugin, hook=call.observer.hook, seconds=seconds, given_up=given_up)

    # --- the caller -------------------------------------------------------------------------------------------------

    def _serve(self, call: _Call) -> None:
        try:
            call.observer.call(call.event)
        except BaseException as error:  # noqa: BLE001  an observer's fault is nobody else's, a SystemExit's neither
            journal.observer_failed(call.observer.plugin, error, hook=call.observer.hook)
        with self._lock:
            call.ended.set()
            returned = self._hanging.get(call.observer.plugin) is call and self._hanging.pop(call.observer.plugin)
        if returned:
            seconds = time.monotonic() - call.began
            journal.observer_returned(call.observer.plugin, hook=call.observer.hook, seconds=seconds)
