"""The messages between a worker process and its parent: tasks, progress and results. All of them pickle."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.roles import Directory, Matcher
from gatewayd.matching.values import DirectoryCheck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.store.search import Unindexed
    from gatewayd.api.values import Record
    from gatewayd.errors import GatewaydError
    from gatewayd.matching.values import ContactTypes, DirectoryQuestion, OperatorSpec, RawMail
    from gatewayd.message.mail import Mail
    from gatewayd.registry.loading import Registry

__all__ = [
    "MemorySpent",
    "PickledSpec",
    "Reply",
    "TaskAsking",
    "TaskCall",
    "TaskEnded",
    "TaskNext",
    "TaskReady",
    "WordsTask",
    "WorkerTask",
    "pickle_spec",
]


@dataclass(frozen=True, slots=True)
class PickledSpec:
    """A spec with the code that it names, pickled once: a worker that knows it already need not read it again."""

    operator: str
    code: bytes


@dataclass(frozen=True, slots=True)
class TaskCall:
    """One call: ``by`` is a matcher's kind, or empty for admission."""

    #: Key of ``WorkerTask.specs``.
    spec: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """One task for a worker: the calls for one batch, or a refresh of one directory, or a question to it."""

    raw_mails: tuple[RawMail, ...] = ()
    specs: Mapping[int, PickledSpec]
    contact_types: ContactTypes = ()
    calls: tuple[TaskCall, ...] = ()
    #: Ids of mails that a spec's operator does not admit, as far as that is known.
    refused: Mapping[int, frozenset[int]]
    #: Whether the views are wanted.
    views: bool = True
    #: Only let the one spec's directory follow its changes; and the version of its contents that is known already.
    refresh: bool = False
    known: str = ""
    #: With ``refresh``: take what lies behind the directory as it is.
    accept: bool = False
    #: Only let the one spec's directory answer this.
    question: DirectoryQuestion | None = None
    #: A person wants to know why: misses and traces are sent, too.
    explain: bool = False


@dataclass(frozen=True, slots=True)
class WordsTask:
    """The other kind of task: only tell the words by which mails are found."""

    mails: Sequence[Unindexed]


@dataclass(frozen=True, slots=True)
class TaskReady:
    """The process has started and has read the task, with the code that its mails need: its time runs from now on."""


@dataclass(frozen=True, slots=True)
class TaskNext:
    """The parser, or the call before, has ended; ``call`` is the index of the one that begins now, if any."""

    call: int | None
    #: An ``Admission`` or ``MatcherResult``, pickled: if it can't be read, the call is to blame and not the process.
    result: bytes | None = None


@dataclass(frozen=True, slots=True)
class TaskAsking:
    """The current call asks the operator's directory something; without ``busy`` it has the answer."""

    busy: bool


@dataclass(frozen=True, slots=True)
class MemorySpent:
    """The memory is all but used up, and no further call is made; without a result the last call used it up."""

    result: bytes | None = None


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The task is done."""

    mails: tuple[Mail, ...] = ()
    #: The outcome of a refresh; of a question only whether and why it failed.
    check: DirectoryCheck = field(default_factory=DirectoryCheck)
    #: Whose contacts changed since the version that was known; None where that is not known.
    changed: frozenset[str] | None = None
    #: The answer to a question.
    answer: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    #: The words of each mail, see ``SearchVerbs.index``.
    words: Mapping[int, Sequence[Sequence[str]]] = field(default_factory=dict)
    #: The mails can't be read now; nothing was done.
    error: GatewaydError | None = None
    #: The memory is all but used up: this was the last task.
    spent: bool = False


#: What a worker sends.
Reply: TypeAlias = TaskReady | TaskNext | TaskAsking | MemorySpent | TaskEnded


def pickle_spec(spec: OperatorSpec, registry: Registry) -> PickledSpec:
    """Pickle a spec for workers: the single files that it needs, then the spec itself, which can be read only with their help."""
    wanted: list[tuple[type[Directory | Matcher], str]] = [(Matcher, by) for by, _ in spec.matchers]
    if spec.directory:
        wanted.append((Directory, spec.directory[0]))
    offers = {("directories" if role is Directory else "matchers", kind) for role, kind in wanted}
    paths = {one.path for one in registry.plugins if one.path and offers & set(one.offers)}
    files = tuple(file for file in registry.files if file.path in paths)
    return PickledSpec(spec.operator.name, pickle.dumps((files, pickle.dumps((spec, registry.part(wanted)), 5)), 5))
