"""The role ``Store``: keeps everything. Few verbs, each one short transaction; no row, session or engine leaves it.

What a visit writes is fenced: each of its verbs takes the lease, proves in the same transaction that it still stands,
and renews it; where it does not stand, the verb raises ``LeaseLost`` and nothing is written. When a verb has returned,
its data is on the disk (promise P2). Every verb may be called from any thread.

Raising: TransientError (busy, full disk, server away), ConfigError (a database that can't be used: read-only, of a newer
version, no database), LeaseLost.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from gatewayd.api.roles import Plugin
from gatewayd.api.store.accounts import AccountVerbs
from gatewayd.api.store.admission import AdmissionVerbs
from gatewayd.api.store.outbox import DELIVERY_SECONDS, OutboxVerbs
from gatewayd.api.store.proofs import ProofVerbs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.health import AccountHealth, Answer, Cause, DaemonHealth, Lengths, Request, Task
    from gatewayd.api.ledger import Anchor, Entry, Filing, FolderState, Held, Known, Lease, Outcome, Owed, State, Waiting
    from gatewayd.api.queries import EntryView, FilingView, Query, Viewer
    from gatewayd.api.roles import Folders
    from gatewayd.api.tally import Commit
    from gatewayd.api.values import Record
    from gatewayd.message.values import Source

__all__ = ["DELIVERY_SECONDS", "LEASE_SECONDS", "AccountVerbs", "AdmissionVerbs", "OutboxVerbs", "ProofVerbs", "Store"]

#: How long a lease lasts without being renewed. Every fenced write renews it.
LEASE_SECONDS = 30.0


class Store(Plugin, AccountVerbs, ProofVerbs, OutboxVerbs, AdmissionVerbs):
    """Keeps ledger, raw mail, filings, links, deliveries and leases.

    Every verb may raise TransientError while the database can't be reached. It raises StoreReplaced once others find another
    database by this one's name, such as a backup: what was written is seen by nobody, so nothing may be done on a mail server.
    """

    def __init__(self, options: Store.Options, *, place: Folders) -> None:
        """Keep what is given. Does no I/O and can't fail."""
        self.options = options
        self.place = place

    @abstractmethod
    def open(self) -> None:
        """Connect and bring the tables to this version. Called once, before anything else.

        Raises ConfigError for a database of a newer version, a read-only one, or none at all.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections. Called once; never raises."""

    # --- leases ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def take_lease(self, account: str, holder: str, *, dead: Callable[[str], bool]) -> Lease | Held:
        """Take the account's lease if it is free, ended, or its holder is ``dead``; else say who holds it.

        Time is the database's. ``dead(holder)`` is asked outside the transaction and true only for one that surely is.
        """

    @abstractmethod
    def renew(self, lease: Lease) -> None:
        """Renew the lease, at least every third of ``LEASE_SECONDS`` while nothing is written."""

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give the lease back; says nothing where it is lost already."""

    @abstractmethod
    def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
        """Take at once the leases of those of ``accounts`` that are free, ended or of a dead holder; see ``take_lease``."""

    @abstractmethod
    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Renew them at once, and return those that still stand; raises nothing for one that is lost."""

    @abstractmethod
    def release_leases(self, leases: Sequence[Lease]) -> None:
        """Give them back at once."""

    # --- daemons and their health ---------------------------------------------------------------------------------

    @abstractmethod
    def beat(self, daemon: DaemonHealth) -> int:
        """Say that a daemon lives, for ``LEASE_SECONDS`` from now; return how many do, this one included."""

    @abstractmethod
    def retire(self, holder: str) -> None:
        """Say that a daemon ends."""

    @abstractmethod
    def daemons(self) -> Sequence[DaemonHealth]:
        """Return the daemons that live, longest first."""

    @abstractmethod
    def tell(self, healths: Sequence[AccountHealth]) -> None:
        """Keep how accounts are, in place of what was told before; a time that is None stays as it was, but for ``due_at`` and
        ``working_since``.
        """

    @abstractmethod
    def healths(self) -> Sequence[AccountHealth]:
        """Return how every account is that was ever told of, by name."""

    @abstractmethod
    def lengths(self) -> Lengths:
        """Return how much waits."""

    # --- what people ask of a daemon ------------------------------------------------------------------------------

    @abstractmethod
    def ask(self, account: str, task: Task) -> int:
        """Ask for a visit by whichever daemon holds the account; return the request's id. Forgets answers older than a day."""

    @abstractmethod
    def requests(self, accounts: Collection[str] | None = None, *, ids: Collection[int] | None = None) -> Sequence[Request]:
        """Return requests by id: those of ``ids``, answered or not, else the unanswered ones, of ``accounts`` if given."""

    @abstractmethod
    def progress(self, request_id: int, *, done: int, total: int) -> None:
        """Say how far a request is, in keys."""

    @abstractmethod
    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        """Answer requests."""

    # --- the ledger -----------------------------------------------------------------------------------------------

    @abstractmethod
    def folder(self, account: str, folder: str) -> FolderState | None:
        """Return how far the folder was listed; None where it never was."""

    @abstractmethod
    def known(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the ledger has under those of ``keys`` that it knows."""

    @abstractmethod
    def anchors(self, account: str, folder: str, *, standing: Collection[str] | None) -> Sequence[Anchor]:
        """Return what entries can be recognised by that are gone under their key, or will be when a page is entered.

        ``standing`` None: those already gone; else also every entry of the folder whose key is not in ``standing``. Only
        entries in a final state, with an anchor, that no later key took over.
        """

    @abstractmethod
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
        """Commit new keys together with the cursor; return how many were new. Keys that the ledger has stay as they are.

        But: they take a size and an arrival that they lack. An ``offered`` key that is entered as waiting becomes waiting (with
        ``backlog``), and a key that stands again though it was gone waits again. Where it was fetched before, it counts as new: a
        server may use the key of a deleted message for another one (RFC 1939 section 7). The old entry then stays gone, without
        its anchor and its owed action. So it does where an entry has a ``contradiction``, whatever became of the message that was
        there: where it waited or was offered it is vanished, and its cause says why.
        With ``standing``, every other key of the folder is marked gone; those of them that waited or were offered become vanished.
        An entry with ``same_as`` gets the state, mail and owed action of that entry, which gives up its anchor and its owed action;
        nothing is owed any more where the sizes differ. A ``doubt`` is kept with the folder until ``prove`` clears it up: the
        whole folder is to be compared.
        """

    @abstractmethod
    def waiting(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None = None
    ) -> Sequence[Waiting]:
        """Return waiting keys that are due, ids above ``after``, by id; only ``keys`` where given (then due or not)."""

    @abstractmethod
    def file(self, lease: Lease, outcomes: Sequence[Outcome]) -> Commit:
        """Commit what became of a batch: raw chunks, mails, filings, links, rivals, faults, states and owed actions.

        Raw bytes are read from ``mail.source`` in chunks and stored once for equal digests. A mail whose bytes the account
        already has, in whatever folder or earlier in the batch, becomes ``duplicate`` of that mail and files nothing. An
        entry that is no longer waiting is left alone.

        Of a new filing, too: its deliveries are entered, and it inherits the links of the operator's own outgoing mails that
        it follows. A bounce is kept with the delivery of an operator that the mail is filed for; a hard one of all that a
        target's delivery went to suspends that target. Of a new mail it is kept which operators refused it.
        """

    @abstractmethod
    def owed(self, account: str, *, after: int = 0, limit: int) -> Sequence[Owed]:
        """Return actions that are owed to the server for keys that are not gone, oldest first, of entries after that id."""

    @abstractmethod
    def settled(self, lease: Lease, entry_ids: Collection[int], *, undone: bool = False) -> None:
        """Commit that these actions are done, or with ``undone`` that they are left undone: nothing is owed any more.

        A message that was moved or deleted so gives up its anchor: no later key of the folder can be the same message. Where
        it was filed it is gone, so that its key can be that of another; a duplicate is not, so that a server which only says
        that it deletes is not asked for the same bytes at every visit.
        """

    @abstractmethod
    def entries(self, account: str, state: State, *, after: int, limit: int) -> Sequence[EntryView]:
        """Return the account's keys in that state, with the reason, ids above ``after``, by id."""

    # --- what people do -------------------------------------------------------------------------------------------

    @abstractmethod
    def filings(self, viewer: Viewer, query: Query) -> Sequence[FilingView]:
        """Return the filings that the viewer may see and that fit, newest first."""

    @abstractmethod
    def source(self, viewer: Viewer, mail_id: int) -> Source | None:
        """Return where the raw bytes of a mail can be read; None where this viewer has no such filing."""

    @abstractmethod
    def unfiled(self, account: str, operator: str, *, after: int, limit: int, owner: str | None = None) -> Sequence[int]:
        """Return ids of the account's mails that ``operator`` has no filing of, above ``after``, by id.

        What is the personal mail of another user than ``owner`` is left out: it is nobody else's.
        """

    @abstractmethod
    def stored_source(self, mail_id: int) -> Source:
        """Return where the raw bytes of a mail can be read, for the kernel itself: ``--from-beginning --operator``.

        Raises PermanentError where there is no such mail.
        """

    @abstractmethod
    def add_filings(self, lease: Lease, filings: Sequence[tuple[int, Filing]]) -> int:
        """Commit further filings of stored mails, as (mail id, filing); what is filed already is left alone.

        Their operators have not refused them any more. Returns how many were new.
        """

    @abstractmethod
    def refile(self, viewer: Viewer, filings: Sequence[tuple[int, Filing]]) -> None:
        """Replace what matchers said of these filings, rivals and faults included, by what they say now.

        Links made by hand stay, and what a person has unlinked stays unlinked.
        """

    @abstractmethod
    def causes(self, viewer: Viewer) -> Sequence[Cause]:
        """Return what stands in the viewer's error queues, grouped by queue, who says so and what; most filings first."""

    @abstractmethod
    def fingerprints(self, operator: str) -> Mapping[str, str]:
        """Return the fingerprints of an operator's matchers as last remembered, by kind."""

    @abstractmethod
    def remember_fingerprints(self, operator: str, fingerprints: Mapping[str, str]) -> None:
        """Remember them, in place of all that were remembered before."""

    @abstractmethod
    def discard(self, viewer: Viewer, mail_ids: Collection[int]) -> int:
        """Take filings out of their error queue without a retry; return how many stood in one. The mail itself stays."""

    @abstractmethod
    def link(self, viewer: Viewer, mail_id: int, records: Sequence[Record], *, who: str, because: str) -> int:
        """Link a filing by hand; the rivals that it was chosen from are settled by it. Return how many links are new."""

    @abstractmethod
    def unlink(self, viewer: Viewer, mail_id: int, records: Sequence[tuple[str, str]], *, who: str) -> int:
        """Take links away, as (kind, id), whoever made them; no matcher makes them again. Return how many there were."""

    @abstractmethod
    def mark(self, viewer: Viewer, mail_ids: Collection[int], *, unread: bool) -> int:
        """Mark filings read or unread, here and not on the server; return how many changed."""
