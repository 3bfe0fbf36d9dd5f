"""Whom to blame where a worker process died or overran: the guilty mails are found, everybody else's results are kept (P4).

A process that died may have been killed from outside, or by what another matcher left behind. So the call is first made again
for the whole batch, then on halves, each in a process apart, until the guilty mails are found or the budget is used up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gatewayd.custody import FilingFault
from gatewayd.errors import TransientError
from gatewayd.examine.matching import Admission, Said
from gatewayd.mail import BytesSource, parse
from gatewayd.supervisor.labouring import Seconds
from gatewayd.worker import Call, Labour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.config import WorkersConfig
    from gatewayd.examine import Letter
    from gatewayd.mail import Mail
    from gatewayd.model import Finding
    from gatewayd.supervisor.labouring import Failure, Outcome
    from gatewayd.worker import Sealed

__all__ = ["Bench", "admitted_apart", "explained", "matched_apart", "parsed_apart"]

#: The least time that a call gets, in seconds, whatever the budget says.
_LEAST = 0.5


class Bench(Protocol):
    """Has labours done."""

    config: WorkersConfig

    def labour(self, labour: Labour, seconds: Seconds, *, apart: bool) -> Outcome:
        """Have one done, in a process apart or in one of all; tell of its failure."""


def explained(failure: Failure, config: WorkersConfig) -> str:
    """Return a failure as it is told to people: what happened, and what was expected."""
    if failure.overran:
        return f"{failure.how}: expected within {config.deadline:g} s (workers.deadline)"
    if "memory" in failure.how:
        return f"{failure.how}: {config.memory_mib} MiB (workers.memory_mib)"
    return failure.how


def matched_apart(bench: Bench, by: str, sealed: Sealed, letters: Sequence[Letter], failure: Failure, *, budget: float) -> Said:
    """Return what a matcher says that failed in the batch, with a fault for the mails that are guilty of it."""
    left = budget
    found: list[Finding] = []
    faults: list[tuple[int, FilingFault]] = []
    call = Call(0, by)
    how = explained(failure, bench.config)
    parts = _halves(letters) if failure.overran else [tuple(letters)]
    apart = failure.overran
    if failure.overran and len(letters) == 1:
        return Said(faults=((letters[0].id, FilingFault(by, how)),))
    while parts:
        part = parts.pop()
        if left <= 0:
            text = f"{how}; the time for finding out for which mail of the batch is over (workers.budget)"
            faults += [(one.id, FilingFault(by, text)) for one in part]
            continue
        labour = Labour(letters=part, recipes={0: sealed}, calls=(call,), refused={}, views=False)
        outcome = bench.labour(labour, _share(bench, left, part), apart=apart)
        # To wait for a process is no work on the batch.
        left -= outcome.seconds
        apart = True
        said = outcome.results.get(call)
        if isinstance(said, Said):
            found += said.found
            faults += said.faults
        elif outcome.failure is None or len(part) == 1:
            how = explained(outcome.failure, bench.config) if outcome.failure else how
            faults += [(one.id, FilingFault(by, how)) for one in part]
        else:
            how = explained(outcome.failure, bench.config)
            parts += reversed(_halves(part))
    return Said(tuple(found), tuple(faults))


def admitted_apart(
    bench: Bench, sealed: Sealed, letters: Sequence[Letter], labour: Labour, failure: Failure, *, budget: float
) -> Admission:
    """Return which mails an operator admits, asked once more without any of its matchers."""
    again = Labour(
        letters=tuple(letters), recipes={0: sealed}, contact_types=labour.contact_types, calls=(Call(0),), refused={}, views=False
    )
    outcome = bench.labour(again, Seconds(min(bench.config.deadline, max(budget, _LEAST))), apart=failure.overran)
    found = outcome.results.get(Call(0))
    if isinstance(found, Admission):
        return found
    how = explained(outcome.failure or failure, bench.config)
    why = f"the directory failed: {how}"
    return Admission(undecided=why) if labour.contact_types else Admission(broken=why)


def parsed_apart(bench: Bench, letters: Sequence[Letter]) -> tuple[dict[int, Mail], dict[int, Mail]]:
    """Return the views of letters, and empty views of those that can't be parsed, which say why.

    Raises TransientError where it is no letter's fault.
    """
    left = bench.config.budget
    nothing = bench.labour(Labour(recipes={}, refused={}), Seconds(bench.config.deadline), apart=True)
    if nothing.failure is not None:
        text = f"worker processes end as soon as they begin: {nothing.failure.how}"
        raise TransientError(text, advice="See what they logged.")
    had: dict[int, Mail] = {}
    unbearable: dict[int, Mail] = {}
    parts = _halves(letters)
    while parts:
        part = parts.pop()
        outcome = bench.labour(Labour(letters=part, recipes={}, refused={}), _share(bench, left, part), apart=True)
        left -= outcome.seconds
        if outcome.failure is None:
            had |= {mail.id: mail for mail in outcome.mails}
        elif len(part) == 1:
            unbearable[part[0].id] = _empty(part[0], explained(outcome.failure, bench.config))
        else:
            parts += reversed(_halves(part))
    return had, unbearable


def _empty(letter: Letter, why: str) -> Mail:
    view = parse(BytesSource(b""), mail_id=letter.id, received_at=letter.received_at)
    return replace(view, source=letter.source, faults=(f"it can't be read: {why}",))


def _share(bench: Bench, left: float, part: Sequence[Letter]) -> Seconds:
    """Return how long a call with a part of a batch may take, so that the guilty one of it is found in the time that is left."""
    levels = len(part).bit_length() + 1
    return Seconds(min(bench.config.deadline, max(left / levels, _LEAST)))


def _halves(letters: Sequence[Letter]) -> list[tuple[Letter, ...]]:
    half = (len(letters) + 1) // 2
    return [part for part in (tuple(letters[:half]), tuple(letters[half:])) if part]
