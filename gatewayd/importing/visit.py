"""Visit an account: take its lease, list its folders, fetch, match and file what waits, settle, and give the lease back.

This is the way of a mail, from top to bottom, in the order of docs/flow.md. Custody is the ledger's: keys are committed as
waiting, with their page's cursor, before anything is fetched, and all further work is the ledger's waiting keys, however often
we crash (promises P1, P2). The session is used by one thread, the executor's, so that the next batch is fetched while this one
is matched and filed; whoever waits for that thread renews the lease meanwhile.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.health import Task
from gatewayd.api.ledger import Filed, Held
from gatewayd.api.sizes import Sizes
from gatewayd.errors import GatewaydError, PermanentError, PluginError, TransientError
from gatewayd.importing.backfilling import Backfiller
from gatewayd.importing.context import VisitContext, release
from gatewayd.importing.copies import CopyRecogniser
from gatewayd.importing.fetching import UnsizedMessages, cut, fetch
from gatewayd.importing.folder_sync import FolderSync
from gatewayd.importing.growth import grown
from gatewayd.importing.mailboxes import claim
from gatewayd.importing.meter import ListingFull, VisitFull
from gatewayd.importing.offering import Offering
from gatewayd.importing.outcomes import match_request, outcomes
from gatewayd.importing.prefetch import FetchedBatch, Prefetcher
from gatewayd.importing.readmission import Readmission
from gatewayd.importing.rereading import Rereader
from gatewayd.importing.sessions import VisitStopped
from gatewayd.importing.settling import Settler
from gatewayd.importing.values import Progress, VisitReport, VisitTools
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gatewayd.api.ledger import Lease, Waiting
    from gatewayd.api.roles import Transport
    from gatewayd.api.session import Session
    from gatewayd.config import AccountConfig
    from gatewayd.importing.folder_sync import PageEntry
    from gatewayd.matching import OperatorSpec

__all__ = ["visit"]

#: How many waiting keys are read from the ledger at once.
_AHEAD = 1000
#: A batch that ended its session at once is asked for again in so many parts, of at least ``_TELLING`` keys each, which show
#: whether sizes are estimates; then key by key.
_PARTS, _TELLING = 4, 5


def visit(
    account: AccountConfig,
    transport: Transport,
    specs: Sequence[OperatorSpec],
    tools: VisitTools,
    task: Task = Task(),  # noqa: B008  it is frozen
    *,
    lease: Lease | None = None,
    session: Session | None = None,
    keep: bool = False,
) -> VisitReport | Held:
    """Do one visit and report it, or say who holds the account.

    A ``lease`` that is given stays the caller's; without one it is taken and released. A ``session`` that is open already saves
    the log-in; with ``keep``, the report has the session that is still open. What ends a visit early is the report's error.
    Raises only what the store raises before there is a lease, and PermanentError for an account that imports nothing.
    """
    if account.imports is None:
        raise PermanentError(f"account {account.name} has no import block", advice="Add `import:` to its file.")
    held = lease or tools.store.take_lease(account.name, tools.instance.name, dead=tools.instance.dead)
    if isinstance(held, Held):
        return held
    not_released = None
    try:
        if session is None:
            # Before its server hears of us. A session that is open was allowed to be.
            claim(account, tools.store, held, enter=False)
        context = VisitContext(
            account, account.imports, transport=transport, session=session, specs=specs, tools=tools, lease=held, task=task
        )
        report = _Visit(context).run(claimed=session is not None, keep=keep)
    except GatewaydError as error:
        report = VisitReport(account=account.name, error=error.alone())
    finally:
        if lease is None:
            not_released = release(tools.store, held)
    return replace(report, error=report.error or not_released)


class _Visit:
    """The steps of one visit, in their order."""

    def __init__(self, context: VisitContext) -> None:
        self._context = context
        self._account, self._imports, self._lease = context.account, context.imports, context.lease
        self._tools, self._store, self._task = context.tools, context.store, context.task
        self._sessions, self._meter, self._reporter = context.sessions, context.meter, context.reporter
        self._readmission, self._copies = Readmission(context), CopyRecogniser(context)
        self._offering = Offering(context, self._readmission)
        #: The folders that were listed to their end in this visit, and nothing that the server said was in doubt.
        self._sound: set[str] = set()
        #: The folders whose listing a limit cut short, or that the visit has not come to.
        self._left = set(context.imports.folders)
        #: How many keys the last batch had, if the session broke before any of it came; else 0.
        self._in_vain = 0
        self._unsized = UnsizedMessages()
        self._refreshed = self._left_work = False

    def run(self, *, claimed: bool, keep: bool) -> VisitReport:
        """Do all steps. ``claimed``: it is settled that the account may have this mailbox. ``keep``: see ``visit``."""
        reporter, kept = self._reporter, None
        try:
            self._sessions.current()
            if not claimed:
                claim(self._account, self._store, self._lease, enter=True)
            try:
                self._steps()
            finally:
                self._meter.count()
            if keep and not reporter.report.error:
                kept = self._sessions.current()
        except VisitStopped:
            pass
        except VisitFull as full:
            reporter.full(str(full))
        except GatewaydError as error:
            reporter.fail(error)
        except Exception as error:  # noqa: BLE001  one account's bug must not keep the next from being visited
            reporter.fail(PluginError(f"the visit of account {self._account.name} failed: {where(error)}"))
        finally:
            for text in self._sessions.close() if kept is None else ():
                reporter.problem(text)
        compared = self._task.compare and not self._left
        return replace(reporter.report, session=kept, gave_way=self._meter.gave_way or self._left_work, compared=compared)

    def _steps(self) -> None:
        settler, rereader, backfiller = Settler(self._context, self._sound), Rereader(self._context), Backfiller(self._context)
        rests = False
        for folder in self._imports.folders:
            rests = False
            with self._context.alone(folder):
                listed = self._list(folder)
                # Most visits find nothing new, and then one question to the store is enough.
                rests = self._task == Task() and self._store.at_rest(self._account.name) and self._offering.rests()
                if listed and not (rests or self._task.look):
                    # What an earlier visit left owed.
                    settler.settle()
                self._offering.describe(folder)
                if rests or self._task.look:
                    continue
                self._offering.withdraw()
                self._readmission.judge(folder)
                self._fetch_waiting(folder)
        # What a look found waits for the next visit.
        self._left_work = self._task.look and not self._store.at_rest(self._account.name)
        if not rests:
            self._offering.judge()
        if rests or self._task.look:
            return
        self._offering.file_stored()
        backfiller.file_admitted(self._readmission)
        if not self._reporter.report.problems and not self._reporter.report.error:
            self._readmission.finish()
        for folder in [folder for folder in self._imports.folders if folder in self._sound]:
            with self._context.alone(folder):
                if rereader.reread(folder):
                    self._sound.discard(folder)
                    self._fetch_waiting(folder)
        settler.settle()
        if self._task.operator is not None:
            backfiller.file_old(self._task.operator)

    # --- list ---------------------------------------------------------------------------------------------------------

    def _list(self, folder: str) -> bool:
        """List a folder behind its cursor, or all of it; whether that came to its end, and what is owed may be done.

        Not before: where the folder was renumbered, the listing hands what is owed over to new keys.
        """
        self._left.discard(folder)
        sync = FolderSync(self._context, folder)
        try:
            self._enter(folder, sync.new())
            if sync.unsure() or self._task.from_beginning or self._task.compare:
                missed = self._enter(folder, sync.again(), resumes=False)
                if missed and self._task.compare:
                    taken = f"the full listing had {missed} keys that the ledger lacked; they are taken now"
                    self._reporter.note(f"{folder}: {taken}")
        except ListingFull as full:
            self._reporter.full(f"{folder}: {full}")
            self._left.add(folder)
            return False
        proof = sync.proof
        if (times := proof.times()) is not None:
            self._store.prove(self._lease, folder, checked_at=times[0], compared_at=times[1], doubt=proof.left)
        self._reporter.checked(folder, proof, after=self._imports.after)
        if proof.sound:
            self._sound.add(folder)
        return True

    def _enter(self, folder: str, pages: Iterable[PageEntry], *, resumes: bool = True) -> int:
        """Commit each page: its keys wait from then on, and its cursor has passed them. Return how many keys were new.

        ``resumes``: see ``Meter.listed``.
        """
        listed, enter = 0, partial(self._store.enter, self._lease, folder)
        for page in pages:
            new = enter(page.entries, cursor=page.cursor, start_at=page.start_at, standing=page.standing, doubt=page.doubt)
            listed += new
            self._reporter.listed(new)
            self._sessions.stop()
            self._meter.listed(new, resumes=resumes)
        return listed

    # --- fetch, match, file -------------------------------------------------------------------------------------------

    def _fetch_waiting(self, folder: str) -> None:
        """Fetch, match and file what waits; fewer at a time where sessions end before any of a batch came: one may be the cause."""
        most = self._tools.limits.batch_messages
        while most:
            self._in_vain = 0
            try:
                self._file_batches(folder, most)
                most = 0
            except (PluginError, TransientError) as error:
                if self._in_vain <= 1:
                    raise
                most = max(_TELLING, self._in_vain // _PARTS) if self._in_vain > _TELLING else 1
                self._context.leave(error)

    def _file_batches(self, folder: str, most: int) -> None:
        """Fetch, match and file batch by batch: while one is filed, the next is matched, and the one behind it fetched."""
        name, reread_after = self._account.name, self._tools.limits.reread_after
        fetched = partial(self._fetch, folder, self._sessions.current(), [])
        ahead = Prefetcher(self._sessions, self._tools.fetcher, self._waiting(folder, most), fetched)
        with closing(ahead.matched()) as batches:
            for batch, matched in batches:
                done = outcomes(
                    batch,
                    matched,
                    self._imports,
                    self._account.user,
                    routing=self._context.routing,
                    sizes=self._store.sizes(name, folder) if batch.unlike else Sizes(),
                    ours=self._tools.stopping(),
                    reread_after=reread_after,
                    grown=grown(batch, self._store.stored_source),
                )
                # The mails and the end of each key, in one transaction.
                commit = self._store.file(self._lease, done)
                self._meter.fetched(batch)
                self._reporter.filed(commit.tally)
                self._reporter.batch(folder, batch, done, after=self._imports.after, reread_after=reread_after)
                new = [outcome for outcome in done if isinstance(outcome, Filed) and outcome.entry_id in commit.filed]
                self._tools.events.mails_filed(name, folder, new)
                self._tools.events.targets_suspended(commit.suspended)
                ended = self._reporter.report.tally.total
                total = max(self._reporter.report.listed, ended)
                self._tools.progress(Progress(account=name, folder=folder, done=ended, total=total))
                self._in_vain = len(batch.asked) if batch.error and not (batch.came or batch.disk_failed) else 0
                self._sessions.check(batch.error)
                self._context.go_on()

    def _waiting(self, folder: str, most: int) -> Iterator[Sequence[Waiting]]:
        """Yield the keys that wait in the folder and are due, cut into batches of at most ``most`` messages."""
        after, keys = 0, self._task.keys or None
        while waiting := self._store.waiting(self._account.name, folder, after=after, limit=_AHEAD, keys=keys):
            after = waiting[-1].entry_id
            for spec in () if self._refreshed else self._context.specs:
                for fault in self._tools.matching.refresh(spec):
                    self._reporter.note(f"operator {spec.operator.name}: {fault}")
            self._refreshed = True
            chosen = self._offering.marked(folder, self._readmission.marked(waiting))
            left = self._copies.left(folder, chosen)
            yield from cut(left, messages=most, size=self._tools.limits.batch_bytes, unsized=self._unsized)

    def _fetch(self, folder: str, session: Session, odd: list[Sizes], asked: Sequence[Waiting]) -> FetchedBatch:
        """Fetch one batch into a spool, and have it matched. Runs in the session's thread."""

        def estimates(sizes: Sizes) -> bool:
            # The sizes of the batches before: those with wrong ones may not be filed yet.
            odd.append(sizes)
            return sum(odd, self._store.sizes(self._account.name, folder)).are_estimates

        spool, began = self._tools.instance.spool(), time.monotonic()
        batch = fetch(session, folder, asked, spool, self._tools.limits.message_bytes, estimates=estimates)
        self._unsized.learn(batch, time.monotonic() - began)
        try:
            return FetchedBatch(batch, self._tools.matching.begin(match_request(batch, self._context.specs, self._imports)))
        except BaseException:
            spool.close()
            raise
