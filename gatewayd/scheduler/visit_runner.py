"""Run one visit in its slot, with the session that was watched or a new one, and watch the session again afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.ledger import Held
from gatewayd.api.roles import Transport
from gatewayd.errors import GatewaydError, LeaseLost, PluginError
from gatewayd.importing.values import VisitReport, VisitTools
from gatewayd.importing.visit import visit
from gatewayd.runtime import journal
from gatewayd.runtime.bounded_pool import PooledRun
from gatewayd.runtime.traces import where
from gatewayd.scheduler.account_state import WatchedSession
from gatewayd.scheduler.session_closer import break_off

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Lease
    from gatewayd.api.session import Session
    from gatewayd.config import AccountConfig
    from gatewayd.importing.values import Progress
    from gatewayd.matching import OperatorSpec
    from gatewayd.outgoing.routing import Router
    from gatewayd.registry.loading import Registry
    from gatewayd.runtime.threads import VisitSlot
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.values import Dependencies
    from gatewayd.scheduler.watcher import Watcher

__all__ = ["RunningVisit", "VisitOutcome", "VisitRunner"]

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class RunningVisit(PooledRun):
    """A visit that is under way. The loop's thread tells it to end, the visit's own threads report its progress."""

    state: AccountState
    #: The config as it was when the visit began.
    config: AccountConfig
    specs: Mapping[str, OperatorSpec]
    router: Router | None
    registry: Registry
    lease: Lease
    #: The session that was watched before.
    watched: WatchedSession | None
    task: Task
    #: Ids of the requests that it answers.
    requests: tuple[int, ...] = ()
    #: The server had announced mail.
    on_news: bool = False
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    #: Its session is watched again: the visit does not know of mail that is announced now.
    listening: bool = False
    #: Mail was announced since then, or another visit was asked for.
    again: bool = False
    #: The session that is watched again is lost already.
    lost: GatewaydError | None = None
    #: Other accounts wait for its room, and its turn is over.
    gives_way: bool = False
    #: It was told to end; it was aborted.
    stop: bool = False
    aborted: bool = False
    _session: Session | None = None

    def opened(self, session: Session) -> None:
        """Keep the session, so that it can be aborted from now on."""
        self._session = session
        self.moved = time.monotonic()
        # If ``abort`` came first, it saw no session to break off.
        if self.aborted:
            self.break_off()

    def progress(self, progress: Progress) -> None:
        """Take note of the progress."""
        self.done, self.total, self.moved = progress.done, progress.total, time.monotonic()

    def halt(self, *, grace: float) -> None:
        """Let it end after its current step; it is aborted after ``grace`` seconds."""
        self.stop = True
        self.abort_at = min(self.abort_at, time.monotonic() + grace)

    def abort(self) -> None:
        """End it at once, whatever its session waits for."""
        if not self.aborted:
            self.stop = self.aborted = True
            self.break_off()

    def break_off(self) -> None:
        """Break its connection, if it has one."""
        if session := self._session:
            break_off(session, self.config.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitOutcome:
    """The result of a visit."""

    report: VisitReport
    #: Its session, which is being watched.
    watched: WatchedSession | None = None
    #: Why its session could not be watched.
    unwatched: GatewaydError | None = None


class VisitRunner:
    """Runs visits, each in its slot. Used by all slots at once."""

    def __init__(self, deps: Dependencies, watcher: Watcher) -> None:
        self._deps = deps
        self._watcher = watcher

    def run_visit(self, run: RunningVisit, slot: VisitSlot) -> VisitOutcome:
        """Do one visit, and let its session be watched afterwards. Never raises: an error is the report's."""
        try:
            report = self._visit(run, slot, self._resumed(run, slot))
            if (session := report.session) is None:
                return VisitOutcome(report=report)
            watched, unwatched = None, None
            try:
                watched = self._watch(run, slot, session)
            except GatewaydError as error:
                unwatched = error.alone()
            if watched is None:
                slot.fetcher.submit(session.close).exception()
            return VisitOutcome(report=replace(report, session=None), watched=watched, unwatched=unwatched)
        except GatewaydError as error:
            report = VisitReport(account=run.config.name, error=error.alone())
        except BaseException as error:  # noqa: BLE001  one account's bug is its own (P4), a SystemExit's, too
            report = VisitReport(account=run.config.name, error=_bug(run, error))
        return VisitOutcome(report=report)

    def _resumed(self, run: RunningVisit, slot: VisitSlot) -> Session | None:
        """Return the session that was watched, or None where there is none or it failed: a new one may work."""
        if run.watched is None:
            return None
        session, watch = run.watched
        run.opened(session)
        self._watcher.remove(run.config.name, watch)
        try:
            _in_thread(run, slot, watch.end)
        except GatewaydError:
            slot.fetcher.submit(session.close).exception()
            return None
        return session

    def _visit(self, run: RunningVisit, slot: VisitSlot, session: Session | None) -> VisitReport:
        tools = VisitTools(
            store=self._deps.store,
            matching=self._deps.matching,
            instance=self._deps.instance,
            router=run.router,
            fetcher=slot.fetcher,
            limits=self._deps.limits,
            quota=run.state.quota,
            progress=run.progress,
            patience=self._deps.timings.lease / 3,
            stopping=lambda: run.stop,
            gives_way=lambda: run.gives_way,
            opened=run.opened,
            events=self._deps.events,
        )
        transport = run.registry.get(Transport, run.config.kind)(run.config.options, account=run.config.name)
        specs = [run.specs[name] for name in run.config.operators]
        report = visit(run.config, transport, specs, tools, run.task, lease=run.lease, session=session, keep=True)
        if isinstance(report, Held):
            raise LeaseLost(f"the lease of account {run.config.name} is lost: {report.holder} has it")
        return report

    def _watch(self, run: RunningVisit, slot: VisitSlot, session: Session) -> WatchedSession | None:
        """Let the server announce mail from now on; None if it can't, or if the visit was told to end."""
        imports = run.config.imports
        # Between its times of day nothing is fetched of an account.
        if run.stop or imports is None or run.config.at is not None:
            return None
        watch = _in_thread(run, slot, lambda: session.watch(imports.folders[0]))
        if watch is None:
            return None
        run.listening = True
        self._watcher.add(run.config.name, watch, every=imports.every, timeout=getattr(run.config.options, "timeout", 60.0))
        journal.watch_started(run.config.name, folder=imports.folders[0])
        return WatchedSession(session, watch)


def _in_thread(run: RunningVisit, slot: VisitSlot, call: Callable[[], _T]) -> _T:
    """Call a session in its thread. Whatever the transport raises beside the five errors becomes a PluginError."""
    try:
        return slot.fetcher.submit(call).result()
    except GatewaydError:
        raise
    except BaseException as error:
        raise _bug(run, error) from error


def _bug(run: RunningVisit, error: BaseException) -> PluginError:
    return PluginError(f"the visit of account {run.config.name} failed: {where(error)}")
