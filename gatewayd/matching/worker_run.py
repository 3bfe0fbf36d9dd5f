"""Match one batch in worker processes, and find the mail at which a matcher fails.

A thread of its own sees to it, so that no process waits for the caller. All calls go to one process. Where that ends within a
call, its findings so far are kept, the calls behind that one go on, and ``blame`` finds the guilty mail (promise P4).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from gatewayd.api.ledger import AGAIN
from gatewayd.errors import kept
from gatewayd.matching.blame import BlameSearch, admitted_apart, explained, parsed_apart
from gatewayd.matching.guarded_calls import Admission, MatcherResult, faulty_operator_result, operator_result
from gatewayd.matching.values import MatchResult, MatchRun
from gatewayd.matching.worker_messages import TaskCall, WorkerTask
from gatewayd.matching.worker_tasks import TaskFailure, run_task
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.api.directory import Basis
    from gatewayd.matching.values import MatchRequest, OperatorResult, RawMail
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.matching.worker_process import WorkerProcess
    from gatewayd.matching.worker_tasks import CallSeconds, TaskOutcome
    from gatewayd.message.mail import Mail

__all__ = ["WorkerMatchRun"]

#: Seconds between two calls of ``keep_alive``.
_KEEP_ALIVE = 5.0
#: The least time that a matcher gets, in seconds, however long others of its operator took.
_LEAST = 1.0
#: How often the parser may fail with a whole batch whose mails can all be parsed.
_TRIES = 3
_NOT_CALLED = f"it is not called for now, because it failed in batch after batch; {AGAIN}"


class _DroppedError(Exception):
    """Nobody wants the result any more."""


class WorkerMatchRun(MatchRun):
    """A batch that is being matched in a thread of its own. Only ``result`` and ``drop`` are called by others."""

    def __init__(self, workers: WorkerMatching, request: MatchRequest) -> None:
        self._workers = workers
        self._request = request
        self.config = workers.config
        self._future: Future[MatchResult] = Future()
        self._lock = threading.Lock()
        self._dropped = False
        self._process: WorkerProcess | None = None
        self._mails: dict[int, Mail] = {one.id: one.view for one in request.raw_mails if one.view}
        #: Empty views of mails that no parser can bear.
        self._unbearable: dict[int, Mail] = {}
        #: The records by which each spec's directory answers, as far as is known before it is asked.
        self._bases: dict[int, Basis | None] = {}
        self._admissions: dict[int, Admission] = {}
        self._results: dict[TaskCall, MatcherResult] = {}
        #: Calls that failed in the batch; they are made again apart when all others are done.
        self._failed: dict[TaskCall, TaskFailure] = {}
        #: The seconds that are left of each operator's budget for its calls, and for the search for guilty mails.
        self._left = dict.fromkeys(range(len(request.specs)), self.config.budget)
        self._search = dict(self._left)
        #: Calls whose breakers wait for word of how they went.
        self._called: set[TaskCall] = set()
        self._calls = tuple(self._wanted()) if request.raw_mails else ()
        started(self._run, "matching")

    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        """See ``MatchRun``."""
        try:
            while not wait([self._future], timeout=_KEEP_ALIVE).done:
                keep_alive()
        except BaseException:
            self.drop()
            raise
        return self._future.result()

    def drop(self) -> None:
        """See ``MatchRun``."""
        with self._lock:
            self._dropped = True
            if self._process is not None:
                self._process.end()

    def _run(self) -> None:
        try:
            self._future.set_result(self._matched())
        except BaseException as error:  # noqa: BLE001  it is raised where the result is asked for
            self._future.set_exception(kept(error))

    def _wanted(self) -> Iterator[TaskCall]:
        """Yield the calls to be made; note at once why the others can't be made."""
        for index, spec in enumerate(self._request.specs):
            if spec.faulty:
                continue
            if error := self._workers.unsendable(spec, ""):
                self._admissions[index] = Admission.failed(error, self._request.contact_types)
            else:
                yield TaskCall(index)
            for by, _ in spec.matchers if not self._request.admit_only else ():
                call = TaskCall(index, by)
                error = self._workers.unsendable(spec, by)
                if not error and self._workers.breakers.may_call(spec.operator.name, by):
                    self._called.add(call)
                    yield call
                else:
                    self._results[call] = MatcherResult.failed(by, error or _NOT_CALLED, self._request.raw_mails)

    def _matched(self) -> MatchResult:
        """Match the batch. Raises TransientError where no process can be had or the mails can't be read now."""
        if not self._request.raw_mails:
            return MatchResult(mails=(), results=())
        try:
            self._bases = {index: self._workers.basis(spec) for index, spec in enumerate(self._request.specs)}
            self._call_all()
            for call, failure in self._failed.items():
                if not self._admission(call).undecided:
                    self._results[call] = self._matched_apart(call, failure)
            self._report()
        finally:
            for call in self._called:
                self._workers.breakers.given_up(self._operator(call), call.by)
        views = self._mails | self._unbearable
        return MatchResult(mails=tuple([views[one.id] for one in self._request.raw_mails]), results=tuple(self._operator_results()))

    def _operator_results(self) -> Iterator[OperatorResult]:
        ids = [one.id for one in self._request.raw_mails]
        for index, spec in enumerate(self._request.specs):
            name = spec.operator.name
            if spec.faulty:
                yield faulty_operator_result(name, ids, self._request.contact_types)
                continue
            results = {by: self._results.get(TaskCall(index, by), MatcherResult()) for by, _ in spec.matchers}
            yield operator_result(name, ids, self._admission(TaskCall(index)), results, self._bases.get(index))

    def _admission(self, call: TaskCall) -> Admission:
        return self._admissions.get(call.spec, Admission())

    def _operator(self, call: TaskCall) -> str:
        return self._request.specs[call.spec].operator.name

    # --- all calls in one process -------------------------------------------------------------------------------------

    def _call_all(self) -> None:
        failures = 0
        while (left := self._open_calls()) or self._unparsed():
            task = self._task(left)
            # If a process ended for one of these matchers lately, the others' processes are not at stake again.
            suspected = any(self._workers.is_suspect(self._operator(call), call.by) for call in self._called)
            outcome = self.run_task(task, self._seconds, apart=suspected)
            self._mails |= {mail.id: mail for mail in outcome.ended.mails}
            for call, result in outcome.results.items():
                if isinstance(result, Admission):
                    self._admissions[call.spec] = result
                else:
                    self._results[call] = result
            failure = outcome.failure
            if failure is None:
                continue
            if failure.call is not None:
                self._failed_in(failure.call, failure, task)
                continue
            failures += 1
            # The process may have been killed from outside: then once more.
            if (failures > 1 or failure.overran) and (unparsed := self._unparsed()):
                views, unbearable = parsed_apart(self, unparsed)
                self._mails |= views
                self._unbearable |= unbearable
            elif failures > _TRIES:
                for call in left:
                    self._failed_in(call, failure, task)

    def _open_calls(self) -> tuple[TaskCall, ...]:
        """Return the calls that are still to be made, where there is a mail that can be parsed."""
        if not self._bearable():
            return ()
        return tuple(
            call
            for call in self._calls
            if call not in self._results
            and call not in self._failed
            and (call.by or call.spec not in self._admissions)
            and not self._admission(call).undecided
        )

    def _bearable(self) -> tuple[RawMail, ...]:
        return tuple(one for one in self._request.raw_mails if one.id not in self._unbearable)

    def _unparsed(self) -> tuple[RawMail, ...]:
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
            views=bool(self._unparsed()),
            explain=self._request.explain,
        )

    def _seconds(self, call: TaskCall | None) -> float:
        """Return how many seconds a call, or the parser, may take."""
        return self.config.deadline if call is None else min(self.config.deadline, max(self._left[call.spec], _LEAST))

    def run_task(self, task: WorkerTask, seconds: CallSeconds, *, apart: bool) -> TaskOutcome:
        """See ``TaskRunner``."""
        outcome = run_task(self._workers.apart if apart else self._workers.pool, task, seconds, self._on_worker)
        if outcome.failure is not None and not self._dropped:  # else we ended it, since nobody wants its result
            call = outcome.failure.call
            operator = task.specs[call.spec].operator if call else ""
            self._workers.events.worker_replaced(operator, call.by if call else "", explained(outcome.failure, self.config))
        return outcome

    def _on_worker(self, process: WorkerProcess | None) -> None:
        """Remember which process is at work, so that it can be ended; raises where nobody wants the result any more."""
        with self._lock:
            self._process = None if self._dropped else process
            if self._dropped:
                raise _DroppedError

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _failed_in(self, call: TaskCall, failure: TaskFailure, task: WorkerTask) -> None:
        if failure.overran:
            self._left[call.spec] -= self._seconds(call)
        if call.by:
            self._failed[call] = failure
        elif call.spec not in self._admissions:
            pickled = self._workers.pickled(self._request.specs[call.spec], [])
            self._admissions[call.spec] = admitted_apart(self, pickled, task, failure, budget=self._left[call.spec])
            # It may be that a matcher can't be built: then each is called apart from the others.
            alone = TaskFailure(None, failure.how)
            self._failed |= {one: alone for one in self._calls if one.by and one.spec == call.spec and one not in self._results}

    def _matched_apart(self, call: TaskCall, failure: TaskFailure) -> MatcherResult:
        began = time.monotonic()
        pickled = self._workers.pickled(self._request.specs[call.spec], [call.by])
        refused = self._admission(call).refused
        search = BlameSearch(self, call, pickled, failure, budget=self._search[call.spec], explain=self._request.explain)
        result = search.result([one for one in self._bearable() if one.id not in refused])
        self._search[call.spec] -= time.monotonic() - began
        if result.faults:
            self._workers.suspect(self._operator(call), call.by)
        return result

    def _report(self) -> None:
        """Report to the breakers and directories how the calls went that were really made."""
        ids = {one.id for one in self._bearable()}
        for index, spec in enumerate(self._request.specs):
            admission = self._admissions.get(index)
            made = [call for call in self._called if call.spec == index and call in self._results]
            if admission is None or not made or ids <= admission.refused:
                continue
            for call in made:
                self._called.discard(call)
                faulty = any(fault.by == call.by for _, fault in self._results[call].faults)
                if changed := self._workers.breakers.told(spec.operator.name, call.by, faulty=faulty):
                    self._workers.events.breaker_changed(spec.operator.name, call.by, changed)
            faults = [fault for call in made for _, fault in self._results[call].faults]
            failed = bool(admission.broken or admission.outdated) or any(fault.by == "directory" for fault in faults)
            self._workers.directories.told(spec.operator.name, failed=failed)
