"""The work of one visit, under a lease that stands."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.batch import Batch, Onward, Progress, cut, order, outcomes
from gatewayd.custody import Deferred, Filed
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.growth import grown
from gatewayd.guard import open_session
from gatewayd.mailboxes import claim, distinct
from gatewayd.sizes import Sizes
from gatewayd.tally import Tally
from gatewayd.visit.ahead import Ahead
from gatewayd.visit.awaiting import Awaiting, VisitStopped
from gatewayd.visit.backfilling import Backfiller
from gatewayd.visit.folder import FolderListing
from gatewayd.visit.meter import Meter, VisitFull
from gatewayd.visit.readmission import Readmission, senders_of
from gatewayd.visit.remarks import notes_of, problems_of
from gatewayd.visit.rereading import Rereader
from gatewayd.visit.settling import Settler, anchors_of
from gatewayd.visit.values import Report

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from gatewayd.config import AccountConfig, ImportConfig
    from gatewayd.custody import Lease, Waiting
    from gatewayd.examine import Examination, Examined, Recipe
    from gatewayd.health import Task
    from gatewayd.roles import Transport
    from gatewayd.session import Session
    from gatewayd.visit.values import Tools

__all__ = ["Work"]

#: How many waiting keys are read from the ledger at once.
_AHEAD = 1000


class Work:
    """Does one visit."""

    def __init__(
        self, account: AccountConfig, imports: ImportConfig, recipes: Sequence[Recipe], *, tools: Tools, lease: Lease, task: Task
    ) -> None:
        self._account = account
        self._imports = imports
        self._recipes = recipes
        self._tools = tools
        self._lease = lease
        self._task = task
        self._onward = Onward(account=account.name, router=tools.router, forward=task.forward)
        self._report = Report(account=account.name, unproven=imports.folders)
        self._done = 0
        self._meter = Meter(tools.bounds, tools.allowance)
        self._awaiting = Awaiting(account.name, tools, lease)
        self._refreshed = False
        self._readmission = Readmission(
            tools=tools, lease=lease, recipes=recipes, imports=imports, tick=self._awaiting.tick, every=task.from_beginning
        )
        self._backfilling = Backfiller(
            tools=tools,
            lease=lease,
            account=account,
            imports=imports,
            recipes=recipes,
            onward=self._onward,
            tick=self._awaiting.tick,
        )
        #: The folders that were listed to their end in this visit, and nothing that the server said was in doubt.
        self._sound: set[str] = set()

    def run(self, transport: Transport, session: Session | None, *, keep: bool) -> Report:
        """Do it, with a session that is open or by opening one; with ``keep`` the report has it, if it can go on."""
        opening: Future[Session] | None = None
        try:
            opening = self._tools.fetcher.submit((lambda: session) if session else partial(open_session, transport))
            opened = self._awaiting.opened = self._awaiting.done(opening)
            self._meter.opened(opened, before=session is not None)
            self._meter.check()
            self._tools.opened(opened)
            if session is None:
                claim(self._account, self._tools.store, self._lease, enter=True)
            try:
                self._session(opened)
            finally:
                self._meter.count()
            if keep and not self._report.error:
                self._report = replace(self._report, session=opened)
        except VisitStopped:
            pass
        except VisitFull as full:
            self._note(str(full))
        except GatewaydError as error:
            self._report = replace(self._report, error=error.alone())
        except Exception as error:  # noqa: BLE001  one account's bug must not keep the next from being visited
            self._report = replace(self._report, error=self._awaiting.bug("visit", error))
        finally:
            if opening is not None and self._report.session is None:
                for text in self._awaiting.close(opening):
                    self._problem(text)
        return self._report

    def _refresh(self) -> None:
        for recipe in self._recipes:
            for fault in self._tools.examiner.refresh(recipe):
                self._note(f"operator {recipe.operator.name}: {fault}")

    def _session(self, session: Session) -> None:
        headers = partial(self._awaiting.in_thread, senders_of, session)
        for folder in self._imports.folders:
            with self._alone(folder):
                self._list(session, folder)
                self._settle(session)
                self._readmission.judge(folder, headers, keys=self._task.keys)
                self._work(session, folder)
        for filed in self._backfilling.admitted(self._readmission):
            self._filed(filed)
        if not self._report.problems:
            self._readmission.finish()
        for folder in [one for one in self._imports.folders if one in self._sound]:
            with self._alone(folder):
                self._reread(session, folder)
        self._settle(session)
        for filed in self._backfilling.old(self._task.operator) if self._task.operator is not None else ():
            self._filed(filed)

    @contextmanager
    def _alone(self, folder: str) -> Generator[None, None, None]:
        """Let what a folder's trouble ends be that folder's work alone."""
        try:
            yield
        except PermanentError as error:
            self._problem(f"{folder}: {error.sentences}")

    def _filed(self, number: int) -> None:
        """Count further filings of mail that is here."""
        self._report = replace(self._report, tally=self._report.tally + Tally(filed=number))
        self._go_on()

    def _problem(self, text: str) -> None:
        if text not in self._report.problems:
            self._report = replace(self._report, problems=(*self._report.problems, text))

    def _note(self, text: str) -> None:
        self._report = replace(self._report, notes=(*self._report.notes, text))

    # --- list -------------------------------------------------------------------------------------------------------

    def _list(self, session: Session, folder: str) -> None:
        listing = FolderListing(
            store=self._tools.store,
            lease=self._lease,
            folder=folder,
            imports=self._imports,
            task=self._task,
            session=session,
            in_thread=self._awaiting.in_thread,
            first=partial(distinct, self._account, self._tools.store, folder),
            entered=self._entered,
            problem=self._problem,
            note=self._note,
        )
        # Not before its end: the listing hands what is owed over to new keys where the folder was renumbered.
        proof = listing.run()
        if proof and proof.sound:
            self._sound.add(folder)
        if proof and not proof.left:
            self._report = replace(self._report, unproven=tuple(one for one in self._report.unproven if one != folder))

    def _go_on(self) -> None:
        """Ask, between two steps, whether the visit may go on; raises VisitStopped or VisitFull."""
        if self._tools.stopping():
            raise VisitStopped
        self._meter.check()

    def _entered(self, new: int) -> None:
        self._report = replace(self._report, listed=self._report.listed + new)
        self._go_on()
        self._meter.listed(new)

    # --- fetch, examine, file ---------------------------------------------------------------------------------------

    def _work(self, session: Session, folder: str) -> None:
        with closing(self._examined(session, folder)) as examined:
            for batch, found in examined:
                self._file(folder, batch, found)
                total = max(self._report.listed, self._done)
                self._tools.progress(Progress(account=self._account.name, folder=folder, done=self._done, total=total))
                self._awaiting.check(batch.error)
                self._go_on()

    def _examined(self, session: Session, folder: str) -> Generator[tuple[Batch, Examined], None, None]:
        """Yield what waits in the folder, batch by batch; while one is filed, the next is examined, and that after it fetched."""
        sizes = partial(self._tools.store.sizes, self._account.name, folder)
        ahead = Ahead(session, folder, self._batches(folder), tools=self._tools, begin=self._begin, sizes=sizes)
        try:
            while (first := ahead.first()) is not None:
                begun = self._awaiting.done(first)
                yield begun.batch, begun.examination.result(self._awaiting.tick)
                ahead.done()
        finally:
            ahead.cancel()
            if ahead.fetching:
                self._awaiting.abort()
            ahead.close()

    def _begin(self, batch: Batch) -> Examination:
        return self._tools.examiner.begin(order(batch, self._recipes, self._imports))

    def _batches(self, folder: str) -> Iterator[Sequence[Waiting]]:
        after, keys = 0, self._task.keys or None
        while waiting := self._tools.store.waiting(self._account.name, folder, after=after, limit=_AHEAD, keys=keys):
            after = waiting[-1].entry_id
            if not self._refreshed:
                self._refreshed = True
                self._refresh()
            yield from cut(self._readmission.marked(waiting), self._tools.bounds)

    def _file(self, folder: str, batch: Batch, examined: Examined) -> None:
        sizes = self._tools.store.sizes(self._account.name, folder) if batch.unlike else Sizes()
        done = outcomes(
            batch,
            examined,
            self._imports,
            self._account.user,
            onward=self._onward,
            sizes=sizes,
            ours=self._tools.stopping(),
            reread_after=self._tools.bounds.reread_after,
            grown=grown(batch, self._tools.store.stored_source),
        )
        commit = self._tools.store.file(self._lease, done)
        self._report = replace(self._report, tally=self._report.tally + commit.tally)
        self._later(one.retry_after for one in done if isinstance(one, Deferred))
        self._later(one.reread_after for one in done if isinstance(one, Filed) and one.reread_after is not None)
        self._done += len(done)
        self._meter.fetched(batch)
        for text in problems_of(batch, done):
            self._problem(f"{folder}: {text}")
        for text in notes_of(batch, done, self._imports.after, self._tools.bounds.reread_after):
            self._note(f"{folder}: {text}")
        self._tools.filed(folder, [one for one in done if isinstance(one, Filed) and one.entry_id in commit.filed])
        if commit.suspended:
            self._tools.suspended(commit.suspended)

    def _later(self, seconds: Iterable[float]) -> None:
        self._report = replace(self._report, later=max([self._report.later, *seconds]))

    def _reread(self, session: Session, folder: str) -> None:
        rereader = Rereader(
            tools=self._tools,
            lease=self._lease,
            session=session,
            in_thread=self._awaiting.in_thread,
            fetched=self._meter.fetched,
            check=self._awaiting.check,
            go_on=self._go_on,
            problem=self._problem,
        )
        if rereader.reread(folder):
            self._sound.discard(folder)
            self._work(session, folder)
        self._later([rereader.later])

    def _settle(self, session: Session) -> None:
        settler = Settler(
            store=self._tools.store,
            lease=self._lease,
            wanted=self._imports.after,
            look_up=lambda folder, keys: self._awaiting.in_thread(lambda: list(session.look_up(folder, keys))),
            anchors=partial(self._awaiting.in_thread, anchors_of, session),
            act=partial(self._awaiting.in_thread, session.settle),
            settled=self._settled,
            problem=self._problem,
            note=self._note,
            go_on=self._go_on,
        )
        settler.settle(self._sound)

    def _settled(self, number: int) -> None:
        self._report = replace(self._report, settled=self._report.settled + number)
