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

        Only ``keys`` where given, and with ``provisional`` only those whose verdict is; no longer so is one that has been for
        ``PROVISIONAL_SECONDS``.
        """

    @abstractmethod
    def with_refused(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts of which something may be admitted later.

        They have keys which are not admitted and not gone, or wait since that is not decided, or mail that one of their operators
        refused and another did not.
        """

    @abstractmethod
    def name_senders(self, lease: Lease, senders: Mapping[int, Sequence[str]]) -> None:
        """Commit who sent the mails of these entries, which are not admitted: From addresses, by entry."""

    @abstractmethod
    def rejudge(self, lease: Lease, *, admitted: Collection[int], refused: Collection[int]) -> int:
        """Commit what was said anew of entries that are not admitted; return how many wait now.

        Those that are ``admitted`` wait to be fetched: as what they were where the verdict was provisional, else as backlog. The
        verdict on those that are ``refused`` is no longer provisional. What is gone or in another state stays as it is.
        """

    @abstractmethod
    def judged(self, account: str) -> Mapping[str, Judged]:
        """Return by what all of the account's mail that is not admitted was judged last, by operator."""

    @abstractmethod
    def remember_judged(self, lease: Lease, judged: Mapping[str, Judged]) -> None:
        """Remember it, in place of what was remembered before of the account."""

    @abstractmethod
    def admit(self, account: str, entry_ids: Collection[int], operators: Collection[str]) -> int:
        """Commit that a person admits mail for these operators, whoever sent it; return how many entries wait now, as backlog."""

    @abstractmethod
    def readmitted(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return the waiting entries that were not admitted before, with the operators for which a person admitted them."""

    @abstractmethod
    def hasten(self, lease: Lease, *, before: datetime | None) -> int:
        """Let the account's keys be due now that wait since before a time because a directory is at fault; return how many.

        ``before`` None: all whose admission could not be decided, for whatever reason.
        """

    @abstractmethod
    def refused_senders(
        self, account: str, operator: str, *, after: str = "", limit: int, among: Collection[str] | None = None
    ) -> Sequence[str]:
        """Return who sent mail that the operator refused and others did not, each address once and in order.

        Those behind ``after``, or those of ``among`` where given.
        """

    @abstractmethod
    def refused_mails(
        self, account: str, operator: str, *, senders: Collection[str] | None, after: int, limit: int
    ) -> Sequence[int]:
        """Return ids of mails of these senders that the operator refused and others did not, above ``after``, by id.

        With ``senders`` None those of all of them, and those from nobody.
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
        """Return those of the mails on which the operator's verdict is provisional."""

    @abstractmethod
    def confirm(self, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that the operator's verdicts on these mails are no longer provisional."""

    @abstractmethod
    def correct(self, operator: str, filings: Sequence[tuple[int, Filing]]) -> int:
        """Commit the operator's verdicts given anew, as (mail id, filing), and that they are not provisional; return how many.

        A filing that is there is replaced as by ``refile``, one that is not is filed, and was not refused then. Of its deliveries
        those are entered whose target has got none by a rule before. What is not provisional any more is left alone: another
        daemon was first.
        """
