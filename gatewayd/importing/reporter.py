"""What a visit's report is made of, while the visit goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.api.ledger import Filed, Retry
from gatewayd.importing.values import VisitReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatewayd.api.ledger import Outcome
    from gatewayd.api.session import Session
    from gatewayd.api.tally import Tally
    from gatewayd.errors import GatewaydError

__all__ = ["Reporter"]


class Reporter:
    """Writes one report."""

    def __init__(self, account: str, folders: Sequence[str]) -> None:
        self.report = VisitReport(account=account, unproven=tuple(folders))

    def problem(self, text: str) -> None:
        """Say once what stopped a folder or an action."""
        if text not in self.report.problems:
            self.report = replace(self.report, problems=(*self.report.problems, text))

    def note(self, text: str) -> None:
        """Say what a person should know and stopped nothing."""
        self.report = replace(self.report, notes=(*self.report.notes, text))

    def remark(self, folder: str, problems: Iterable[str], notes: Iterable[str]) -> None:
        """Say what a batch of a folder showed."""
        for text in problems:
            self.problem(f"{folder}: {text}")
        for text in notes:
            self.note(f"{folder}: {text}")

    def fail(self, error: GatewaydError) -> None:
        """Say what went wrong, unless something did before it."""
        if self.report.error is None:
            self.report = replace(self.report, error=error.alone())

    def listed(self, new: int) -> None:
        """Count keys that were new to the ledger."""
        self.report = replace(self.report, listed=self.report.listed + new)

    def came(self, tally: Tally) -> None:
        """Count what became of mails."""
        self.report = replace(self.report, tally=self.report.tally + tally)

    def settled(self, number: int) -> None:
        """Count actions that were done on the server."""
        self.report = replace(self.report, settled=self.report.settled + number)

    def later(self, seconds: Iterable[float]) -> None:
        """Say in how many seconds keys are due that are not due yet."""
        self.report = replace(self.report, later=max([self.report.later, *seconds]))

    def due(self, outcomes: Sequence[Outcome]) -> None:
        """Say when is due what of a batch keeps waiting, or is fetched once more."""
        self.later(one.retry_after for one in outcomes if isinstance(one, Retry))
        self.later(one.reread_after for one in outcomes if isinstance(one, Filed) and one.reread_after is not None)

    def proven(self, folder: str) -> None:
        """Say that nothing of a folder is missing."""
        self.report = replace(self.report, unproven=tuple(one for one in self.report.unproven if one != folder))

    def keep(self, session: Session) -> None:
        """Hand the session to whoever reads the report."""
        self.report = replace(self.report, session=session)
