"""The frozen values of examination: what it is asked and what it finds out. All of them pickle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.directory import Contents
from gatewayd.errors import PermanentError
from gatewayd.message.mail import parse, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.directory import Basis
    from gatewayd.api.ledger import FilingFault
    from gatewayd.api.roles import Directory, Folders, Matcher, Operator
    from gatewayd.api.values import Follows, Kind, Link, Miss, Record, Rivals
    from gatewayd.message.mail import Mail
    from gatewayd.message.values import Source

__all__ = [
    "ContactTypes",
    "DirectoryAnswers",
    "DirectoryCheck",
    "DirectoryQuestion",
    "MatchRequest",
    "MatchResult",
    "MatchRun",
    "Matching",
    "OperatorRequest",
    "OperatorResult",
    "OperatorSpec",
    "RawMail",
]


#: For ``customer`` and ``supplier`` the types of contact whose mail is admitted.
ContactTypes: TypeAlias = "tuple[tuple[str, tuple[str, ...]], ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpec:
    """All that it takes to build an operator's directory and matchers, in whatever process."""

    operator: Operator
    directory: tuple[str, Directory.Options] | None
    matchers: tuple[tuple[str, Matcher.Options], ...]
    place: Folders
    #: The operator's file is faulty: its mail is filed with that fault, unmatched.
    faulty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRequest:
    """One batch for one operator."""

    spec: OperatorSpec
    mails: tuple[Mail, ...]
    #: Only mail from contacts of these types is admitted, by customer and supplier; empty admits all.
    contact_types: ContactTypes = ()
    #: Ids of mails that a person has admitted.
    admitted: frozenset[int] = frozenset()
    #: Only admission is asked for.
    admit_only: bool = False
    #: A person wants to know why: misses and traces are kept.
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorResult:
    """What a job found out. ``by`` is a matcher's kind."""

    operator: str
    links: tuple[tuple[str, Link], ...] = ()
    rivals: tuple[tuple[str, Rivals], ...] = ()
    misses: tuple[tuple[str, Miss], ...] = ()
    #: Not proven yet: a matcher has no key.
    follows: tuple[tuple[str, Follows], ...] = ()
    faults: tuple[tuple[int, FilingFault], ...] = ()
    #: The matchers that could not ask the directory.
    unanswered: tuple[str, ...] = ()
    #: Tracebacks of faults as (mail id, matcher or ``directory``, text), where a person wants to know why.
    traces: tuple[tuple[int, str, str], ...] = ()
    #: Ids of mails that the operator does not admit.
    refused: frozenset[int] = frozenset()
    #: Ids of mails whose admission could not be decided, and why.
    pending: frozenset[int] = frozenset()
    undecided: str = ""
    #: By which records all of it was said; None where there is no directory.
    basis: Basis | None = None


@dataclass(frozen=True)
class RawMail:
    """One message to be parsed."""

    id: int
    source: Source
    #: When it came to the mailbox.
    received_at: datetime | None = None
    #: Its view, where that is all there is of it.
    view: Mail | None = None
    #: The operators for which a person has admitted it.
    admitted: tuple[str, ...] = ()

    def seen(self) -> Mail:
        """Return its view. Where its bytes are gone for good nothing can be read of it, as where no parser can bear it (P4)."""
        try:
            return self.view or parse(self.source, mail_id=self.id, received_at=self.received_at)
        except PermanentError as error:
            return unread(self.source, error.sentences, mail_id=self.id, received_at=self.received_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRequest:
    """One batch for all operators of its account."""

    raw_mails: tuple[RawMail, ...]
    specs: tuple[OperatorSpec, ...]
    #: See ``OperatorRequest``.
    contact_types: ContactTypes = ()
    admit_only: bool = False
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """What became of a request: the view of each mail, and the result of each operator in the order of the specs."""

    mails: tuple[Mail, ...]
    results: tuple[OperatorResult, ...]


class MatchRun(ABC):
    """A batch that is under way."""

    @abstractmethod
    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        """Wait for what it found out. ``keep_alive`` is called every few seconds meanwhile; what it raises ends the waiting."""

    @abstractmethod
    def drop(self) -> None:
        """Let it go unfinished. Does nothing once there is a result."""


class Matching(ABC):
    """Examines for visits: in this process, or in worker processes."""

    @abstractmethod
    def refresh(self, spec: OperatorSpec) -> list[str]:
        """Let the operator's directory follow its changes; return faults to show. Never raises for a directory."""

    def basis(self, spec: OperatorSpec) -> Basis | None:  # noqa: ARG002  for those who know it
        """Return by which records the operator's directory answers now; None where there is none.

        Waits for a look at it that is due, for a bounded time.
        """
        return None

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:  # noqa: ARG002  for those who know it
        """Return whose contacts changed between that version and the present one, see ``Directory``; None where it is not known."""
        return None

    @abstractmethod
    def begin(self, request: MatchRequest) -> MatchRun:
        """Begin with a batch, which may go on while the caller does other work. Never raises for a matcher or a mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuestion:
    """What a person asks of an operator's directory: records by a field's values, or by words where there is no field."""

    kind: Kind
    field: str = ""
    values: tuple[str, ...] = ()
    words: str = ""
    limit: int = 20

    def put(self, directory: Directory) -> Mapping[str, Sequence[Record]]:
        """Ask it; return the records for each value, or for the words."""
        if self.field:
            return directory.find(self.kind, self.field, self.values)
        return {self.words: directory.search(self.kind, self.words, limit=self.limit)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryCheck:
    """What a person's look at an operator's directory and matchers came to."""

    #: Faults to show, such as a row that was left out; and whether the directory could not be refreshed at all.
    faults: tuple[str, ...] = ()
    failed: bool = False
    contents: Contents = field(default_factory=Contents)
    #: What could not be built, as (``directory`` or matcher, why).
    unbuilt: tuple[tuple[str, str], ...] = ()


class DirectoryAnswers(Matching):
    """Answers what a person asks of directories, too: in this process, or in worker processes with deadlines."""

    @abstractmethod
    def look(self, spec: OperatorSpec, *, accept: bool = False, patient: bool = False) -> DirectoryCheck:
        """Let the operator's directory follow its changes, or with ``accept`` take what there is; and build its matchers.

        ``patient``: it may take as long as it takes the daemon. Never raises for a directory or a matcher.
        """

    @abstractmethod
    def ask(self, spec: OperatorSpec, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        """Return the answer. Raises DirectoryFailed, or PermanentError where the operator has no directory."""
