"""One visit: one round of work on one account. List, then for what waits: fetch, examine, file, settle.

Custody is the ledger's: keys are committed as waiting, with their page's cursor, before anything is fetched, and all
further work is the ledger's waiting keys, however often we crash (promises P1, P2). The session is used by one thread,
the executor's, so that the next batch is fetched while this one is examined and filed; whoever waits for that thread
renews the lease meanwhile.
"""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from gatewayd.batch import Batch, Bounds, Progress, cut, drop, fetch, outcomes
from gatewayd.custody import Held, Tally
from gatewayd.errors import GatewaydError, PermanentError, PluginError
from gatewayd.listing import Lister, checked
from gatewayd.plugins import where
from gatewayd.store import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from gatewayd.config import AccountConfig, ImportConfig
    from gatewayd.custody import Lease, Owed, Waiting
    from gatewayd.examine import Examiner, Recipe
    from gatewayd.model import Page
    from gatewayd.owner import Owner
    from gatewayd.roles import Session, Transport
    from gatewayd.store import Store

__all__ = ["Progress", "Report", "Tools", "visit"]

_T = TypeVar("_T")

#: How many waiting keys are read from the ledger at once, and how many owed actions are settled at once.
_AHEAD = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a visit did."""

    account: str
    #: Keys that were new to the ledger.
    listed: int = 0
    tally: Tally = field(default_factory=Tally)
    settled: int = 0
    #: What stopped a folder or an action, each one line.
    problems: tuple[str, ...] = ()
    #: What a person should know and stopped nothing, such as a faulty row of a directory.
    notes: tuple[str, ...] = ()
    #: What ended the visit early; what was filed by then is filed.
    error: GatewaydError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a visit works with; handed in, so that the command line and the daemon each bring their own."""

    store: Store
    examiner: Examiner
    owner: Owner
    #: One thread, for everything that the session does.
    fetcher: Executor
    bounds: Bounds = field(default_factory=Bounds)
    progress: Callable[[Progress], None] = lambda _: None
    #: How long the session is waited for before the lease is renewed, in seconds.
    patience: float = LEASE_SECONDS / 3


def visit(
    account: AccountConfig,
    transport: Transport,
    recipes: Sequence[Recipe],
    tools: Tools,
    *,
    from_beginning: bool = False,
    keys: Collection[str] | None = None,
) -> Report | Held:
    """Do one visit and report it, or say who holds the account.

    ``from_beginning`` lists every folder anew, takes what was only offered, and files nothing twice; ``keys`` takes just
    these, offered or waiting. What ends a visit early is the report's error; raised is only what the store raises
    before there is a lease, and PermanentError for an account that imports nothing.
    """
    if account.imports is None:
        raise PermanentError(f"account {account.name} has no import block", advice="Add `import:` to its file.")
    lease = tools.store.take_lease(account.name, tools.owner.name, dead=tools.owner.dead)
    if isinstance(lease, Held):
        return lease
    work = _Visit(account, account.imports, recipes, tools, lease, from_beginning=from_beginning, keys=keys)
    try:
        report = work.run(transport)
    finally:
        not_released = _release(tools.store, lease)
    return replace(report, error=report.error or not_released)


def _release(store: Store, lease: Lease) -> GatewaydError | None:
    """Give the lease back; what keeps us from it must not hide what the visit did. It ends by itself, too."""
    try:
        store.release(lease)
    except GatewaydError as error:
        return error
    return None


class _Visit:
    def __init__(
        self,
        account: AccountConfig,
        imports: ImportConfig,
        recipes: Sequence[Recipe],
        tools: Tools,
        lease: Lease,
        *,
        from_beginning: bool,
        keys: Collection[str] | None,
    ) -> None:
        self._account = account
        self._imports = imports
        self._recipes = recipes
        self._tools = tools
        self._lease = lease
        self._from_beginning = from_beginning
        self._keys = keys
        self._report = Report(account=account.name)
        self._done = 0
        #: The folders that were listed to their end in this visit.
        self._fresh: set[str] = set()

    def run(self, transport: Transport) -> Report:
        try:
            self._refresh()
            opening = self._tools.fetcher.submit(transport.open)
            try:
                self._session(self._await(opening))
            finally:
                self._close(opening)
        except GatewaydError as error:
            self._report = replace(self._report, error=error)
        except Exception as error:  # noqa: BLE001  one account's bug must not keep the next from being visited
            self._report = replace(self._report, error=self._bug("visit", error))
        return self._report

    def _refresh(self) -> None:
        for recipe in self._recipes:
            for fault in self._in_thread(self._tools.examiner.refresh, recipe):
                self._note(f"operator {recipe.operator.name}: {fault}")

    def _session(self, session: Session) -> None:
        for folder in self._imports.folders:
            try:
                self._list(session, folder)
                # Not before: the listing hands what is owed over to new keys where the folder was renumbered.
                self._fresh.add(folder)
                self._settle(session)
                self._work(session, folder)
            except PermanentError as error:
                self._problem(f"{folder}: {error.message}")
        self._settle(session)

    def _close(self, opening: Future[Session]) -> None:
        """Close the session, behind whatever its thread still does. Nothing is written any more, so the lease may end."""
        error = self._tools.fetcher.submit(_closed, opening).exception()
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
        while not wait([future], timeout=self._tools.patience).done:
            self._tools.store.renew(self._lease)
        self._raise(future.exception())
        return future.result()

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
        lister = Lister(
            store=self._tools.store,
            account=self._account.name,
            folder=folder,
            start=self._imports.start,
            pages=lambda cursor: self._pages(session, folder, cursor),
            headers=lambda keys: self._in_thread(lambda: list(session.headers(folder, keys))),
        )
        for page in lister.entering(from_beginning=self._from_beginning, keys=self._keys):
            new = self._tools.store.enter(
                self._lease, folder, page.entries, cursor=page.cursor, start_at=page.start_at, standing=page.standing
            )
            self._report = replace(self._report, listed=self._report.listed + new)

    def _pages(self, session: Session, folder: str, cursor: str | None) -> Iterator[Page]:
        pages = self._in_thread(lambda: checked(session.listing(folder, cursor)))
        while (page := self._in_thread(next, pages, None)) is not None:
            yield page

    # --- fetch, examine, file ---------------------------------------------------------------------------------------

    def _work(self, session: Session, folder: str) -> None:
        """Go through the folder's waiting keys; the next batch is fetched while this one is examined and filed."""
        batches = self._batches(folder)
        ahead = self._fetch(session, folder, next(batches, None))
        try:
            while ahead is not None:
                batch, ahead = self._await(ahead), None
                with batch.spool:
                    ahead = self._fetch(session, folder, None if batch.error else next(batches, None))
                    self._file(batch)
                total = max(self._report.listed, self._done)
                self._tools.progress(Progress(account=self._account.name, folder=folder, done=self._done, total=total))
                self._raise(batch.error)
        finally:
            drop(ahead)

    def _batches(self, folder: str) -> Iterator[Sequence[Waiting]]:
        after = 0
        while waiting := self._tools.store.waiting(self._account.name, folder, after=after, limit=_AHEAD, keys=self._keys):
            after = waiting[-1].entry_id
            yield from cut(waiting, self._tools.bounds)

    def _fetch(self, session: Session, folder: str, batch: Sequence[Waiting] | None) -> Future[Batch] | None:
        return None if batch is None else self._tools.fetcher.submit(fetch, session, folder, batch, self._tools.owner.spool())

    def _file(self, batch: Batch) -> None:
        done = outcomes(batch, self._recipes, self._imports, self._account.user, self._tools.examiner)
        tally = self._tools.store.file(self._lease, done)
        self._report = replace(self._report, tally=self._report.tally + tally)
        self._done += len(done)

    # --- settle -----------------------------------------------------------------------------------------------------

    def _settle(self, session: Session) -> None:
        """Do on the server what is owed: after the commit, and again by a later visit if this one fails (P3).

        What the server refuses for good stays owed and keeps nothing else from being done; so does what is owed in a
        folder that was not listed in this visit, for its keys may be of old numbers.
        """
        stuck: set[int] = set()
        while owed := self._owed(stuck):
            groups: dict[tuple[str, str], list[Owed]] = {}
            for one in owed:
                groups.setdefault((one.folder, str(one.action)), []).append(one)
            for (folder, action), group in groups.items():
                ids = [one.entry_id for one in group]
                if action != str(self._imports.after):
                    self._tools.store.settled(self._lease, ids)
                    self._note(f"{folder}: {len(ids)} messages: {action} is left undone, the account no longer asks for it")
                    continue
                if folder not in self._fresh:
                    stuck.update(ids)
                    continue
                try:
                    self._in_thread(session.settle, folder, [one.key for one in group], group[0].action)
                except PermanentError as error:
                    self._problem(f"{folder}: {action}: {error.message}")
                    stuck.update(ids)
                else:
                    self._tools.store.settled(self._lease, ids)
                    self._report = replace(self._report, settled=self._report.settled + len(ids))

    def _owed(self, stuck: Collection[int]) -> Sequence[Owed]:
        owed = self._tools.store.owed(self._account.name, limit=_AHEAD + len(stuck))
        return [one for one in owed if one.entry_id not in stuck]


def _closed(opening: Future[Session]) -> None:
    """Close the session, also one that opened when nobody waited for it any more."""
    if opening.exception() is None:
        opening.result().close()
