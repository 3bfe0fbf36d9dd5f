"""The store's verbs for verdicts that may change. This module is light, as the store's is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import AdmissionVerbs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd import DirectoryHealth, Doubted, Filing, Judged, Lease, Refused
    from gatewayd_sql.verbs import Verbs

__all__ = ["AdmissionTables"]


class AdmissionTables(AdmissionVerbs):
    """A part of the store."""

    _verbs: Verbs

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
        """Return the folder's keys that are not admitted and not gone."""
        return self._verbs.refusals.of(account, folder, after=after, limit=limit, keys=keys, provisional=provisional)

    def with_refused(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts of which something may be admitted later."""
        return self._verbs.refusals.accounts(accounts) | self._verbs.refused_filings.accounts(accounts)

    def name_senders(self, lease: Lease, senders: Mapping[int, Sequence[str]]) -> None:
        """Commit who sent the mails of these entries."""
        self._verbs.refusals.name(lease, senders)

    def rejudge(self, lease: Lease, *, admitted: Collection[int], refused: Collection[int]) -> int:
        """Commit what was said anew of entries that are not admitted."""
        return self._verbs.refusals.rejudge(lease, admitted=admitted, refused_=refused)

    def judged(self, account: str) -> Mapping[str, Judged]:
        """Return by what all that is not admitted was judged last."""
        return self._verbs.refusals.judged(account)

    def remember_judged(self, lease: Lease, judged: Mapping[str, Judged]) -> None:
        """Remember it."""
        self._verbs.refusals.remember(lease, judged)

    def admit(self, account: str, entry_ids: Collection[int], operators: Collection[str]) -> int:
        """Commit that a person admits mail for these operators."""
        return self._verbs.refusals.admit(account, entry_ids, operators)

    def readmitted(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return the waiting entries that were not admitted before."""
        return self._verbs.refusals.readmitted(account, folder)

    def hasten(self, lease: Lease, *, before: datetime | None) -> int:
        """Let keys be due now whose admission could not be decided."""
        return self._verbs.refusals.hasten(lease, before)

    def refused_senders(
        self, account: str, operator: str, *, after: str = "", limit: int, among: Collection[str] | None = None
    ) -> Sequence[str]:
        """Return who sent mail that the operator refused and others did not."""
        return self._verbs.refused_filings.senders(account, operator, after=after, limit=limit, among=among)

    def refused_mails(
        self, account: str, operator: str, *, senders: Collection[str] | None, after: int, limit: int
    ) -> Sequence[int]:
        """Return ids of mails that the operator refused and others did not."""
        return self._verbs.refused_filings.mails(account, operator, senders=senders, after=after, limit=limit)

    def forget_refused(self, lease: Lease, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that the operator never gets these mails."""
        self._verbs.refused_filings.forget(lease, operator, mail_ids)

    def provisional(self, operator: str, *, before: datetime, after: int, limit: int) -> Sequence[Doubted]:
        """Return stored mails with a verdict that was provisional since before a time."""
        return self._verbs.provisionals.of(operator, before=before, after=after, limit=limit)

    def doubted(self, operator: str, mail_ids: Collection[int]) -> frozenset[int]:
        """Return those of the mails on which the operator's verdict is provisional."""
        return self._verbs.provisionals.doubted(operator, mail_ids)

    def confirm(self, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that these verdicts are no longer provisional."""
        self._verbs.provisionals.confirm(operator, mail_ids)

    def correct(self, operator: str, filings: Sequence[tuple[int, Filing]]) -> int:
        """Commit verdicts given anew."""
        return self._verbs.provisionals.correct(operator, filings)

    def tell_directories(self, healths: Sequence[DirectoryHealth]) -> None:
        """Keep how directories are."""
        self._verbs.directories.tell(healths)

    def directories(self) -> Sequence[DirectoryHealth]:
        """Return how every directory is."""
        return self._verbs.directories.all()
