"""The store's verbs for verdicts that may change: mail that is not admitted, and provisional verdicts on stored mail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.ledger import Filing, Lease
    from gatewayd.api.verdicts import Doubted, Judged, Refused

__all__ = ["AdmissionVerbs", "ProvisionalVerbs"]


class AdmissionVerbs(ABC):
    """Keep what was not admitted, by which settings it was judged, and who sent it."""

    @abstractmethod
    def refusals(
        self,
        account: str,
        folder: str,
        *,
        after: int,
        limit: int,
        keys: Collection[str] | None = None,
        provisional: bool = False,
    ) -> Sequence[Refused]:
        """Return the folder's keys that are not admitted and not gone, ids above ``after``, by id.

        With ``keys`` only those; with ``provisional`` only those with a provisional verdict, which none is for longer than
        ``PROVISIONAL_SECONDS``.
        """

    @abstractmethod
    def with_refused(self, accounts: Collection[str]) -> frozenset[str]:
        """Return the accounts that have mail which may be admitted later.

        They have keys that are not admitted and not gone, or that wait because that could not be decided; or mail that one of
        their operators refused and another did not. Offers are left out, see ``OfferVerbs.with_offers``.
        """

    @abstractmethod
    def name_senders(self, lease: Lease, senders: Mapping[int, Sequence[str]]) -> None:
        """Commit who sent the mails of these entries, which are not admitted: From addresses, by entry."""

    @abstractmethod
    def rejudge(self, lease: Lease, *, admitted: Collection[int], refused: Collection[int]) -> int:
        """Commit new verdicts on entries that are not admitted; return how many wait now.

        The ``admitted`` ones wait to be fetched: as backlog, unless their verdict was provisional. The verdict on the ``refused``
        ones is no longer provisional. Entries that are gone or in another state stay as they are.
        """

    @abstractmethod
    def judged(self, account: str) -> Mapping[str, Judged]:
        """Return by which settings and records all refused mail and all offers of the account were judged last, by operator."""

    @abstractmethod
    def remember_judged(self, lease: Lease, judged: Mapping[str, Judged]) -> None:
        """Replace all that ``judged`` returns of the account."""

    @abstractmethod
    def admit(self, account: str, entry_ids: Collection[int], operators: Collection[str]) -> int:
        """Commit that a person admits mail for these operators, whoever sent it; return how many entries wait now, as backlog."""

    @abstractmethod
    def readmitted(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return the waiting entries that were not admitted before, with the operators for which a person admitted them."""

    @abstractmethod
    def hasten(self, lease: Lease, *, before: datetime | None) -> int:
        """Make the account's keys due now that have waited for a directory since before a time; return how many.

        ``before`` None: all whose admission could not be decided, for whatever reason.
        """

    @abstractmethod
    def refused_senders(
        self, account: str, operator: str, *, after: str = "", limit: int, among: Collection[str] | None = None
    ) -> Sequence[str]:
        """Return who sent mail that the operator refused and others did not, each address once and in order.

        Those after ``after``, or with ``among`` those of these addresses.
        """

    @abstractmethod
    def refused_mails(
        self, account: str, operator: str, *, senders: Collection[str] | None, after: int, limit: int
    ) -> Sequence[int]:
        """Return ids of mails of these senders that the operator refused and others did not, above ``after``, by id.

        ``senders`` None: from all senders, and mail without a sender.
        """

    @abstractmethod
    def forget_refused(self, lease: Lease, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that the operator never gets these mails of the account, whoever sent them."""


class ProvisionalVerbs(ABC):
    """Keep verdicts that are given again by newer records."""

    @abstractmethod
    def provisional(self, operator: str, *, before: datetime, after: int, limit: int) -> Sequence[Doubted]:
        """Return stored mails with a verdict that was provisional since before a time, ids above ``after``, by id.

        Forgets the operator's verdicts that have been provisional for longer than ``PROVISIONAL_SECONDS``.
        """

    @abstractmethod
    def doubted(self, operator: str, mail_ids: Collection[int]) -> frozenset[int]:
        """Return which of the mails have a provisional verdict of the operator."""

    @abstractmethod
    def confirm(self, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that the operator's verdicts on these mails are no longer provisional."""

    @abstractmethod
    def correct(self, operator: str, filings: Sequence[tuple[int, Filing]]) -> int:
        """Commit the operator's verdicts given anew, as (mail id, filing), and that they are not provisional; return how many.

        An existing filing is replaced as by ``refile``; a missing one is filed, and its refusal is forgotten. Of the deliveries,
        those are entered whose target got none by a rule before. Verdicts that are not provisional any more stay as they are:
        another daemon was first.
        """
