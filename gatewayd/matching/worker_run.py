"""Matches one batch in worker processes, and finds the mail that a matcher fails at.

A thread of its own sees to it, so that no process waits for whoever wants the result. All calls go to one process. Where it
ends within a call, what was found is kept, the calls behind it go on, and ``blame`` finds the guilty mail (promise P4).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from gatewayd.api.ledger import AGAIN, FilingFault
from gatewayd.errors import kept
from gatewayd.matching import MatchResult, MatchRun
from gatewayd.matching.blame import admitted_apart, explained, matched_apart, parsed_apart
from gatewayd.matching.guarded_calls import Admission, MatcherResult, findings, unmatched
from gatewayd.matching.worker import TaskCall, WorkerTask
from gatewayd.matching.worker_tasks import TaskFailure, TaskOutcome, TaskSeconds, run_task
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.api.directory import Basis
    from gatewayd.matching import MatchRequest, OperatorResult, RawMail
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.matching.worker_process import WorkerProcess
    from gatewayd.message.mail import Mail

__all__ = ["WorkerMatchRun"]

#: Seconds of waiting without a call of ``keep_alive``.
_TICK = 5.0
#: The least time that a matcher gets, in seconds, however long others of its operator took.
_LEAST = 1.0
#: How often the parser may fail with a whole batch whose mails can all be parsed.
_TRIES = 3
_NOT_CALLED = f"it is not called for now, because it failed in batch after batch; {AGAIN}"


class _DroppedError(Exception):
    """Nobody wants the result any more."""


class WorkerMatchRun(MatchRun):
    """One request that is under way in a thread of its own."""

    def __init__(self, workers: WorkerMatching, request: MatchRequest) -> None:
        self._inquiry = _RunState(workers, request)
        self._future: Future[MatchResult] = Future()
        started(self._run, "examining")

    def _run(self) -> None:
        try:
            self._future.set_result(self._inquiry.run())
        except BaseException as error:  # noqa: BLE001  it is raised where the result is asked for
            self._future.set_exception(kept(error))

    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        """See ``MatchRun``."""
        try:
            while not wait([self._future], timeout=_TICK).done:
                keep_alive()
        except BaseException:
            self.drop()
            raise
        return self._future.result()

    def drop(self) -> None:
        """See ``MatchRun``."""
        self._inquiry.drop()


class _RunState:
    """The work on one request. Used by its own thread, but for ``drop``."""

    def __init__(self, workers: WorkerMatching, request: MatchRequest) -> None:
        self._workers = workers
        self._request = request
        self.config = workers.config
        self._door = threading.Lock()
        self._dropped = False
        self._process: WorkerProcess | None = None
        self._mails: dict[int, Mail] = {one.id: one.view for one in request.raw_mails if one.view}
        #: Empty views of mails that no parser can bear.
        self._unbearable: dict[int, Mail] = {}
        self._admissions: dict[int, Admission] = {}
        #: By which records each spec's directory answers, as far as is known before it is asked.
        self._bases: dict[int, Basis | None] = {}
        self._said: dict[TaskCall, MatcherResult] = {}
        #: Calls that failed in the batch; they are made again apart when all others are done.
        self._failed: dict[TaskCall, TaskFailure] = {}
        #: What is left of each operator's budget, in seconds.
        self._left = dict.fromkeys(range(len(request.specs)), self.config.budget)
        #: The same of what it may take to find out which mails are guilty.
        self._search = dict(self._left)
        self._called: set[TaskCall] = set()
        self._calls = tuple(self._wanted()) if request.raw_mails else ()

    def drop(self) -> None:
        with self._door:
            self._dropped = True
            if self._process is not None:
                self._process.end()

    def _wanted(self) -> Iterator[TaskCall]:
        for index, spec in enumerate(self._request.specs):
            if spec.faulty:
                continue
            if error := self._workers.unsendable(spec, ""):
                self._admissions[index] = Admission(undecided=error) if self._request.contact_types else Admission(broken=error)
            else:
                yield TaskCall(index)
            for by, _ in spec.matchers if not self._request.admit_only else ():
                call = TaskCall(index, by)
                if error := self._workers.unsendable(spec, by) or self._not_now(call):
                    fault = FilingFault(by, error)
                    self._said[call] = MatcherResult(faults=tuple((one.id, fault) for one in self._request.raw_mails))
                else:
                    yield call

    def _not_now(self, call: TaskCall) -> str:
        if not self._workers.breakers.may_call(self._operator(call), call.by):
            return _NOT_CALLED
        self._called.add(call)
        return ""

    def run(self) -> MatchResult:
        """Do it. Raises TransientError where no process can be had or mails can't be read now."""
        if not self._request.raw_mails:
            return MatchResult(mails=(), results=())
        try:
            self._bases = {index: self._workers.basis(spec) for index, spec in enumerate(self._request.specs)}
            self._all_together()
            for call, failure in self._failed.items():
                if not self._admissions.get(call.spec, Admission()).undecided:
                    self._said[call] = self._matched_apart(call, failure)
            self._tell()
        finally:
            for call in self._called:
                self._workers.breakers.given_up(self._operator(call), call.by)
        views = self._mails | self._unbearable
        return MatchResult(mails=tuple([views[one.id] for one in self._request.raw_mails]), results=tuple(self._findings()))

    # --- all calls in one process -------------------------------------------------------------------------------------

    def _all_together(self) -> None:
        failures = 0
        while (left := self._open()) or self._unseen():
            task = self._task(left)
            outcome = self.run_task(task, TaskSeconds(self.config.deadline, self._seconds), apart=self._suspected)
            self._take_in(outcome)
            failure = outcome.failure
            if failure is None:
                continue
            if failure.call is not None:
                self._failed_in(failure.call, failure, task)
                continue
            failures += 1
            # It may have been killed from outside: then once more.
            if (failures > 1 or failure.overran) and (unseen := self._unseen()):
                had, unbearable = parsed_apart(self, unseen)
                self._mails |= had
                self._unbearable |= unbearable
            elif failures > _TRIES:
                for call in left:
                    self._failed_in(call, failure, task)

    @property
    def _suspected(self) -> bool:
        """Whether a process ended for one of these matchers lately: then the others' processes are not at stake again."""
        return any(self._workers.is_suspect(self._operator(call), call.by) for call in self._called)

    def _open(self) -> tuple[TaskCall, ...]:
        """Return the calls that are still to be made, where there is a letter that can be read."""
        if not self._bearable():
            return ()
        return tuple(
            call
            for call in self._calls
            if call not in self._said
            and call not in self._failed
            and (call.by or call.spec not in self._admissions)
            and not self._admissions.get(call.spec, Admission()).undecided
        )

    def _bearable(self) -> tuple[RawMail, ...]:
        return tuple(one for one in self._request.raw_mails if one.id not in self._unbearable)

    def _unseen(self) -> tuple[RawMail, ...]:
        """Return the mails whose views are still wanted."""
        return tuple(one for one in self._bearable() if one.id not in self._mails)

    def _task(self, calls: tuple[TaskCall, ...]) -> WorkerTask:
        specs = {
            index: self._workers.pickled(self._request.specs[index], [call.by for call in self._calls if call.spec == index])
            for index in {call.spec for call in calls}
        }
        return WorkerTask(
            raw_mails=self._bearable(),
            specs=specs,
            contact_types=self._request.contact_types,
            calls=calls,
            refused={index: admission.refused for index, admission in self._admissions.items()},
            views=bool(self._unseen()),
            explain=self._request.explain,
        )

    def _take_in(self, outcome: TaskOutcome) -> None:
        self._mails |= {mail.id: mail for mail in outcome.mails}
        for call, result in outcome.results.items():
            if isinstance(result, Admission):
                self._admissions[call.spec] = result
            else:
                self._said[call] = result

    def _seconds(self, call: TaskCall) -> float:
        return min(self.config.deadline, max(self._left[call.spec], _LEAST))

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _failed_in(self, call: TaskCall, failure: TaskFailure, task: WorkerTask) -> None:
        if failure.overran:
            self._left[call.spec] -= self._seconds(call)
        if call.by:
            self._failed[call] = failure
        elif call.spec not in self._admissions:
            pickled = self._workers.pickled(self._request.specs[call.spec], [])
            budget = self._left[call.spec]
            self._admissions[call.spec] = admitted_apart(self, pickled, task.raw_mails, task, failure, budget=budget)
            # It may be that a matcher can't be built: then each is called apart from the others.
            alone = TaskFailure(None, failure.how)
            self._failed |= {one: alone for one in self._calls if one.by and one.spec == call.spec and one not in self._said}

    def _matched_apart(self, call: TaskCall, failure: TaskFailure) -> MatcherResult:
        began = time.monotonic()
        pickled = self._workers.pickled(self._request.specs[call.spec], [call.by])
        refused = self._admissions.get(call.spec, Admission()).refused
        raw_mails = [one for one in self._bearable() if one.id not in refused]
        budget, explain = self._search[call.spec], self._request.explain
        said = matched_apart(self, call, pickled, raw_mails, failure, budget=budget, explain=explain)
        self._search[call.spec] -= time.monotonic() - began
        if said.faults:
            self._workers.suspect(self._operator(call), call.by)
        return said

    def run_task(self, task: WorkerTask, seconds: TaskSeconds, *, apart: bool) -> TaskOutcome:
        """See ``TaskRunner``."""
        pool = self._workers.apart if apart else self._workers.pool
        outcome = run_task(pool, task, seconds, self._at)
        if outcome.failure is not None and not self._dropped:  # else we ended it, since nobody wants its result
            call = outcome.failure.call
            operator = task.specs[call.spec].operator if call else ""
            self._workers.events.worker_replaced(operator, call.by if call else "", explained(outcome.failure, self.config))
        return outcome

    def _at(self, process: WorkerProcess | None) -> None:
        """Remember which process is at work, so that it can be ended; raises where nobody wants the result any more."""
        with self._door:
            self._process = None if self._dropped else process
            if self._dropped:
                raise _DroppedError

    # --- what came of it ----------------------------------------------------------------------------------------------

    def _findings(self) -> Iterator[OperatorResult]:
        ids = [one.id for one in self._request.raw_mails]
        for index, spec in enumerate(self._request.specs):
            spoilt = unmatched(spec, ids, self._request.contact_types)
            yield spoilt or self._found(index, ids)

    def _found(self, index: int, ids: Sequence[int]) -> OperatorResult:
        spec, admission = self._request.specs[index], self._admissions.get(index, Admission())
        said = {by: self._said.get(TaskCall(index, by), MatcherResult()) for by, _ in spec.matchers}
        return findings(spec.operator.name, ids, admission, said, self._bases.get(index))

    def _operator(self, call: TaskCall) -> str:
        return self._request.specs[call.spec].operator.name

    def _tell(self) -> None:
        """Tell breakers and directories how it went, of calls that were really made."""
        raw_mails = {one.id for one in self._bearable()}
        for index, spec in enumerate(self._request.specs):
            admission = self._admissions.get(index)
            made = [call for call in self._called if call.spec == index and call in self._said]
            if admission is None or not made or raw_mails <= admission.refused:
                continue
            for call in made:
                self._tell_breaker(call)
            faults = [fault for call in made for _, fault in self._said[call].faults]
            failed = bool(admission.broken or admission.outdated) or any(fault.by == "directory" for fault in faults)
            self._workers.directories.told(spec.operator.name, failed=failed)

    def _tell_breaker(self, call: TaskCall) -> None:
        self._called.discard(call)
        faulty = any(fault.by == call.by for _, fault in self._said[call].faults)
        if changed := self._workers.breakers.told(self._operator(call), call.by, faulty=faulty):
            self._workers.events.breaker_changed(self._operator(call), call.by, changed)
