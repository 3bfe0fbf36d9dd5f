"""Examine one batch for one operator: admit, then match. Reads the directory, writes nothing, picklable in and out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.custody import FilingFault
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.guard import DirectoryFailed, GuardedDirectory
from gatewayd.model import KINDS, Link, Miss, Record, Rivals
from gatewayd.plugins import where
from gatewayd.roles import Directory, Matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gatewayd.mail import Mail
    from gatewayd.model import Finding
    from gatewayd.plugins import Registry
    from gatewayd.roles import Operator, Place

__all__ = ["Examiner", "Findings", "Job", "Recipe"]

#: How often a matcher that raises is called again on halves of a batch before the rest of the batch gets its fault.
_MAX_CALLS = 64
#: More findings for one mail than this are a matcher's fault.
_MAX_FINDINGS = 1000

_Faults: TypeAlias = "list[tuple[int, FilingFault]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that it takes to build an operator's directory and matchers, in whatever process."""

    operator: Operator
    directory: tuple[str, Directory.Options] | None
    matchers: tuple[tuple[str, Matcher.Options], ...]
    place: Place
    #: The operator's file is faulty: its mail is filed with that fault, unmatched.
    faulty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One batch for one operator."""

    recipe: Recipe
    mails: tuple[Mail, ...]
    #: Only mail from contacts of these types is admitted, by customer and supplier; empty admits all.
    contact_types: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a job found out. ``by`` is a matcher's kind."""

    operator: str
    links: tuple[tuple[str, Link], ...] = ()
    rivals: tuple[tuple[str, Rivals], ...] = ()
    misses: tuple[tuple[str, Miss], ...] = ()
    faults: tuple[tuple[int, FilingFault], ...] = ()
    #: Ids of mails that the operator does not admit.
    refused: frozenset[int] = frozenset()
    #: Why admission could not be decided; empty where it could.
    undecided: str = ""


@dataclass(slots=True)
class _Bench:
    """One operator's objects, built in this process."""

    recipe: Recipe
    directory: GuardedDirectory | None = None
    matchers: list[tuple[str, Matcher]] = field(default_factory=list)
    #: What could not be built, as (by, error).
    broken: list[FilingFault] = field(default_factory=list)
    #: Why the directory's last refresh failed; empty where it did not.
    stale: str = ""


class Examiner:
    """Builds each operator's directory and matchers once and examines with them. Used by one thread at a time."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._benches: dict[str, _Bench] = {}

    def refresh(self, recipe: Recipe) -> list[str]:
        """Let the operator's directory follow its changes; return faults to show. Never raises for a directory."""
        bench = self._bench(recipe)
        bench.stale = ""
        if bench.directory is None:
            return []
        try:
            return bench.directory.refresh()
        except DirectoryFailed as error:
            bench.stale = str(error)
            return [bench.stale]

    def unusable(self, recipe: Recipe) -> list[tuple[str, str]]:
        """Return what could not be built, or be refreshed the last time, as (``directory`` or matcher, why)."""
        bench = self._bench(recipe)
        broken = [(fault.by, fault.error) for fault in bench.broken]
        return [*broken, ("directory", bench.stale)] if bench.stale else broken

    def examine(self, job: Job) -> Findings:
        """Return what is to be said of each mail of the job. Never raises for a directory, a matcher or a mail."""
        name = job.recipe.operator.name
        if job.recipe.faulty and job.contact_types:
            return Findings(operator=name, undecided=f"operators/{name}.yaml is faulty; see `gatewayd check`")
        if job.recipe.faulty:
            fault = FilingFault("config", f"operators/{name}.yaml is faulty, so nothing was matched; see `gatewayd check`")
            return Findings(operator=name, faults=tuple((mail.id, fault) for mail in job.mails))
        bench = self._bench(job.recipe)
        try:
            refused = _refused(job, bench.directory)
        except DirectoryFailed as error:
            return Findings(operator=name, undecided=str(error))
        except Exception as error:  # noqa: BLE001  a directory that answers with nonsense is one that can't answer
            return Findings(operator=name, undecided=where(error))
        mails = [mail for mail in job.mails if mail.id not in refused]
        found: list[tuple[str, Finding]] = []
        faults: _Faults = [(mail.id, fault) for fault in bench.broken for mail in mails]
        for kind, matcher in bench.matchers:
            said, failed = _match(kind, matcher, mails, bench.directory)
            found += [(kind, finding) for finding in said]
            faults += failed
        return _findings(name, found, faults, frozenset(refused))

    def directory(self, recipe: Recipe) -> Directory:
        """Return the operator's directory for a person's own questions; raises PermanentError where there is none."""
        bench = self._bench(recipe)
        if bench.directory is None:
            why = "; ".join(fault.error for fault in bench.broken) or "its file names none"
            raise PermanentError(f"operator {recipe.operator.name} has no directory: {why}")
        return bench.directory

    def close(self) -> None:
        """Let go of all directories."""
        for bench in self._benches.values():
            if bench.directory is not None:
                bench.directory.close()
        self._benches.clear()

    def _bench(self, recipe: Recipe) -> _Bench:
        name = recipe.operator.name
        bench = self._benches.get(name)
        if bench is None or bench.recipe != recipe:
            if bench is not None and bench.directory is not None:
                bench.directory.close()
            bench = self._benches[name] = self._build(recipe)
        return bench

    def _build(self, recipe: Recipe) -> _Bench:
        bench = _Bench(recipe=recipe)
        if recipe.directory is not None:
            kind, options = recipe.directory
            with _guarded(bench, "directory"):
                directory = self._registry.get(Directory, kind)
                bench.directory = GuardedDirectory(directory(options, operator=recipe.operator, place=recipe.place))
        for by, fields in recipe.matchers:
            with _guarded(bench, by):
                matcher = self._registry.get(Matcher, by)
                bench.matchers.append((by, matcher(fields, operator=recipe.operator)))
        return bench


@contextmanager
def _guarded(bench: _Bench, by: str) -> Iterator[None]:
    try:
        yield
    except GatewaydError as error:
        bench.broken.append(FilingFault(by, error.message))
    except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin that can't be built costs its own links only (P4)
        bench.broken.append(FilingFault(by, where(error)))


def _refused(job: Job, directory: Directory | None) -> set[int]:
    """Ids of mails from nobody of the contact types that the account imports."""
    if not job.contact_types:
        return set()
    if directory is None:
        raise DirectoryFailed("there is no directory to look contact types up in")
    wanted = {(kind, word.casefold()) for kind, words in job.contact_types for word in words}
    senders = {mail.id: {address.email.lower() for address in mail.from_} for mail in job.mails}
    contacts = directory.contacts(set().union(*senders.values()))
    admitted = {
        email for email, known in contacts.items() if any((one.owner.kind, one.contact_type.casefold()) in wanted for one in known)
    }
    return {mail_id for mail_id, emails in senders.items() if not emails & admitted}


def _match(kind: str, matcher: Matcher, mails: Sequence[Mail], directory: Directory | None) -> tuple[list[Finding], _Faults]:
    """Call a matcher on the batch; where it raises, on halves, until the guilty mails are found."""
    said: list[Finding] = []
    faults: _Faults = []
    parts = [mails] if mails else []
    calls = 0
    while parts:
        part = parts.pop()
        calls += 1
        try:
            said += _checked(matcher.match(part, directory or GuardedDirectory(None)), part)
        except DirectoryFailed as error:
            faults += [(mail.id, FilingFault("directory", str(error))) for mail in part]
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a matcher raises costs its own links only (P4)
            if len(part) > 1 and calls < _MAX_CALLS:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
            else:
                faults += [(mail.id, FilingFault(kind, where(error))) for mail in part]
    return said, faults


def _checked(findings: Iterable[Finding] | None, mails: Sequence[Mail]) -> list[Finding]:
    ids = {mail.id for mail in mails}
    limit = _MAX_FINDINGS * len(mails)
    if findings is None:
        raise TypeError("match returned None, expected an iterable of findings")
    said = list(islice(findings, limit + 1))
    if len(said) > limit:
        raise ValueError(f"more than {_MAX_FINDINGS} findings a mail")
    for finding in said:
        if not isinstance(finding, Link | Rivals | Miss):
            raise TypeError(f"it yielded {type(finding).__name__}, expected Link, Rivals or Miss")
        if finding.mail_id not in ids:
            raise ValueError(f"it spoke of mail {finding.mail_id}, which is not in the batch")
        if not isinstance(finding.because, str):
            raise TypeError(f"it said {type(finding.because).__name__} for `because`, expected text")
        for record in _records(finding):
            if not isinstance(record, Record) or record.kind not in KINDS:
                raise TypeError(f"it linked {type(record).__name__}, expected a Record of a known kind")
            if not (isinstance(record.id, str) and isinstance(record.label, str)):
                raise TypeError(f"it linked a {record.kind} whose id or label is no text")
    return said


def _records(finding: Finding) -> tuple[Record, ...]:
    if isinstance(finding, Link):
        return (finding.record,)
    if isinstance(finding, Miss):
        return ()
    if not isinstance(finding.records, tuple):
        raise TypeError(f"it yielded Rivals of a {type(finding.records).__name__}, expected a tuple of records")
    return finding.records


def _findings(operator: str, found: Sequence[tuple[str, Finding]], faults: _Faults, refused: frozenset[int]) -> Findings:
    """Sort what was found; where two matchers link the same record, the first one in the operator's order has said it."""
    links: dict[tuple[int, str, str], tuple[str, Link]] = {}
    for by, finding in found:
        if isinstance(finding, Link):
            links.setdefault((finding.mail_id, finding.record.kind, finding.record.id), (by, finding))
    return Findings(
        operator=operator,
        links=tuple(links.values()),
        rivals=tuple((by, finding) for by, finding in found if isinstance(finding, Rivals)),
        misses=tuple((by, finding) for by, finding in found if isinstance(finding, Miss)),
        faults=tuple(faults),
        refused=refused,
    )
