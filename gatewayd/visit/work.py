"""The work of one visit, under a lease that stands."""

from __future__ import annotations

from concurrent.futures import wait
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatewayd.batch import Batch, Onward, Progress, cut, order, outcomes
from gatewayd.custody import Deferred, Filed, Sizes, Tally
from gatewayd.errors import GatewaydError, PermanentError, PluginError
from gatewayd.guard import open_session
from gatewayd.mailboxes import claim, distinct
from gatewayd.plugins import where
from gatewayd.rematch import file_old
from gatewayd.visit.ahead import Ahead
from gatewayd.visit.folder import FolderListing
from gatewayd.visit.meter import Meter, VisitFull
from gatewayd.visit.readmission import Readmission, senders_of
from gatewayd.visit.remarks import notes_of, problems_of
from gatewayd.visit.settling import Settler
from gatewayd.visit.values import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future

    from gatewayd.config import AccountConfig, ImportConfig
    from gatewayd.custody import Lease, Waiting
    from gatewayd.examine import Examination, Examined, Recipe
    from gatewayd.health import Task
    from gatewayd.roles import Transport
    from gatewayd.session import Session
    from gatewayd.visit.values import Tools

__all__ = ["Work"]

_T = TypeVar("_T")

#: How many waiting keys are read from the ledger at once.
_AHEAD = 1000
#: How long the end of a session is waited for, in seconds.
_CLOSING = 5.0


class _Stopped(Exception):
    """The visit was told to end."""


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
        self._meter = Meter(tools.bounds)
        self._opened: Session | None = None
        self._refreshed = False
        self._readmission = Readmission(
            tools=tools, lease=lease, recipes=recipes, imports=imports, tick=self._tick, every=task.from_beginning
        )
        #: The folders that were listed to their end in this visit, and nothing that the server said was in doubt.
        self._sound: set[str] = set()

    def run(self, transport: Transport, session: Session | None, *, keep: bool) -> Report:
        """Do it, with a session that is open or by opening one; with ``keep`` the report has it, if it can go on."""
        opening: Future[Session] | None = None
        try:
            opening = self._tools.fetcher.submit((lambda: session) if session else partial(open_session, transport))
            opened = self._await(opening)
            self._opened = opened
            self._meter.opened(opened, before=session is not None)
            self._tools.opened(opened)
            if session is None:
                claim(self._account, self._tools.store, self._lease, enter=True)
            self._session(opened)
            if keep and not self._report.error:
                self._report = replace(self._report, session=opened)
        except _Stopped:
            pass
        except VisitFull as full:
            self._note(str(full))
        except GatewaydError as error:
            self._report = replace(self._report, error=error.alone())
        except Exception as error:  # noqa: BLE001  one account's bug must not keep the next from being visited
            self._report = replace(self._report, error=self._bug("visit", error))
        finally:
            if opening is not None and self._report.session is None:
                self._close(opening)
        return self._report

    def _refresh(self) -> None:
        for recipe in self._recipes:
            for fault in self._tools.examiner.refresh(recipe):
                self._note(f"operator {recipe.operator.name}: {fault}")

    def _session(self, session: Session) -> None:
        headers = partial(self._in_thread, senders_of, session)
        for folder in self._imports.folders:
            try:
                self._list(session, folder)
                self._settle(session)
                self._readmission.judge(folder, headers, keys=self._task.keys)
                self._work(session, folder)
            except PermanentError as error:
                self._problem(f"{folder}: {error.sentences}")
        if not self._report.problems:
            self._readmission.finish()
        self._settle(session)
        if self._task.operator is not None:
            self._file_old(self._task.operator)

    def _file_old(self, operator: str) -> None:
        """File the account's old mail for an operator that was added later, on purpose (design section 8)."""
        recipe = next((one for one in self._recipes if one.operator.name == operator), None)
        if recipe is None:
            advice = "Add it to the account's `operators` first."
            raise PermanentError(f"account {self._account.name} does not serve operator {operator!r}", advice=advice)
        store, examiner = self._tools.store, self._tools.examiner
        old = partial(file_old, store, examiner, recipe, self._lease, self._imports, owner=self._account.user)
        for filed in old(onward=self._onward, tick=self._tick):
            self._report = replace(self._report, tally=self._report.tally + Tally(filed=filed))
            self._go_on()

    def _close(self, opening: Future[Session]) -> None:
        """Close the session, behind whatever its thread still does. Nothing is written any more, so the lease may end."""
        try:
            error = self._tools.fetcher.submit(_closed, opening).exception(_CLOSING)
        except TimeoutError:
            # It hangs in a connect, which nobody can abort, or its transport does not keep its word.
            self._problem(f"the session was not closed within {_CLOSING:g} s")
            return
        if error is not None:
            self._problem(f"the session was not closed: {where(error)}")

    def _problem(self, text: str) -> None:
        if text not in self._report.problems:
            self._report = replace(self._report, problems=(*self._report.problems, text))

    def _note(self, text: str) -> None:
        self._report = replace(self._report, notes=(*self._report.notes, text))

    # --- waiting for the session's thread ---------------------------------------------------------------------------

    def _in_thread(self, call: Callable[..., _T], *args: object) -> _T:
        return self._await(self._tools.fetcher.submit(call, *args))

    def _await(self, future: Future[_T]) -> _T:
        """Wait for the session's thread, and keep the lease meanwhile. Each of its steps has a deadline of its own."""
        try:
            while not wait([future], timeout=self._tools.patience).done:
                self._tick()
        except BaseException:
            self._abort()
            raise
        self._raise(future.exception())
        return future.result()

    def _abort(self) -> None:
        """The lease is lost, or the process ends: no step that the session is in may keep us. Who told us to stop sees to it."""
        if self._opened is not None and not self._tools.stopping():
            self._opened.abort()

    def _tick(self) -> None:
        self._tools.store.renew(self._lease)
        if self._tools.stopping():
            raise _Stopped

    def _go_on(self) -> None:
        """Ask, between two steps, whether the visit may go on; raises _Stopped or VisitFull."""
        if self._tools.stopping():
            raise _Stopped
        self._meter.check()

    def _raise(self, error: BaseException | None) -> None:
        """Raise what the transport raised; whatever is none of the five errors is its own fault."""
        if isinstance(error, GatewaydError):
            raise error
        if error is not None:
            raise self._bug("transport", error) from error

    def _bug(self, what: str, error: BaseException) -> PluginError:
        return PluginError(f"the {what} of account {self._account.name} failed: {where(error)}")

    # --- list -------------------------------------------------------------------------------------------------------

    def _list(self, session: Session, folder: str) -> None:
        listing = FolderListing(
            store=self._tools.store,
            lease=self._lease,
            folder=folder,
            imports=self._imports,
            task=self._task,
            session=session,
            in_thread=self._in_thread,
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
                self._raise(batch.error)
                self._go_on()

    def _examined(self, session: Session, folder: str) -> Generator[tuple[Batch, Examined], None, None]:
        """Yield what waits in the folder, batch by batch; while one is filed, the next is examined, and that after it fetched."""
        ahead = Ahead(session, folder, self._batches(folder), tools=self._tools, begin=self._begin)
        try:
            while (first := ahead.first()) is not None:
                begun = self._await(first)
                yield begun.batch, begun.examination.result(self._tick)
                ahead.done()
        finally:
            ahead.cancel()
            if ahead.fetching:
                self._abort()
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
            batch, examined, self._imports, self._account.user, onward=self._onward, sizes=sizes, ours=self._tools.stopping()
        )
        commit = self._tools.store.file(self._lease, done)
        later = max([self._report.later, *(one.retry_after for one in done if isinstance(one, Deferred))])
        self._report = replace(self._report, tally=self._report.tally + commit.tally, later=later)
        self._done += len(done)
        self._meter.fetched(batch)
        for text in problems_of(batch, done):
            self._problem(f"{folder}: {text}")
        for text in notes_of(batch, done, self._imports.after):
            self._note(f"{folder}: {text}")
        self._tools.filed(folder, [one for one in done if isinstance(one, Filed) and one.entry_id in commit.filed])
        if commit.suspended:
            self._tools.suspended(commit.suspended)

    def _settle(self, session: Session) -> None:
        settler = Settler(
            store=self._tools.store,
            lease=self._lease,
            wanted=self._imports.after,
            look_up=lambda folder, keys: self._in_thread(lambda: list(session.look_up(folder, keys))),
            act=partial(self._in_thread, session.settle),
            settled=self._settled,
            problem=self._problem,
            note=self._note,
            go_on=self._go_on,
        )
        settler.settle(self._sound)

    def _settled(self, number: int) -> None:
        self._report = replace(self._report, settled=self._report.settled + number)


def _closed(opening: Future[Session]) -> None:
    """Close the session, also one that opened when nobody waited for it any more."""
    if opening.exception() is None:
        opening.result().close()
