"""The values and the interface of matching: a batch is a `MatchRequest`, and its outcome a `MatchResult`. All values pickle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.directory import Contents
from gatewayd.api.roles import Folders, Operator
from gatewayd.errors import PermanentError
from gatewayd.message.mail import parse, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.directory import Basis
    from gatewayd.api.ledger import FilingFault
    from gatewayd.api.roles import Directory, Matcher
    from gatewayd.api.values import Follows, Kind, Link, Miss, Record, Rivals
    from gatewayd.config import Config
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
    "OperatorResult",
    "OperatorSpec",
    "RawMail",
    "specs",
]


#: For ``customer`` and ``supplier`` the types of contact whose mail is admitted.
ContactTypes: TypeAlias = "tuple[tuple[str, tuple[str, ...]], ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpec:
    """All that is needed to build an operator's directory and matchers, in any process."""

    operator: Operator
    directory: tuple[str, Directory.Options] | None
    matchers: tuple[tuple[str, Matcher.Options], ...]
    place: Folders
    #: The operator's file is faulty: its mail is filed with that fault, unmatched.
    faulty: bool = False


def specs(config: Config) -> Mapping[str, OperatorSpec]:
    """Return every operator's spec, by name."""
    return {
        one.name: OperatorSpec(
            operator=Operator(name=one.name, title=one.title, brands=tuple(one.brands)),
            directory=(one.directory_kind, one.directory_options) if one.directory_kind and one.directory_options else None,
            matchers=tuple(one.matchers),
            place=Folders(config=config.folder, state=config.state / "operators" / one.name),
            faulty=one.faulty,
        )
        for one in config.operators.values()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorResult:
    """One operator's result for a batch. Findings are paired with the kind of the matcher that they are from."""

    operator: str
    links: tuple[tuple[str, Link], ...] = ()
    rivals: tuple[tuple[str, Rivals], ...] = ()
    misses: tuple[tuple[str, Miss], ...] = ()
    #: Whether the message ids are ours is not proven yet: a matcher has no key.
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
    #: The records by which all of this was decided; None where there is no directory.
    basis: Basis | None = None


@dataclass(frozen=True)
class RawMail:
    """One message to be parsed."""

    id: int
    source: Source
    #: When it came to the mailbox.
    received_at: datetime | None = None
    #: Its view, where there are no bytes to parse.
    view: Mail | None = None
    #: The operators for which a person has admitted it.
    admitted: tuple[str, ...] = ()

    def parsed(self) -> Mail:
        """Return its view, which is empty where the bytes are gone for good (P4)."""
        try:
            return self.view or parse(self.source, mail_id=self.id, received_at=self.received_at)
        except PermanentError as error:
            return unread(self.source, error.sentences, mail_id=self.id, received_at=self.received_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRequest:
    """One batch for all operators of its account."""

    raw_mails: tuple[RawMail, ...]
    specs: tuple[OperatorSpec, ...]
    #: Only mail from contacts of these types is admitted, by customer and supplier; empty admits all.
    contact_types: ContactTypes = ()
    #: Admission is decided, and no matcher is called.
    admit_only: bool = False
    #: A person wants to know why: misses and traces are kept.
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """The view of each mail, and the result of each operator, in the order of the request."""

    mails: tuple[Mail, ...]
    results: tuple[OperatorResult, ...]


class MatchRun(ABC):
    """A batch that is being matched."""

    @abstractmethod
    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        """Wait for the result. ``keep_alive`` is called every few seconds meanwhile; an error that it raises ends the run."""

    @abstractmethod
    def drop(self) -> None:
        """End the run without a result. Does nothing once there is one."""


class Matching(ABC):
    """Matches batches, in this process or in worker processes."""

    @abstractmethod
    def refresh(self, spec: OperatorSpec) -> list[str]:
        """Let the operator's directory follow its changes; return faults to show. Never raises for a directory."""

    def basis(self, spec: OperatorSpec) -> Basis | None:  # noqa: ARG002  for subclasses
        """Return the records by which the operator's directory answers now; None where there is none.

        Waits for a look at it that is due, for a bounded time.
        """
        return None

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:  # noqa: ARG002  for subclasses
        """Return the addresses whose contacts changed since that version, see ``Directory``; None where that is not known."""
        return None

    @abstractmethod
    def begin(self, request: MatchRequest) -> MatchRun:
        """Begin to match a batch, which may go on while the caller does other work. Never raises for a matcher or a mail."""


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
    """What is wrong with an operator's directory and matchers, and what the directory holds."""

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
