"""The store's verbs that file mail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.delivery import Delivery, Outgoing, Posted
    from gatewayd.api.ledger import Filing, Lease, Outcome
    from gatewayd.api.queries import Viewer
    from gatewayd.api.tally import Commit
    from gatewayd.message.values import Source

__all__ = ["FilingVerbs"]


class FilingVerbs(ABC):
    """File batches, mail of our own, and mail that is stored already."""

    @abstractmethod
    def file(self, lease: Lease, outcomes: Sequence[Outcome]) -> Commit:
        """Commit what became of a batch: raw chunks, mails, filings, links, rivals, faults, states and owed actions.

        Raw bytes are read from ``mail.source`` in chunks, and stored once for equal digests. If the account already has the bytes,
        in whatever folder or earlier in the batch, the entry becomes a ``duplicate`` of that mail, and nothing is filed.
        So does one that is ``Recognised``. An entry that no longer waits stays as it is.

        The deliveries of a new filing are entered, and it inherits the links of the operator's own outgoing mails that it follows.
        A bounce is kept with the delivery, if the mail is filed for its operator; a hard bounce of all recipients of a target's
        delivery suspends that target. Which operators refused a new mail is kept, too.
        """

    @abstractmethod
    def post(self, viewer: Viewer, outgoing: Outgoing, delivery: Delivery) -> Posted:
        """Commit a mail of our own together with its delivery: raw bytes, view, filing (read, direction ``out``), links.

        It gets a ledger entry of its sending account, in the folder ``outbox`` under its Message-ID, so that its id is like
        any other's. Links, but those that were taken away, are inherited from the mail that it answers. Raises PermanentError
        for a mail of another user than the viewer's, unless it answers one of that user's which the viewer may see.
        """

    @abstractmethod
    def add_filings(self, lease: Lease, filings: Sequence[tuple[int, Filing]]) -> Sequence[tuple[int, Filing]]:
        """Commit further filings of stored mails, as (mail id, filing); existing filings stay as they are.

        That the operators refused these mails is forgotten. Returns those that are new.
        """

    @abstractmethod
    def unfiled(self, account: str, operator: str, *, after: int, limit: int) -> Sequence[int]:
        """Return ids of the account's mails that ``operator`` has no filing of, above ``after``, by id.

        Personal mail is left out: it is one user's of one operator, and nobody else's, whatever he is called.
        """

    @abstractmethod
    def stored_source(self, mail_id: int) -> Source:
        """Return where the raw bytes of a mail can be read, for the kernel: ``--from-beginning --operator``.

        Raises PermanentError if there is no such mail.
        """
