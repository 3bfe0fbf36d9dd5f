"""Write the report of a visit while the visit goes on: counts, problems, and what a person should know of each batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.api.ledger import Filed, Retry
from gatewayd.importing.values import VisitReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.ledger import Outcome
    from gatewayd.api.tally import Tally
    from gatewayd.api.values import Action
    from gatewayd.errors import GatewaydError
    from gatewayd.importing.fetching import Batch
    from gatewayd.importing.proof import Proof

__all__ = ["Reporter"]

_LEFT = "nothing is done to them on the server"


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

    def full(self, text: str) -> None:
        """Say which limit cut the visit short, or the listing of a folder: the next visit goes on."""
        self.note(text)
        self.report = replace(self.report, unfinished=True)

    def fail(self, error: GatewaydError) -> None:
        """Say what ended the visit, unless another error was said before."""
        if self.report.error is None:
            self.report = replace(self.report, error=error.alone())

    def listed(self, new: int) -> None:
        """Count keys that were new to the ledger."""
        self.report = replace(self.report, listed=self.report.listed + new)

    def filed(self, tally: Tally) -> None:
        """Count what became of mails."""
        self.report = replace(self.report, tally=self.report.tally + tally)

    def settled(self, number: int) -> None:
        """Count actions that were done on the server."""
        self.report = replace(self.report, settled=self.report.settled + number)

    def later(self, seconds: float) -> None:
        """Say in how many seconds a key is due that is not due yet; the report has the longest time."""
        self.report = replace(self.report, later=max(self.report.later, seconds))

    def checked(self, folder: str, proof: Proof, *, after: Action | None) -> None:
        """Say what the listings of a folder proved. ``after``: see ``batch``."""
        left = "; nothing is done to mail there in this visit" if after else ""
        for text in proof.problems():
            self.problem(f"{folder}: {text}{left}")
        for text in proof.notes():
            self.note(f"{folder}: {text}")
        if not proof.left:
            self.report = replace(self.report, unproven=tuple(one for one in self.report.unproven if one != folder))

    def batch(self, folder: str, batch: Batch, done: Sequence[Outcome], *, after: Action | None, reread_after: float) -> None:
        """Say of a batch what is due later, what could not be had, and what is filed but not trusted.

        ``after`` is what the account wants done on the server with what is filed. ``reread_after``: see ``outcomes``.
        """
        waits = {one.entry_id: one for one in done if isinstance(one, Retry)}
        filed = [one for one in done if isinstance(one, Filed)]
        for seconds in (*(one.retry_after for one in waits.values()), *(one.reread_after or 0.0 for one in filed)):
            self.later(seconds)
        odd = [one for one in batch.asked if one.listed.key in batch.unlike]
        if deferred := [f"{one.listed.key}: {waits[one.entry_id].cause}" for one in odd if one.entry_id in waits]:
            self.problem(f"{folder}: {len(deferred)} messages wait, such as {deferred[0]}")
        taken = {one.listed.key for one in odd if one.entry_id not in waits}
        for text in _not_trusted(filed if after else [], taken, reread_after):
            self.note(f"{folder}: {text}")


def _not_trusted(filed: Sequence[Filed], taken: set[str], reread_after: float) -> Iterator[str]:
    """Yield what is filed and not trusted with an action on the server; ``taken`` are keys whose sizes are not those listed."""
    if taken:
        odd = f"{len(taken)} messages have another size than the server lists, as many on this server do"
        yield f"{odd}: they are filed, and fetched once more in {reread_after:g} s; {_LEFT} unless the same bytes come then"
    bare = [one.key for one in filed if one.owed is None and one.key not in taken]
    if bare:
        yield (
            f"{len(bare)} messages, such as {bare[0]}, have neither Message-ID nor Date nor Received: "
            f"a server may send such in place of others, so {_LEFT}"
        )
