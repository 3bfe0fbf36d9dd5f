"""A worker process: parses, admits and matches for its parent, and can be killed at any time without loss.

The fork server runs it as a program of its own. It speaks with its parent over the socket ``FD``: each message is one pickled
value. ``LIFE`` is a pipe that is closed when the parent dies, ``MEMORY`` the bytes that the worker may take beyond those that it
has at its start. It imports no plugins but those that its task names. It announces each call before it makes it, so that the
parent knows whom to blame for a death, or for a call that does not end.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from multiprocessing import current_process
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from gatewayd.api.values import Miss
from gatewayd.errors import GatewaydError, PluginError
from gatewayd.matching.guarded_calls import Admission, MatcherResult
from gatewayd.matching.operator_matching import OperatorMatching
from gatewayd.matching.values import DirectoryCheck, RawMail
from gatewayd.matching.worker_messages import MemorySpent, TaskAsking, TaskEnded, TaskNext, TaskReady, WordsTask
from gatewayd.message.words import mail_words
from gatewayd.registry import discovery
from gatewayd.registry.guarded_directory import DirectoryFailed
from gatewayd.runtime.child_process import bound_memory, data, end_with_parent
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from gatewayd.matching.worker_messages import PickledSpec, Reply, TaskCall, WorkerTask
    from gatewayd.message.mail import Mail

__all__ = ["main"]

#: Of how many operators the directories and matchers are kept.
_OPERATORS = 64
#: With this part of its memory in use a worker takes no further tasks.
_SPENT = 0.75
_BUSY, _ANSWERED = (pickle.dumps(TaskAsking(busy), 5) for busy in (True, False))


class _Worker:
    def __init__(self, memory: int, asking: Callable[[bool], None] = lambda _: None) -> None:
        """``asking`` is called with True when a directory is asked something, and with False when it has answered."""
        self._asking = asking
        #: Each operator's directory and matchers, or why its spec can't be loaded; the one that was used last is the last.
        self._operators: dict[str, tuple[PickledSpec, OperatorMatching | str]] = {}
        #: Bytes of data beyond which this process is spent.
        self._enough = data() + int(memory * _SPENT)

    def replies(self, task: WorkerTask) -> Iterator[TaskNext | MemorySpent | TaskEnded]:
        """Do a task, and yield what the parent is to know."""
        if task.refresh or task.question is not None:
            for pickled in task.specs.values():
                yield replace(_asked(self._operator(pickled), task), spent=self._is_spent())
            return
        try:
            mails = tuple([one.parsed() for one in task.raw_mails])
        except GatewaydError as error:
            # The bytes can't be read now: that is nobody's fault here.
            yield TaskEnded(error=error.alone())
            return
        result = yield from self._calls(task, mails)
        if isinstance(result, MemorySpent):
            yield result
            return
        yield TaskNext(None, result)
        yield TaskEnded(mails=mails if task.views else (), spent=self._is_spent())

    def _calls(self, task: WorkerTask, mails: Sequence[Mail]) -> Generator[TaskNext, None, bytes | MemorySpent | None]:
        """Make the calls; return the last result, or that no more can be made."""
        refused = dict(task.refused)
        result: bytes | None = None
        undecided: set[int] = set()
        for number, call in enumerate(task.calls):
            if call.spec in undecided:
                continue
            yield TaskNext(number, result)
            # Only now: to build what a spec names is to run a plugin's code.
            operator = self._operator(task.specs[call.spec])
            found: Admission | MatcherResult
            if call.by:
                left = refused.get(call.spec, frozenset())
                found = _matched(operator, call, [mail for mail in mails if mail.id not in left], explain=task.explain)
            else:
                found = _admitted(operator, task, call, mails)
                refused[call.spec] = found.refused
                undecided |= {call.spec} if found.undecided else set()
            result = pickle.dumps(found, 5)
            if self._is_spent():
                return MemorySpent(None if _starved(found) else result)
        return result

    def _operator(self, pickled: PickledSpec) -> OperatorMatching | str:
        """Return an operator's directory and matchers, or why its spec can't be loaded."""
        known, operator = self._operators.pop(pickled.operator, (None, ""))
        if known != pickled:
            _close(operator)
            files, inner = pickle.loads(pickled.code)  # noqa: S301  our parent's own bytes
            try:
                for file in files:
                    discovery.single(file).load()
                spec, registry = pickle.loads(inner)  # noqa: S301  the same
                operator = OperatorMatching(spec, registry, asking=self._asking)
            except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin's code costs its own links only (P4)
                operator = where(error)
        self._operators[pickled.operator] = pickled, operator
        if len(self._operators) > _OPERATORS:
            _close(self._operators.pop(next(iter(self._operators)))[1])
        return operator

    def _is_spent(self) -> bool:
        return data() > self._enough


def _close(operator: OperatorMatching | str) -> None:
    if isinstance(operator, OperatorMatching):
        operator.close()


def _asked(operator: OperatorMatching | str, task: WorkerTask) -> TaskEnded:
    """Refresh an operator's directory, or ask it the task's question."""
    if isinstance(operator, str):
        return TaskEnded(check=DirectoryCheck(faults=(operator,), failed=True))
    if task.question is None:
        check = operator.check(accept=task.accept)
        changed = operator.changed(task.known) if task.known and check.contents.version != task.known else None
        return TaskEnded(check=check, changed=None if changed is None else frozenset(changed))
    # Where it can't follow, it answers by the records that it had before.
    operator.follow()
    try:
        return TaskEnded(answer=task.question.put(operator.directory()))
    except (GatewaydError, DirectoryFailed) as error:
        why = error.sentences if isinstance(error, GatewaydError) else str(error)
        return TaskEnded(check=DirectoryCheck(faults=(why,), failed=True))


def _admitted(operator: OperatorMatching | str, task: WorkerTask, call: TaskCall, mails: Sequence[Mail]) -> Admission:
    if isinstance(operator, str):
        return Admission.failed(operator, task.contact_types)
    name = task.specs[call.spec].operator
    judged = [mail for mail, one in zip(mails, task.raw_mails, strict=True) if name not in one.admitted]
    outdated = operator.follow()
    return replace(operator.admit(judged, task.contact_types), outdated=outdated)


def _matched(operator: OperatorMatching | str, call: TaskCall, mails: Sequence[Mail], *, explain: bool) -> MatcherResult:
    if isinstance(operator, str):
        return MatcherResult.failed(call.by, operator, mails)
    result = operator.match(call.by, mails, explain=explain)
    # Misses are kept nowhere.
    return result if explain else result._replace(found=tuple([one for one in result.found if not isinstance(one, Miss)]))


def _starved(found: Admission | MatcherResult) -> bool:
    """Whether a call failed for lack of memory."""
    texts = (found.undecided, found.broken) if isinstance(found, Admission) else [fault.error for _, fault in found.faults]
    return any(text.startswith("MemoryError") for text in texts)


def main(arguments: Sequence[str]) -> None:
    """Work until the parent closes the connection."""
    socket, life, allowed = map(int, arguments)
    end_with_parent(life)
    bound_memory(allowed)
    # All processes have that of the fork server else.
    current_process().authkey = os.urandom(32)
    with Connection(socket) as parent:
        worker = _Worker(allowed, lambda busy: _send(parent, _BUSY if busy else _ANSWERED))
        # A child that a matcher forks must not speak for us, nor keep the connection open when we are gone.
        os.register_at_fork(after_in_child=parent.close)
        while True:
            try:
                task = parent.recv_bytes()
            except (EOFError, ConnectionError):
                # The parent has closed the connection, or was killed before it had read all that we sent.
                return
            for reply in _replies(worker, task):
                _send(parent, pickle.dumps(reply, 5))


def _send(parent: Connection, message: bytes) -> None:
    """Send a message; end this process if the parent is gone, because nobody wants its results."""
    try:
        parent.send_bytes(message)
    except ConnectionError:
        raise SystemExit from None


def _replies(worker: _Worker, data: bytes) -> Iterator[Reply]:
    try:
        task: WorkerTask | WordsTask = pickle.loads(data)  # noqa: S301  our parent's own bytes
    except Exception as error:  # noqa: BLE001  the class of a source, say, that this process can't import
        yield TaskEnded(error=PluginError(f"mails can't be given to a worker process: {where(error)}"))
    else:
        yield TaskReady()
        if isinstance(task, WordsTask):
            yield _worded(task)
        else:
            yield from worker.replies(task)


def _worded(task: WordsTask) -> TaskEnded:
    """Return the words of mails. One whose stored bytes are damaged has none: an audit tells of it."""
    try:
        return TaskEnded(words={one.mail_id: mail_words(RawMail(one.mail_id, one.source).parsed()) for one in task.mails})
    except GatewaydError as error:
        return TaskEnded(error=error.alone())
