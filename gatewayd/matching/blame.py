"""Find the guilty mails after a worker process died or overran, and keep all other mails' results (P4).

A process that died may have been killed from outside, or because of something that another matcher left in it. So the call is
first made again for the whole batch, then on halves, each in a process apart, until the guilty mails are found or the budget is
used up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gatewayd.api.ledger import AGAIN, FilingFault
from gatewayd.errors import TransientError
from gatewayd.matching.guarded_calls import Admission, MatcherResult
from gatewayd.matching.worker_messages import TaskCall, WorkerTask
from gatewayd.message.mail import unread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.values import Finding
    from gatewayd.config import WorkersConfig
    from gatewayd.matching.values import RawMail
    from gatewayd.matching.worker_messages import PickledSpec
    from gatewayd.matching.worker_tasks import CallSeconds, TaskFailure, TaskOutcome
    from gatewayd.message.mail import Mail

__all__ = ["BlameSearch", "TaskRunner", "admitted_apart", "explained", "parsed_apart"]

#: The least time that a call gets, in seconds, whatever the budget says.
_LEAST = 0.5
#: A matcher that has finished other mails gets this multiple of the time that those took, plus so many seconds.
_TIMES, _PROMPT = 10.0, 1.0
#: The most seconds of a process's start that count against the budget.
_STARTS = 0.3


class TaskRunner(Protocol):
    """Runs tasks in worker processes."""

    config: WorkersConfig

    def run_task(self, task: WorkerTask, seconds: CallSeconds, *, apart: bool) -> TaskOutcome:
        """Run a task, in a process apart or in one of all, and report its failure."""


def explained(failure: TaskFailure, config: WorkersConfig) -> str:
    """Return the text of a failure for people: what happened, and what was expected."""
    if failure.overran:
        return f"{failure.how}: expected within {config.deadline:g} s (workers.deadline)"
    if "memory" in failure.how:
        return f"{failure.how}: {config.memory_mib} MiB (workers.memory_mib)"
    return failure.how


class BlameSearch:
    """Finds the mails of a batch at which a matcher fails, by calling it with halves."""

    def __init__(
        self, runner: TaskRunner, call: TaskCall, pickled: PickledSpec, failure: TaskFailure, *, budget: float, explain: bool
    ) -> None:
        """``failure``: how the call failed in the batch. ``budget``: seconds that the search may take."""
        self._runner = runner
        self._by = call.by
        self._call = replace(call, spec=0)
        self._pickled = pickled
        self._failure = failure
        self._left = budget
        self._explain = explain
        self._found: list[Finding] = []
        self._faults: list[tuple[int, FilingFault]] = []
        self._traces: list[tuple[int, str, str]] = []
        #: The most seconds that the matcher took for a mail, of the calls that ended; None if none has ended yet.
        self._pace: float | None = None

    def result(self, raw_mails: Sequence[RawMail]) -> MatcherResult:
        """Return the matcher's result for these mails, with a fault for those that are guilty.

        If time runs out, the mails that are left get a fault that says so, and are matched again later.
        """
        apart = self._failure.overran
        if apart and len(raw_mails) == 1:
            self._blame(raw_mails[0])
            raw_mails = ()
        # A batch that overran would overrun again. If its process ended, the cause may have been outside: try all once more.
        parts = [*reversed(_halves(raw_mails))] if apart else [tuple(raw_mails)] if raw_mails else []
        while parts:
            part = parts.pop()
            if self._left <= 0:
                how = explained(self._failure, self._runner.config)
                text = f"{how}, for whichever mail of the batch: that was not found out in time (workers.budget); {AGAIN}"
                for one in part:
                    self._add_fault(one, text)
                continue
            parts += reversed(self._tried(part, apart=apart))
            apart = True
        return MatcherResult(tuple(self._found), tuple(self._faults), tuple(self._traces))

    def _tried(self, part: tuple[RawMail, ...], *, apart: bool) -> list[tuple[RawMail, ...]]:
        """Call the matcher with a part; return what is to be tried next."""
        task = WorkerTask(
            raw_mails=part, specs={0: self._pickled}, calls=(self._call,), refused={}, views=False, explain=self._explain
        )
        outcome = self._runner.run_task(task, self._seconds(part), apart=apart)
        self._left -= _cost(outcome)
        result = outcome.results.get(self._call)
        if isinstance(result, MatcherResult):
            self._found += result.found
            self._faults += result.faults
            self._traces += result.traces
            self._pace = max(self._pace or 0.0, outcome.seconds / len(part))
            return []
        self._failure = outcome.failure or self._failure
        if len(part) > 1 and outcome.failure is not None:
            return _halves(part)
        for one in part:
            self._blame(one)
        return []

    def _seconds(self, part: Sequence[RawMail]) -> float:
        """Return how long a call with a part may take.

        A single mail gets the whole deadline, because it is blamed if it overruns. Longer parts are only halved again.
        """
        deadline = self._runner.config.deadline
        if len(part) == 1:
            return min(deadline, max(self._left, _LEAST))
        share = _share(self._left, part)
        return min(deadline, share if self._pace is None else min(share, _PROMPT + _TIMES * self._pace * len(part)))

    def _blame(self, one: RawMail) -> None:
        """Give one mail a fault: the matcher's, or the directory's if that was asked and did not answer."""
        asked = f"it was asked by {self._by}, and " if self._failure.asking else ""
        self._add_fault(one, asked + explained(self._failure, self._runner.config))

    def _add_fault(self, one: RawMail, text: str) -> None:
        self._faults.append((one.id, FilingFault("directory" if self._failure.asking else self._by, text)))


def admitted_apart(runner: TaskRunner, pickled: PickledSpec, task: WorkerTask, failure: TaskFailure, *, budget: float) -> Admission:
    """Return which mails of a failed task an operator admits, asked once more without any of its matchers."""
    call, seconds = TaskCall(0), min(runner.config.deadline, max(budget, _LEAST))
    again = replace(task, specs={0: pickled}, calls=(call,), refused={}, views=False)
    outcome = runner.run_task(again, seconds, apart=failure.overran)
    found = outcome.results.get(call)
    if isinstance(found, Admission):
        return found
    how = explained(outcome.failure or failure, runner.config)
    return Admission.failed(f"the directory failed: {how}", task.contact_types)


def parsed_apart(runner: TaskRunner, raw_mails: Sequence[RawMail]) -> tuple[dict[int, Mail], dict[int, Mail]]:
    """Return the views of mails, and empty views of those that can't be parsed, which say why.

    Raises TransientError if worker processes fail even without a mail.
    """
    deadline, left = runner.config.deadline, runner.config.budget
    nothing = runner.run_task(WorkerTask(specs={}, refused={}), deadline, apart=True)
    if nothing.failure is not None:
        text = f"worker processes end as soon as they begin: {nothing.failure.how}"
        raise TransientError(text, advice="See what they logged.")
    views: dict[int, Mail] = {}
    unbearable: dict[int, Mail] = {}
    parts = _halves(raw_mails)
    while parts:
        part = parts.pop()
        outcome = runner.run_task(WorkerTask(raw_mails=part, specs={}, refused={}), min(deadline, _share(left, part)), apart=True)
        left -= _cost(outcome)
        if outcome.failure is None:
            views |= {mail.id: mail for mail in outcome.ended.mails}
        elif len(part) == 1:
            (one,), why = part, explained(outcome.failure, runner.config)
            unbearable[one.id] = unread(one.source, why, mail_id=one.id, received_at=one.received_at)
        else:
            parts += reversed(_halves(part))
    return views, unbearable


def _cost(outcome: TaskOutcome) -> float:
    """Return the seconds that a call costs its budget. A slow start on a busy machine counts only in part."""
    return outcome.seconds + min(outcome.start, _STARTS)


def _share(left: float, part: Sequence[RawMail]) -> float:
    """Return the seconds that a call with a part may take, so that each level of halves below it can take as many."""
    return max(left / (len(part).bit_length() + 1), _LEAST)


def _halves(raw_mails: Sequence[RawMail]) -> list[tuple[RawMail, ...]]:
    half = (len(raw_mails) + 1) // 2
    return [part for part in (tuple(raw_mails[:half]), tuple(raw_mails[half:])) if part]
