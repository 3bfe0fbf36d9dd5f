"""Supervise all accounts of this daemon: one thread handles event after event, and does in between whatever is due."""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.runtime import journal
from gatewayd.runtime.threads import started
from gatewayd.scheduler.account_states import AccountStates
from gatewayd.scheduler.event_handlers import EventHandlers
from gatewayd.scheduler.leases import LeaseManager
from gatewayd.scheduler.pool import VisitPool
from gatewayd.scheduler.request_inbox import RequestInbox
from gatewayd.scheduler.session_closer import SessionCloser, break_off
from gatewayd.scheduler.visit_runner import VisitRunner
from gatewayd.scheduler.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gatewayd.config import Config
    from gatewayd.errors import StoreReplaced
    from gatewayd.matching import OperatorSpec
    from gatewayd.outgoing.routing import Router
    from gatewayd.scheduler.values import Dependencies

__all__ = ["Supervisor"]

#: How often visits are checked, in seconds; and how often while the daemon ends.
_LOOK, _LOOK_CLOSELY = 0.5, 0.05
#: Seconds that a watch may keep the watcher's thread before its session is aborted.
_TOO_LONG = 5.0
#: A loop without a turn for so many seconds hangs, since a turn never waits.
_HANGS = 20.0


class Supervisor:
    """Looks after all accounts of this daemon, from ``start`` to ``stop``. Its methods may be called from any thread."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        put = self._inbox.put
        self._watcher = Watcher(
            lambda events: put(partial(self._handlers.on_watch_events, events)), partial(journal.own_fault, "watcher")
        )
        self._session_closer = SessionCloser(self._watcher)
        self._pool = VisitPool(
            deps.limits,
            VisitRunner(deps, self._watcher),
            lambda run, slot, done: put(partial(self._handlers.on_visit_finished, run, slot, done.result())),
            slow=deps.timings.slow,
            turn=deps.timings.turn,
        )
        self._leases = LeaseManager(deps, lambda done: put(partial(self._handlers.on_lease_round, done)))
        self._request_inbox = RequestInbox(deps, lambda requests: put(partial(self._handlers.on_requests, requests)))
        self._states = AccountStates(deps, self._pool, self._leases, self._request_inbox, self._session_closer)
        self._handlers = EventHandlers(
            deps,
            self._states,
            leases=self._leases,
            pool=self._pool,
            request_inbox=self._request_inbox,
            session_closer=self._session_closer,
        )
        #: How often the loop turned, and when it did last.
        self.turns = 0
        self._turned = time.monotonic()
        self._look_at = 0.0
        self._drained = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None = None) -> None:
        """Begin with a config. ``specs`` are those of all operators, by name; without a router no mail is forwarded."""
        self.apply(config, specs, router)
        self._thread = started(self._run, "supervisor")

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None = None) -> None:
        """Take a changed config over soon; only accounts that differ are restarted."""
        self._inbox.put(partial(self._states.apply, config, specs, router))

    def hurry(self, accounts: Collection[str]) -> None:
        """Let accounts be visited soon."""
        if accounts:
            self._inbox.put(partial(self._states.hurry_all, accounts))

    def retry(self, files: Collection[str]) -> None:
        """Try refused accounts at once, if their file is one of these: a secret that it names has changed."""
        names = [file.removeprefix("accounts/").removesuffix(".yaml") for file in files if file.startswith("accounts/")]
        self._inbox.put(partial(self._states.hurry_all, names, refused=True))

    @property
    def replaced(self) -> StoreReplaced | None:
        """Why this process must end: the database was replaced by another."""
        return self._handlers.replaced

    def alive(self) -> bool:
        """Whether the loop turns, servers are listened to, and visits make progress."""
        turns = time.monotonic() - self._turned < _HANGS
        return turns and self._watcher.stuck(_HANGS) is None and not self._pool.stuck()

    def stop(self, timeout: float = 5.0) -> int:
        """End everything within ``timeout`` seconds, and return how many visits did not end by then.

        Visits end after their current step, or are aborted; the next start goes on with whatever is not committed.
        """
        until = time.monotonic() + timeout
        self._inbox.put(self._begin_to_stop)
        if self._thread is not None:
            self._drained.wait(timeout * 0.6)
        self._ended = True
        self._inbox.put(lambda: None)
        if self._thread is not None:
            self._thread.join(timeout * 0.1)
        abandoned = len(self._pool.runs)
        leases = [lease for _, lease in self._states.held()]
        slots = self._pool.shutdown()
        self._session_closer.end(max(0.0, until - time.monotonic() - timeout * 0.2))
        self._watcher.stop(timeout * 0.05)
        self._leases.end(leases, max(0.0, until - time.monotonic() - timeout * 0.05))
        self._request_inbox.end(max(0.0, until - time.monotonic()))
        # Threads that hang are left behind, and end with the process.
        for slot in slots if not abandoned else ():
            slot.join(max(0.0, until - time.monotonic()))
        return abandoned

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended:
            self._turn()

    def _turn(self) -> None:
        """Wait until something happens or is due, and do all of it. A fault ends one step, and nothing else."""
        for event in self._events():
            self._guarded(event)
        now = time.monotonic()
        if not self._states.stopping:
            self._guarded(partial(self._handlers.work_on_leases, now))
            self._guarded(partial(self._states.work, now))
        if now >= self._request_inbox.at:
            self._guarded(partial(self._request_inbox.work, now, self._pool.runs))
        if now >= self._look_at:
            self._guarded(partial(self._look, now))
        self.turns += 1
        self._turned = now

    def _events(self) -> Sequence[Callable[[], object]]:
        """Wait for events, until something is due at the latest; return them."""
        times = [self._look_at, self._request_inbox.at]
        if not self._states.stopping:
            times += [self._handlers.next_lease_round(), *filter(None, [self._states.next()])]
        try:
            events = [self._inbox.get(timeout=max(0.0, min(times) - time.monotonic()))]
        except queue.Empty:
            return []
        # Events that come in meanwhile wait for the next turn, so that due work is done in between.
        return [*events, *(self._inbox.get() for _ in range(self._inbox.qsize()))]

    @staticmethod
    def _guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  a bug must not end the loop, and with it all accounts
            journal.own_fault("supervisor", error)

    def _look(self, now: float) -> None:
        """End visits and watches that take too long."""
        self._look_at = now + (_LOOK_CLOSELY if self._states.stopping else _LOOK)
        self._pool.look(now)
        if stuck := self._watcher.stuck(_TOO_LONG):
            self._break_off(stuck)
        if self._states.stopping and not self._pool.runs:
            self._drained.set()

    def _break_off(self, name: str) -> None:
        """Break the connection of a watch that keeps the watcher's thread."""
        state = self._states.get(name)
        if state is not None and state.watched is not None:
            break_off(state.watched.session, name)
        elif state is not None and state.run is not None:
            # The visit waits for the watcher to give that session back.
            state.run.break_off()

    def _begin_to_stop(self) -> None:
        self._states.stopping = True
        self._look_at = 0.0
        for run in self._pool.runs:
            run.halt(grace=self._deps.timings.grace)
        for state, _ in self._states.held():
            self._states.rest(state, politely=False)
