"""The supervisor: one thread takes event after event, and does what is due between them. It never waits for anybody else."""

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
from gatewayd.scheduler.lease_events import LeaseEvents
from gatewayd.scheduler.leases import LeaseManager
from gatewayd.scheduler.pool import VisitPool
from gatewayd.scheduler.request_inbox import RequestInbox
from gatewayd.scheduler.session_closer import SessionCloser, break_off
from gatewayd.scheduler.visit_runner import VisitRunner
from gatewayd.scheduler.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from gatewayd.api.health import Request
    from gatewayd.config import Config
    from gatewayd.errors import StoreReplaced
    from gatewayd.matching import OperatorSpec
    from gatewayd.outgoing.routing import Router
    from gatewayd.runtime.threads import VisitSlot
    from gatewayd.scheduler.leases import LeaseRound
    from gatewayd.scheduler.values import Dependencies
    from gatewayd.scheduler.visit_runner import RunningVisit, VisitOutcome
    from gatewayd.scheduler.watcher import WatchEvent

__all__ = ["Supervisor"]

#: How often visits are looked after, in seconds; and while all are to end.
_LOOK, _LOOK_CLOSELY = 0.5, 0.05
#: How long a watch may keep the watcher's thread, in seconds, before its session is aborted.
_TOO_LONG = 5.0
#: Without a turn for so many seconds the loop hangs: a turn never waits for anything.
_HANGS = 20.0


class Supervisor:
    """Looks after all accounts of this daemon, from ``start`` to ``stop``. Its methods may be called from any thread."""

    def __init__(self, kit: Dependencies) -> None:
        self._kit = kit
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._watcher = Watcher(self._on_said, partial(journal.own_fault, "watcher"))
        self._closer = SessionCloser(self._watcher)
        self._pool = VisitPool(kit.limits, VisitRunner(kit, self._watcher), self._on_finished, slow=kit.pace.slow)
        self._keeper = LeaseManager(kit, self._on_round)
        self._reception = RequestInbox(kit, self._on_asked)
        self._charges = AccountStates(kit, self._pool, self._keeper, self._reception, self._closer)
        self._ownership = LeaseEvents(self._charges, self._keeper, self._reception, kit.events)
        self._happenings = EventHandlers(
            kit, self._charges, ownership=self._ownership, pool=self._pool, reception=self._reception, closer=self._closer
        )
        #: How often the loop turned, and when it did last.
        self.turns = 0
        self._turned = time.monotonic()
        self._look_at = 0.0
        self._drained = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None = None) -> None:
        """Begin with a config; the specs are those of all operators, by name, and without a router nothing goes on."""
        self.apply(config, specs, router)
        self._thread = started(self._run, "supervisor")

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None = None) -> None:
        """Take a changed config over, soon: only accounts that differ from before are restarted."""
        self._inbox.put(partial(self._charges.apply, config, specs, router))

    def hurry(self, accounts: Collection[str]) -> None:
        """Let accounts be visited soon."""
        if accounts:
            self._inbox.put(partial(self._charges.hurry_all, accounts))

    def retry(self, files: Collection[str]) -> None:
        """Try the refused ones of these accounts' files at once: a secret of theirs has changed."""
        names = [file.removeprefix("accounts/").removesuffix(".yaml") for file in files if file.startswith("accounts/")]
        self._inbox.put(partial(self._charges.retry, names))

    @property
    def replaced(self) -> StoreReplaced | None:
        """Why this process must end: another database lies where ours lay."""
        return self._ownership.replaced

    def alive(self) -> bool:
        """Whether the loop turns, servers are listened to, and visits make progress."""
        turns = time.monotonic() - self._turned < _HANGS
        return turns and self._watcher.stuck(_HANGS) is None and not self._pool.stuck()

    def stop(self, timeout: float = 5.0) -> int:
        """End everything within ``timeout`` seconds, and return how many visits did not end by then.

        Visits end behind what they have in hand, or are aborted; what they have not committed goes on at the next start.
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
        leases = [lease for _, lease in self._charges.held()]
        slots = self._pool.shutdown()
        self._closer.end(max(0.0, until - time.monotonic() - timeout * 0.2))
        self._watcher.stop(timeout * 0.05)
        self._keeper.end(leases, max(0.0, until - time.monotonic() - timeout * 0.05))
        self._reception.end(max(0.0, until - time.monotonic()))
        # What hangs is left behind: it ends with the process.
        for slot in slots if not abandoned else ():
            slot.join(max(0.0, until - time.monotonic()))
        return abandoned

    # --- from other threads -----------------------------------------------------------------------------------------

    def _on_said(self, said: Sequence[WatchEvent]) -> None:
        self._inbox.put(partial(self._happenings.said, said))

    def _on_finished(self, run: RunningVisit, slot: VisitSlot, done: Future[VisitOutcome]) -> None:
        self._inbox.put(partial(self._happenings.finished, run, slot, done.result()))

    def _on_round(self, done: LeaseRound) -> None:
        self._inbox.put(partial(self._ownership.done, done))

    def _on_asked(self, requests: Sequence[Request]) -> None:
        self._inbox.put(partial(self._happenings.asked, requests))

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended:
            self._turn()

    def _turn(self) -> None:
        """Wait for something to happen or to be due, and do all of it. A fault in one costs nothing but that."""
        for event in self._events():
            self._guarded(event)
        now = time.monotonic()
        if not self._charges.stopping:
            self._guarded(partial(self._ownership.work, now))
            self._guarded(partial(self._charges.work, now))
        if now >= self._reception.at:
            self._guarded(partial(self._reception.work, now, self._pool.runs))
        if now >= self._look_at:
            self._guarded(partial(self._look, now))
        self.turns += 1
        self._turned = now

    def _events(self) -> Sequence[Callable[[], object]]:
        """Return what has happened by the time when something is due."""
        times = [self._look_at, self._reception.at]
        if not self._charges.stopping:
            times += [self._ownership.next(), *filter(None, [self._charges.next()])]
        try:
            events = [self._inbox.get(timeout=max(0.0, min(times) - time.monotonic()))]
        except queue.Empty:
            return []
        # What comes in meanwhile waits for the next turn, so that what is due is done in between.
        return [*events, *(self._inbox.get() for _ in range(self._inbox.qsize()))]

    @staticmethod
    def _guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  a bug must not end the loop, and with it all accounts
            journal.own_fault("supervisor", error)

    def _look(self, now: float) -> None:
        """Look after visits and watches that take too long."""
        self._look_at = now + (_LOOK_CLOSELY if self._charges.stopping else _LOOK)
        self._pool.look(now)
        if stuck := self._watcher.stuck(_TOO_LONG):
            self._break_off(stuck)
        if self._charges.stopping and not self._pool.runs:
            self._drained.set()

    def _break_off(self, name: str) -> None:
        """Break the connection of a watch that keeps the watcher's thread."""
        charge = self._charges.get(name)
        if charge is not None and charge.watched is not None:
            break_off(charge.watched.session, name)
        elif charge is not None and charge.run is not None:
            # It waits for the watcher, to have that session back.
            charge.run.break_off()

    def _begin_to_stop(self) -> None:
        self._charges.stopping = True
        self._look_at = 0.0
        for run in self._pool.runs:
            run.halt(grace=self._kit.pace.grace)
        for charge, _ in self._charges.held():
            self._charges.rest(charge, politely=False)
