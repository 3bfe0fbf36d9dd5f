"""The steps of a visit in their order, once its lease is held: list, settle, fetch, match, file, settle."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.ledger import Filed
from gatewayd.api.sizes import Sizes
from gatewayd.api.tally import Tally
from gatewayd.errors import GatewaydError, PermanentError, PluginError, TransientError
from gatewayd.importing.backfilling import Backfiller
from gatewayd.importing.fetching import Batch, Bounds, Onward, Progress, cut, match_request, outcomes
from gatewayd.importing.folder_listing import FolderListing
from gatewayd.importing.growth import grown
from gatewayd.importing.mailboxes import claim, distinct
from gatewayd.importing.meter import Meter, VisitFull
from gatewayd.importing.prefetch import Prefetcher
from gatewayd.importing.readmission import Readmission, senders_of
from gatewayd.importing.reporter import Reporter
from gatewayd.importing.rereading import Rereader
from gatewayd.importing.session_calls import SessionCalls, VisitStopped
from gatewayd.importing.sessions import Sessions
from gatewayd.importing.settling import Settler, anchors_of
from gatewayd.importing.visit_notes import notes_of, problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Lease, Waiting
    from gatewayd.api.roles import Transport
    from gatewayd.api.session import Session
    from gatewayd.config import AccountConfig, ImportConfig
    from gatewayd.importing.values import VisitReport, VisitTools
    from gatewayd.matching import MatchResult, MatchRun, OperatorSpec

__all__ = ["VisitWork"]

_T = TypeVar("_T")

#: How many waiting keys are read from the ledger at once.
_AHEAD = 1000
#: By how much fewer keys a batch has than one that ended its session at once; but so many, which show whether sizes are estimates.
_FEWER, _TELLING = 4, 5


class VisitWork:
    """Does one visit."""

    def __init__(
        self,
        account: AccountConfig,
        imports: ImportConfig,
        specs: Sequence[OperatorSpec],
        *,
        tools: VisitTools,
        lease: Lease,
        task: Task,
    ) -> None:
        self._account = account
        self._imports = imports
        self._specs = specs
        self._tools = tools
        self._lease = lease
        self._task = task
        self._onward = Onward(account=account.name, router=tools.router, forward=task.forward)
        self._reporter = Reporter(account.name, imports.folders)
        self._done = 0
        self._meter = Meter(tools.bounds, tools.allowance)
        self._calls = SessionCalls(account.name, tools, lease)
        self._refreshed = False
        self._readmission = Readmission(
            tools=tools, lease=lease, specs=specs, imports=imports, tick=self._calls.tick, every=task.from_beginning
        )
        tick, onward = self._calls.tick, self._onward
        self._backfilling = Backfiller(
            tools=tools, lease=lease, account=account, imports=imports, specs=specs, onward=onward, tick=tick
        )
        #: An owed action broke the session: the next visit tries again.
        self._unsettled = False
        #: How many keys the last batch had, if the session broke before any of it came; else 0.
        self._in_vain = 0
        #: The folders that were listed to their end in this visit, and nothing that the server said was in doubt.
        self._sound: set[str] = set()

    def run(self, transport: Transport, session: Session | None, *, keep: bool) -> VisitReport:
        """Do it, with a session that is open or by opening one; with ``keep`` the report has it, if it can go on."""
        sessions = self._sessions = Sessions(transport, session, tools=self._tools, awaiting=self._calls, meter=self._meter)
        try:
            sessions.current()
            if session is None:
                claim(self._account, self._tools.store, self._lease, enter=True)
            try:
                self._folders()
            finally:
                self._meter.count()
            if keep and not self._reporter.report.error:
                self._reporter.keep(sessions.current())
        except VisitStopped:
            pass
        except VisitFull as full:
            self._reporter.note(str(full))
        except GatewaydError as error:
            self._reporter.fail(error)
        except Exception as error:  # noqa: BLE001  one account's bug must not keep the next from being visited
            self._reporter.fail(self._calls.bug("visit", error))
        finally:
            if self._reporter.report.session is None:
                for text in sessions.close():
                    self._reporter.problem(text)
        return self._reporter.report

    def _refresh(self) -> None:
        for spec in () if self._refreshed else self._specs:
            for fault in self._tools.matching.refresh(spec):
                self._reporter.note(f"operator {spec.operator.name}: {fault}")
        self._refreshed = True

    def _folders(self) -> None:
        for folder in self._imports.folders:
            with self._alone(folder):
                if self._list(folder):
                    self._settle()
                self._readmission.judge(folder, partial(self._in_session, senders_of), keys=self._task.keys)
                self._work(folder)
        for filed in self._backfilling.admitted(self._readmission):
            self._reporter.came(Tally(filed=filed))
            self._go_on()
        if not self._reporter.report.problems and not self._reporter.report.error:
            self._readmission.finish()
        for folder in [one for one in self._imports.folders if one in self._sound]:
            with self._alone(folder):
                self._reread(folder)
        self._settle()
        for filed in self._backfilling.old(self._task.operator) if self._task.operator is not None else ():
            self._reporter.came(Tally(filed=filed))
            self._go_on()

    def _in_session(self, call: Callable[..., _T], *asked: object) -> _T:
        """Let the session's thread do this with the session, and return what comes of it."""
        return self._calls.in_thread(call, self._sessions.current(), *asked)

    @contextmanager
    def _alone(self, folder: str) -> Generator[None, None, None]:
        """Let what a folder's trouble ends be that folder's work alone."""
        try:
            yield
        except PermanentError as error:
            self._reporter.problem(f"{folder}: {error.sentences}")
        except (PluginError, TransientError) as error:
            self._leave(error)

    def _leave(self, error: GatewaydError) -> None:
        """Leave what broke the session for the next visit, and go on with another one: it would keep the rest from being had.
        The error is raised where it is not of the session, and where that could not be opened or closed.
        """
        if error is not self._calls.raised or not self._sessions.is_open:
            raise error
        self._reporter.fail(error)
        self._go_on()
        for text in self._sessions.close():
            self._reporter.problem(text)
            raise error

    def _list(self, folder: str) -> bool:
        """List a folder; whether that came to its end."""
        listing = FolderListing(
            store=self._tools.store,
            lease=self._lease,
            folder=folder,
            imports=self._imports,
            task=self._task,
            session=self._sessions.current(),
            in_thread=self._calls.in_thread,
            first=partial(distinct, self._account, self._tools.store, folder),
            entered=self._entered,
            problem=self._reporter.problem,
            note=self._reporter.note,
        )
        # Not before its end: the listing hands what is owed over to new keys where the folder was renumbered.
        proof = listing.run()
        if proof and proof.sound:
            self._sound.add(folder)
        if proof and not proof.left:
            self._reporter.proven(folder)
        return proof is not None

    def _go_on(self) -> None:
        """Ask, between two steps, whether the visit may go on; raises VisitStopped or VisitFull."""
        self._calls.stop()
        self._meter.check()

    def _entered(self, new: int) -> None:
        self._reporter.listed(new)
        self._calls.stop()
        self._meter.listed(new)

    def _work(self, folder: str) -> None:
        """Have what waits; where the session ends before any of a batch came, ever fewer at a time: one of it may be the cause."""
        most = self._tools.bounds.messages
        while most:
            self._in_vain = 0
            try:
                self._worked(folder, replace(self._tools.bounds, messages=most))
                most = 0
            except (PluginError, TransientError) as error:
                if self._in_vain <= 1:
                    raise
                most = max(_TELLING, self._in_vain // _FEWER) if self._in_vain > _TELLING else 1
                self._leave(error)

    def _worked(self, folder: str, bounds: Bounds) -> None:
        with closing(self._matched(folder, bounds)) as matched:
            for batch, found in matched:
                self._file(folder, batch, found)
                self._in_vain = len(batch.asked) if batch.error and not (batch.came or batch.disk_failed) else 0
                total = max(self._reporter.report.listed, self._done)
                self._tools.progress(Progress(account=self._account.name, folder=folder, done=self._done, total=total))
                self._calls.check(batch.error)
                self._go_on()

    def _matched(self, folder: str, bounds: Bounds) -> Generator[tuple[Batch, MatchResult], None, None]:
        """Yield what waits in the folder, batch by batch; while one is filed, the next is matched, and that after it fetched."""
        sizes = partial(self._tools.store.sizes, self._account.name, folder)
        session = self._sessions.current()
        ahead = Prefetcher(session, folder, self._batches(folder, bounds), tools=self._tools, begin=self._begin, sizes=sizes)
        try:
            while (first := ahead.first()) is not None:
                begun = self._calls.done(first)
                yield begun.batch, begun.match_run.result(self._calls.tick)
                ahead.done()
        finally:
            ahead.cancel()
            if ahead.fetching:
                self._calls.abort()
            ahead.close()

    def _begin(self, batch: Batch) -> MatchRun:
        return self._tools.matching.begin(match_request(batch, self._specs, self._imports))

    def _batches(self, folder: str, bounds: Bounds) -> Iterator[Sequence[Waiting]]:
        after, keys = 0, self._task.keys or None
        while waiting := self._tools.store.waiting(self._account.name, folder, after=after, limit=_AHEAD, keys=keys):
            after = waiting[-1].entry_id
            self._refresh()
            yield from cut(self._readmission.marked(waiting), bounds)

    def _file(self, folder: str, batch: Batch, matched: MatchResult) -> None:
        sizes = self._tools.store.sizes(self._account.name, folder) if batch.unlike else Sizes()
        grew, again, ours = grown(batch, self._tools.store.stored_source), self._tools.bounds.reread_after, self._tools.stopping()
        user, onward = self._account.user, self._onward
        done = outcomes(batch, matched, self._imports, user, onward=onward, sizes=sizes, ours=ours, reread_after=again, grown=grew)
        commit = self._tools.store.file(self._lease, done)
        self._reporter.came(commit.tally)
        self._reporter.due(done)
        self._done += len(done)
        self._meter.fetched(batch)
        self._reporter.remark(folder, problems_of(batch, done), notes_of(batch, done, self._imports.after, again))
        new = [one for one in done if isinstance(one, Filed) and one.entry_id in commit.filed]
        self._tools.events.mails_filed(self._account.name, folder, new)
        self._tools.events.targets_suspended(commit.suspended)

    def _reread(self, folder: str) -> None:
        rereader = Rereader(
            tools=self._tools,
            lease=self._lease,
            in_session=self._in_session,
            fetched=self._meter.fetched,
            check=self._calls.check,
            go_on=self._go_on,
            problem=self._reporter.problem,
        )
        if rereader.reread(folder):
            self._sound.discard(folder)
            self._work(folder)
        self._reporter.later([rereader.later])

    def _settle(self) -> None:
        if self._unsettled:
            return
        settler = Settler(
            store=self._tools.store,
            lease=self._lease,
            wanted=self._imports.after,
            look_up=partial(self._in_session, lambda session, *asked: list(session.look_up(*asked))),
            anchors=partial(self._in_session, anchors_of),
            act=partial(self._in_session, lambda session, *asked: session.settle(*asked)),
            settled=self._reporter.settled,
            problem=self._reporter.problem,
            note=self._reporter.note,
            go_on=self._go_on,
        )
        try:
            settler.settle(self._sound)
        except (PluginError, TransientError) as error:
            self._unsettled = True
            self._leave(error)
