"""The store's verbs for accounts: their mailboxes, what they brought, and whose mail there is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd.api.forgetting import Brought
    from gatewayd.api.ledger import Lease

__all__ = ["AccountVerbs"]


class AccountVerbs(ABC):
    """Keep which account imports which mailbox, and take back what one brought."""

    @abstractmethod
    def claim(self, lease: Lease, mailbox: str, *, second: bool, enter: bool) -> Sequence[str]:
        """Return the accounts that have or had a mailbox, the first one first, and this one among them if it may import it.

        It may as a ``second`` one, where it did so before, and where nobody else had it but second ones: then it is the first.
        With ``enter`` that is kept. An account that was listed before mailboxes were kept may be a second one without a word.
        """

    @abstractmethod
    def mailboxes(self) -> Mapping[str, Sequence[tuple[str, bool]]]:
        """Return for each mailbox the accounts that have or had it, the first one first, each with whether it is a second one."""

    @abstractmethod
    def brought(self, account: str) -> Brought:
        """Count what an account brought. It may take a while: it is asked before the account is forgotten."""

    @abstractmethod
    def forget_account(self, lease: Lease, *, limit: int) -> bool:
        """Take back what the account brought, at most ``limit`` keys of its ledger; return whether anything is left.

        The mails, whomever they are filed for, their links and deliveries go, and raw bytes that no other mail has. What people
        sent through the account stays. First goes how far its folders were listed: whatever breaks it off, an account of that name
        lists them from the beginning. With the last piece go the lease, and the name's own past: it may be used again.
        """

    @abstractmethod
    def former(self, known: Collection[tuple[str, str | None]]) -> Mapping[tuple[str, str | None], int]:
        """Return whose filings there are besides those of ``known``, and how many each has.

        As operator and user, or operator and None for general mail. Costs next to nothing where there are none.
        """
