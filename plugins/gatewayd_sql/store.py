"""The store ``sql``. This module is light: SQLAlchemy is imported when a store is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd_sql.account_verbs import SqlAccounts
from gatewayd_sql.admission import AdmissionTables
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.proofs import ProofsOfSql

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd import (
        AccountHealth,
        Anchor,
        Answer,
        Cause,
        Commit,
        DaemonHealth,
        Delivery,
        DeliveryQuery,
        DeliveryView,
        Entry,
        EntryView,
        Filing,
        FilingView,
        FolderState,
        Held,
        Known,
        Lease,
        Lengths,
        Origin,
        Outcome,
        Outgoing,
        Owed,
        Posted,
        Query,
        Record,
        Request,
        Settled,
        Source,
        State,
        Suspension,
        Taken,
        Task,
        Viewer,
        Waiting,
    )

__all__ = ["Sql"]


class Sql(SqlAccounts, ProofsOfSql, AdmissionTables):
    """Keeps everything in one SQLite file, or in PostgreSQL."""

    kind = "sql"
    Options = SqlOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: SqlOptions

    def open(self) -> None:
        """Connect and bring the tables to this version."""
        from gatewayd_sql.verbs import Verbs  # noqa: PLC0415  SQLAlchemy takes half a second to import

        self._verbs = Verbs.open(self.url)

    def close(self) -> None:
        """Let go of all connections."""
        self._verbs.close()

    def take_lease(self, account: str, holder: str, *, dead: Callable[[str], bool]) -> Lease | Held:
        """Take the account's lease, or say who holds it."""
        return self._verbs.leases.take(account, holder, dead=dead)

    def renew(self, lease: Lease) -> None:
        """Renew the lease."""
        self._verbs.leases.renew(lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        self._verbs.leases.release(lease)

    def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
        """Take those leases that are free, ended or of a dead holder."""
        return self._verbs.leases.take_many(accounts, holder, dead=dead)

    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Renew leases, and return those that still stand."""
        return self._verbs.leases.renew_many(leases)

    def release_leases(self, leases: Sequence[Lease]) -> None:
        """Give leases back."""
        self._verbs.leases.release_many(leases)

    def beat(self, daemon: DaemonHealth) -> int:
        """Say that a daemon lives; return how many do."""
        return self._verbs.daemons.beat(daemon)

    def retire(self, holder: str) -> None:
        """Say that a daemon ends."""
        self._verbs.daemons.retire(holder)

    def daemons(self) -> Sequence[DaemonHealth]:
        """Return the daemons that live."""
        return self._verbs.daemons.living()

    def tell(self, healths: Sequence[AccountHealth]) -> None:
        """Keep how accounts are."""
        self._verbs.daemons.tell(healths)

    def healths(self) -> Sequence[AccountHealth]:
        """Return how every account is."""
        return self._verbs.daemons.healths()

    def lengths(self) -> Lengths:
        """Return how much waits."""
        return self._verbs.daemons.lengths()

    def ask(self, account: str, task: Task) -> int:
        """Ask for a visit by whichever daemon holds the account."""
        return self._verbs.asked.ask(account, task)

    def requests(self, accounts: Collection[str] | None = None, *, ids: Collection[int] | None = None) -> Sequence[Request]:
        """Return requests, unanswered or by their ids."""
        return self._verbs.asked.requests(accounts, ids)

    def progress(self, request_id: int, *, done: int, total: int) -> None:
        """Say how far a request is."""
        self._verbs.asked.progress(request_id, done=done, total=total)

    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        """Answer requests."""
        self._verbs.asked.answer(request_ids, answer)

    def folder(self, account: str, folder: str) -> FolderState | None:
        """Return how far the folder was listed."""
        return self._verbs.ledger.folder(account, folder)

    def known(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the ledger has under those of ``keys`` that it knows."""
        return self._verbs.ledger.known(account, folder, keys)

    def anchors(self, account: str, folder: str, *, standing: Collection[str] | None) -> Sequence[Anchor]:
        """Return what entries can be recognised by that are gone."""
        return self._verbs.ledger.anchors(account, folder, standing=standing)

    def enter(
        self,
        lease: Lease,
        folder: str,
        entries: Sequence[Entry],
        *,
        cursor: str,
        start_at: datetime | None,
        standing: Collection[str] | None = None,
        doubt: str = "",
    ) -> int:
        """Commit new keys together with the cursor."""
        return self._verbs.ledger.enter(lease, folder, entries, cursor=cursor, start_at=start_at, standing=standing, doubt=doubt)

    def waiting(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None = None
    ) -> Sequence[Waiting]:
        """Return waiting keys that are due."""
        return self._verbs.ledger.waiting(account, folder, after=after, limit=limit, keys=keys)

    def file(self, lease: Lease, outcomes: Sequence[Outcome]) -> Commit:
        """Commit what became of a batch."""
        return self._verbs.filer.file(lease, outcomes)

    def owed(self, account: str, *, after: int = 0, limit: int) -> Sequence[Owed]:
        """Return actions that are owed to the server."""
        return self._verbs.owing.owed(account, after=after, limit=limit)

    def settled(self, lease: Lease, entry_ids: Collection[int], *, undone: bool = False) -> None:
        """Commit that these actions are done, or left undone."""
        self._verbs.owing.settled(lease, entry_ids, undone=undone)

    def entries(self, account: str, state: State, *, after: int, limit: int) -> Sequence[EntryView]:
        """Return the account's keys in that state, with the reason."""
        return self._verbs.ledger.entries(account, state, after=after, limit=limit)

    def filings(self, viewer: Viewer, query: Query) -> Sequence[FilingView]:
        """Return the filings that the viewer may see and that fit."""
        return self._verbs.desk.filings(viewer, query)

    def source(self, viewer: Viewer, mail_id: int) -> Source | None:
        """Return where the raw bytes of a mail can be read."""
        return self._verbs.desk.source(viewer, mail_id)

    def unfiled(self, account: str, operator: str, *, after: int, limit: int, owner: str | None = None) -> Sequence[int]:
        """Return ids of mails that the operator has no filing of."""
        return self._verbs.desk.unfiled(account, operator, after=after, limit=limit, owner=owner)

    def stored_source(self, mail_id: int) -> Source:
        """Return where the raw bytes of a mail can be read, for the kernel itself."""
        return self._verbs.desk.stored_source(mail_id)

    def add_filings(self, lease: Lease, filings: Sequence[tuple[int, Filing]]) -> int:
        """Commit further filings of stored mails."""
        return self._verbs.filer.add_filings(lease, filings)

    def refile(self, viewer: Viewer, filings: Sequence[tuple[int, Filing]]) -> None:
        """Replace what matchers said of these filings."""
        self._verbs.desk.refile(viewer, filings)

    def causes(self, viewer: Viewer) -> Sequence[Cause]:
        """Return what stands in the viewer's error queues, grouped by cause."""
        return self._verbs.desk.causes(viewer)

    def fingerprints(self, operator: str) -> Mapping[str, str]:
        """Return the fingerprints of an operator's matchers as last remembered."""
        return self._verbs.fingerprints.of(operator)

    def remember_fingerprints(self, operator: str, fingerprints: Mapping[str, str]) -> None:
        """Remember the fingerprints of an operator's matchers."""
        self._verbs.fingerprints.remember(operator, fingerprints)

    def discard(self, viewer: Viewer, mail_ids: Collection[int]) -> int:
        """Take filings out of their error queue."""
        return self._verbs.desk.discard(viewer, mail_ids)

    def link(self, viewer: Viewer, mail_id: int, records: Sequence[Record], *, who: str, because: str) -> int:
        """Link a filing by hand."""
        return self._verbs.desk.link(viewer, mail_id, records, who=who, because=because)

    def unlink(self, viewer: Viewer, mail_id: int, records: Sequence[tuple[str, str]], *, who: str) -> int:
        """Take links away."""
        return self._verbs.desk.unlink(viewer, mail_id, records, who=who)

    def mark(self, viewer: Viewer, mail_ids: Collection[int], *, unread: bool) -> int:
        """Mark filings read or unread."""
        return self._verbs.desk.mark(viewer, mail_ids, unread=unread)

    def post(self, viewer: Viewer, outgoing: Outgoing, delivery: Delivery) -> Posted:
        """Commit a mail of our own together with its delivery."""
        return self._verbs.filer.post(viewer, outgoing, delivery)

    def deliver(self, viewer: Viewer, mail_id: int, deliveries: Sequence[Delivery]) -> Sequence[int]:
        """Enter deliveries of a filing."""
        return self._verbs.sending.deliver(viewer, mail_id, deliveries)

    def inheritable(
        self, wanted: Collection[tuple[str, str | None, str]]
    ) -> Mapping[tuple[str, str | None, str], Sequence[Record]]:
        """Return the records that filings would inherit."""
        return self._verbs.inheritance.inheritable(wanted)

    def origins(self, message_ids: Collection[str], server_ids: Collection[str]) -> Sequence[Origin]:
        """Return whose deliveries these are."""
        return self._verbs.origins.origins(message_ids, server_ids)

    def destinations(self, *, dead: Callable[[str], bool] = lambda _: False) -> Mapping[str, float]:
        """Return for every destination in how many seconds something of it is due."""
        return self._verbs.outbox.destinations(dead)

    def take(self, destination: str, taker: str, *, limit: int, dead: Callable[[str], bool]) -> Sequence[Taken]:
        """Take what is due of a destination."""
        return self._verbs.outbox.take(destination, taker, limit=limit, dead=dead)

    def settle(self, taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        """Commit what became of tries."""
        return self._verbs.outbox.settle(taker, settled)

    def give_back(self, taker: str, delivery_ids: Collection[int]) -> None:
        """Let what was taken and not tried be due as it was."""
        self._verbs.outbox.give_back(taker, delivery_ids)

    def hurry(self, destinations: Collection[str]) -> None:
        """Let all that waits in these destinations be due now."""
        self._verbs.outbox.hurry(destinations)

    def overdue(self, seconds: float) -> Sequence[DeliveryView]:
        """Return what waits for long and was not returned before."""
        return self._verbs.outbox.overdue(seconds)

    def deliveries(self, viewer: Viewer, query: DeliveryQuery) -> Sequence[DeliveryView]:
        """Return deliveries of the viewer's filings that fit."""
        return self._verbs.sending.deliveries(viewer, query)

    def redeliver(self, viewer: Viewer, delivery_ids: Collection[int]) -> int:
        """Let deliveries be due at once."""
        return self._verbs.sending.redeliver(viewer, delivery_ids)

    def cancel(self, viewer: Viewer, delivery_ids: Collection[int], *, who: str) -> int:
        """Cancel deliveries."""
        return self._verbs.sending.cancel(viewer, delivery_ids, who=who)

    def suspensions(self) -> Sequence[Suspension]:
        """Return the targets that get nothing."""
        return self._verbs.sending.suspensions()

    def resume(self, operator: str, target: str) -> bool:
        """Let a target get deliveries again."""
        return self._verbs.sending.resume(operator, target)
