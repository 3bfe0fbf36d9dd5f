"""A worker process: parses, admits and matches for its parent, and can be killed at any time without loss.

It is a program of its own that the fork server runs, and speaks with its parent over the socket ``FD``:
each message is one pickled value. ``LIFE`` is a pipe that says when the parent has died, ``MEMORY`` what the worker may
take beyond what it has at its start, in bytes. It imports no plugin but those that its task names. What it is about to
call is said before it is called, so that the parent knows whom to blame for a death, or for a call that does not end.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from multiprocessing import current_process
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from gatewayd.api.ledger import FilingFault
from gatewayd.api.values import Miss
from gatewayd.errors import GatewaydError, PluginError
from gatewayd.matching import LocalMatching
from gatewayd.matching.guarded_calls import Admission, MatcherResult
from gatewayd.matching.worker_messages import (
    MemorySpent,
    PickledSpec,
    Reply,
    TaskAsking,
    TaskCall,
    TaskEnded,
    TaskNext,
    TaskReady,
    WorkerTask,
    pickle_spec,
)
from gatewayd.registry import discovery
from gatewayd.registry.guarded_directory import DirectoryFailed
from gatewayd.registry.loading import where
from gatewayd.runtime.child_process import bound_memory, data, end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from gatewayd.matching import ContactTypes, DirectoryQuestion
    from gatewayd.message.mail import Mail

__all__ = [
    "PROGRAM",
    "MemorySpent",
    "PickledSpec",
    "Reply",
    "TaskAsking",
    "TaskCall",
    "TaskEnded",
    "TaskNext",
    "TaskReady",
    "WorkerTask",
    "main",
    "pickle_spec",
]

#: What the fork server is asked for.
PROGRAM = __name__
#: Of how many operators the directories and matchers are kept.
_OPERATORS = 64
#: With this part of its memory in use a worker is of no use for others any more.
_SPENT = 0.75
_BUSY, _ANSWERED = (pickle.dumps(TaskAsking(busy), 5) for busy in (True, False))


class _Operator:
    """One operator's spec, in this process."""

    def __init__(self, pickled: PickledSpec, asking: Callable[[bool], None]) -> None:
        self.pickled = pickled
        #: Why the spec can't be had; empty where it can.
        self.error = ""
        files, inner = pickle.loads(pickled.code)  # noqa: S301  our parent's own bytes
        try:
            for file in files:
                discovery.single(file).load()
            self.spec, registry = pickle.loads(inner)  # noqa: S301  the same
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin's code costs its own links only (P4)
            self.error = where(error)
        else:
            self.matching = LocalMatching(registry, asking=asking)

    def close(self) -> None:
        if not self.error:
            self.matching.close()

    def refresh(self, known: str, *, accept: bool) -> TaskEnded:
        if self.error:
            return TaskEnded(faults=(self.error,), failed=True)
        found = self.matching.look(self.spec, accept=accept)
        changed = self.matching.changed(self.spec, known) if known and found.contents.version != known else None
        return TaskEnded(
            faults=found.faults,
            failed=found.failed,
            contents=found.contents,
            unbuilt=found.unbuilt,
            changed=None if changed is None else frozenset(changed),
        )

    def answer(self, question: DirectoryQuestion) -> TaskEnded:
        if self.error:
            return TaskEnded(faults=(self.error,), failed=True)
        # What it can't follow it answers by what was there before.
        self.matching.follow(self.spec)
        try:
            return TaskEnded(found=question.put(self.matching.directory(self.spec)))
        except (GatewaydError, DirectoryFailed) as error:
            return TaskEnded(faults=(error.sentences if isinstance(error, GatewaydError) else str(error),), failed=True)

    def admit(self, mails: Sequence[Mail], contact_types: ContactTypes) -> Admission:
        if self.error:
            return Admission(undecided=self.error) if contact_types else Admission(broken=self.error)
        outdated = self.matching.follow(self.spec)
        return replace(self.matching.admit(self.spec, mails, contact_types), outdated=outdated)

    def match(self, by: str, mails: Sequence[Mail], *, explain: bool) -> MatcherResult:
        if self.error:
            return MatcherResult(faults=tuple((mail.id, FilingFault(by, self.error)) for mail in mails))
        said = self.matching.match(self.spec, by, mails, explain=explain)
        # Misses are kept nowhere.
        return said if explain else MatcherResult(tuple([one for one in said.found if not isinstance(one, Miss)]), said.faults)


class _Worker:
    def __init__(self, memory: int, asking: Callable[[bool], None] = lambda _: None) -> None:
        """``asking`` is told when a directory is asked something, and when it has answered."""
        self._asking = asking
        self._operators: dict[str, _Operator] = {}
        #: Bytes of data beyond which this process is spent.
        self._enough = data() + int(memory * _SPENT)

    def _open(self, pickled: PickledSpec) -> _Operator:
        known = self._operators.pop(pickled.operator, None)
        if known is not None and known.pickled != pickled:
            known.close()
            known = None
        # The one that was used last stands last.
        self._operators[pickled.operator] = known = known or _Operator(pickled, self._asking)
        if len(self._operators) > _OPERATORS:
            self._operators.pop(next(iter(self._operators))).close()
        return known

    def replies(self, task: WorkerTask) -> Iterator[TaskNext | MemorySpent | TaskEnded]:
        if task.refresh:
            for pickled in task.specs.values():
                yield replace(self._open(pickled).refresh(task.known, accept=task.accept), spent=self._is_spent())
            return
        if task.question is not None:
            for pickled in task.specs.values():
                yield replace(self._open(pickled).answer(task.question), spent=self._is_spent())
            return
        try:
            mails = tuple([one.seen() for one in task.raw_mails])
        except GatewaydError as error:
            # Where the bytes lie can't be read now: that is nobody's fault here.
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
        left_out: set[int] = set()
        for number, call in enumerate(task.calls):
            if call.spec in left_out:
                continue
            yield TaskNext(number, result)
            said = self._called(task, call, mails, refused)
            if isinstance(said, Admission) and said.undecided:
                left_out.add(call.spec)
            result = pickle.dumps(said, 5)
            if self._is_spent():
                return MemorySpent(None if _starved(said) else result)
        return result

    def _called(
        self, task: WorkerTask, call: TaskCall, mails: Sequence[Mail], refused: dict[int, frozenset[int]]
    ) -> Admission | MatcherResult:
        # Only now: to build what a spec names is to run a plugin's code.
        name = task.specs[call.spec].operator
        operator = self._open(task.specs[call.spec])
        if call.by:
            left = refused.get(call.spec, frozenset())
            return operator.match(call.by, [mail for mail in mails if mail.id not in left], explain=task.explain)
        judged = [mail for mail, one in zip(mails, task.raw_mails, strict=True) if name not in one.admitted]
        admission = operator.admit(judged, task.contact_types)
        refused[call.spec] = admission.refused
        return admission

    def _is_spent(self) -> bool:
        return data() > self._enough


def _starved(said: Admission | MatcherResult) -> bool:
    """Whether a call came to nothing for lack of memory."""
    texts = (said.undecided, said.broken) if isinstance(said, Admission) else [fault.error for _, fault in said.faults]
    return any(text.startswith("MemoryError") for text in texts)


def main(arguments: Sequence[str]) -> None:
    """Work until the parent closes the connection."""
    socket, life, allowed = map(int, arguments)
    end_with_parent(life)
    bound_memory(allowed)
    # What it was forked from had one for all.
    current_process().authkey = os.urandom(32)
    with Connection(socket) as parent:
        worker = _Worker(allowed, lambda busy: parent.send_bytes(_BUSY if busy else _ANSWERED))
        # A child that a matcher forks must not speak for us, nor keep the connection open when we are gone.
        os.register_at_fork(after_in_child=parent.close)
        while True:
            try:
                task = parent.recv_bytes()
            except (EOFError, ConnectionError):
                # It has closed the connection, or was killed when we had said something that it had not read.
                return
            for reply in _replies(worker, task):
                parent.send_bytes(pickle.dumps(reply, 5))


def _replies(worker: _Worker, data: bytes) -> Iterator[Reply]:
    try:
        task: WorkerTask = pickle.loads(data)  # noqa: S301  our parent's own bytes
    except Exception as error:  # noqa: BLE001  the class of a source, say, that this process can't import
        yield TaskEnded(error=PluginError(f"mails can't be given to a worker process: {where(error)}"))
    else:
        yield TaskReady()
        yield from worker.replies(task)
