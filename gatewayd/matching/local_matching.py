"""Examine one batch for one operator: admit, then match. Reads the directory and writes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.directory import Basis, Contents, edition
from gatewayd.api.ledger import FilingFault
from gatewayd.api.roles import Directory, Matcher
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.matching.guarded_calls import Admission, MatcherResult, findings, match, refused, unmatched
from gatewayd.matching.values import DirectoryAnswers, DirectoryCheck, MatchResult, MatchRun, OperatorRequest, OperatorResult
from gatewayd.registry.guarded_directory import DirectoryFailed, GuardedDirectory
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gatewayd.api.values import Record
    from gatewayd.matching.values import ContactTypes, DirectoryQuestion, MatchRequest, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.registry.loading import Registry

__all__ = ["LocalMatching"]

_Built = TypeVar("_Built")

#: Seconds of work without a call of ``keep_alive``, and until a directory is looked at again.
_TICK, _LOOK = 5.0, 5.0


@dataclass(slots=True)
class _OperatorObjects:
    """One operator's objects, built in this process."""

    spec: OperatorSpec
    directory: GuardedDirectory | None = None
    #: What matchers ask, also where there is none.
    asked: GuardedDirectory = field(default_factory=lambda: GuardedDirectory(None))
    #: Why the directory could not be built; empty where it could.
    broken: str = ""
    matchers: dict[str, Matcher] = field(default_factory=dict)
    #: The matchers that could not be built, and why.
    unbuilt: dict[str, str] = field(default_factory=dict)
    #: Why the directory's last refresh failed; empty where it did not.
    stale: str = ""
    contents: Contents = field(default_factory=Contents)
    #: When the last good load began, and when it was looked at last, on this process' clock.
    loaded_at: datetime | None = None
    looked_at: float = 0.0


class LocalMatching(DirectoryAnswers):
    """Builds each operator's directory and matchers once and examines with them. Used by one thread at a time."""

    def __init__(self, registry: Registry, *, asking: Callable[[bool], None] = lambda _: None) -> None:
        """``asking`` is told when a directory is asked something, and when it has answered."""
        self._registry = registry
        self._asking = asking
        self._objects: dict[str, _OperatorObjects] = {}

    def refresh(self, spec: OperatorSpec) -> list[str]:
        """See ``Matching``."""
        return self._refreshed(spec, accept=False)

    def _refreshed(self, spec: OperatorSpec, *, accept: bool) -> list[str]:
        built = self._built(spec)
        built.stale, built.looked_at = "", time.monotonic()
        if built.directory is None:
            return []
        began = datetime.now(UTC)
        try:
            faults = built.directory.accept() if accept else built.directory.refresh()
        except DirectoryFailed as error:
            built.stale = str(error)
            faults = [built.stale]
        try:
            built.contents = built.directory.contents()
        except DirectoryFailed as error:
            built.contents = Contents(outdated=str(error))
        if not built.stale and not built.contents.outdated:
            built.loaded_at = began
        return faults

    def basis(self, spec: OperatorSpec) -> Basis | None:
        """See ``Matching``. It is looked at here and now, if that is due."""
        built = self._built(spec)
        if spec.directory is None or spec.faulty:
            return None
        if built.directory is not None and time.monotonic() - built.looked_at > _LOOK:
            self.refresh(spec)
        fault = built.broken or built.stale or built.contents.outdated
        return Basis(loaded_at=built.loaded_at, version=edition(built.contents.version, built.loaded_at), fault=fault)

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:
        """See ``Matching``."""
        built = self._built(spec)
        try:
            return built.directory.changed(version) if built.directory is not None else None
        except DirectoryFailed:
            return None

    def follow(self, spec: OperatorSpec) -> str:
        """Take up what another process has built of the operator's directory; return why that failed, empty where it did not."""
        built = self._built(spec)
        if built.directory is not None:
            try:
                built.directory.follow()
            except DirectoryFailed as error:
                return str(error)
        return ""

    def look(self, spec: OperatorSpec, *, accept: bool = False, patient: bool = False) -> DirectoryCheck:  # noqa: ARG002  it always is
        """See ``DirectoryAnswers``."""
        faults = tuple(self._refreshed(spec, accept=accept))
        built = self._built(spec)
        broken = {"directory": built.broken} if built.broken else {}
        failed = bool(built.broken or built.stale)
        return DirectoryCheck(
            faults=faults, failed=failed, contents=built.contents, unbuilt=tuple({**broken, **built.unbuilt}.items())
        )

    def ask(self, spec: OperatorSpec, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        """See ``DirectoryAnswers``."""
        self.refresh(spec)
        return question.put(self.directory(spec))

    def begin(self, request: MatchRequest) -> MatchRun:
        """See ``Matching``. It is done here and now, when its result is asked for."""
        return _LocalRun(self, request)

    def examine(self, job: OperatorRequest) -> OperatorResult:
        """Return what is to be said of each mail of the job. Never raises for a directory, a matcher or a mail."""
        ids = [mail.id for mail in job.mails]
        spoilt = unmatched(job.spec, ids, job.contact_types)
        if spoilt:
            return spoilt
        basis = self.basis(job.spec)
        judged = [mail for mail in job.mails if mail.id not in job.admitted]
        admission = self.admit(job.spec, judged, job.contact_types)
        mails = [mail for mail in job.mails if mail.id not in admission.refused]
        asked = () if admission.undecided or job.admit_only else job.spec.matchers
        said = {by: self.match(job.spec, by, mails, explain=job.explain) for by, _ in asked}
        return findings(job.spec.operator.name, ids, admission, said, basis)

    def admit(self, spec: OperatorSpec, mails: Sequence[Mail], contact_types: ContactTypes) -> Admission:
        """Return which mails the operator does not admit."""
        built = self._built(spec)
        try:
            left = refused(mails, contact_types, built.directory)
        except DirectoryFailed as error:
            return Admission(undecided=str(error))
        except Exception as error:  # noqa: BLE001  a directory that answers with nonsense is one that can't answer
            return Admission(undecided=where(error))
        return Admission(refused=frozenset(left), broken=built.broken)

    def match(self, spec: OperatorSpec, by: str, mails: Sequence[Mail], *, explain: bool = False) -> MatcherResult:
        """Return what one of the operator's matchers says of admitted mails."""
        built = self._built(spec)
        if by in built.unbuilt:
            return MatcherResult(faults=tuple((mail.id, FilingFault(by, built.unbuilt[by])) for mail in mails))
        return match(by, built.matchers[by], mails, built.asked, explain=explain)

    def directory(self, spec: OperatorSpec) -> Directory:
        """Return the operator's directory for a person's own questions; raises PermanentError where there is none."""
        built = self._built(spec)
        if built.directory is None:
            why = built.broken or "its file names none"
            raise PermanentError(f"operator {spec.operator.name} has no directory: {why}")
        return built.directory

    def close(self) -> None:
        """Let go of all directories."""
        for built in self._objects.values():
            if built.directory is not None:
                built.directory.close()
        self._objects.clear()

    def _built(self, spec: OperatorSpec) -> _OperatorObjects:
        name = spec.operator.name
        built = self._objects.get(name)
        if built is None or built.spec != spec:
            if built is not None and built.directory is not None:
                built.directory.close()
            built = self._objects[name] = self._build(spec)
        return built

    def _build(self, spec: OperatorSpec) -> _OperatorObjects:
        objects = _OperatorObjects(spec=spec)
        if spec.directory is not None:
            kind, options = spec.directory
            built = _built(lambda: self._registry.get(Directory, kind)(options, operator=spec.operator, place=spec.place))
            if isinstance(built, Directory):
                objects.directory = objects.asked = GuardedDirectory(built, asking=self._asking)
            else:
                objects.broken = built
        for by, fields in spec.matchers:
            matcher = _built(partial(self._matcher, by, fields, spec))
            if isinstance(matcher, Matcher):
                objects.matchers[by] = matcher
            else:
                objects.unbuilt[by] = matcher
        return objects

    def _matcher(self, by: str, fields: Matcher.Options, spec: OperatorSpec) -> Matcher:
        return self._registry.get(Matcher, by)(fields, operator=spec.operator)


class _LocalRun(MatchRun):
    """A batch that this process matches."""

    def __init__(self, matching: LocalMatching, request: MatchRequest) -> None:
        self._matching = matching
        self._request = request

    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        """See ``MatchRun``."""
        if not self._request.raw_mails:
            return MatchResult(mails=(), results=())
        request = self._request
        mails = tuple(one.seen() for one in request.raw_mails)
        found = []
        since = time.monotonic()
        for spec in request.specs:
            if time.monotonic() - since > _TICK:
                since = time.monotonic()
                keep_alive()
            admitted = frozenset(one.id for one in request.raw_mails if spec.operator.name in one.admitted)
            job = OperatorRequest(
                spec=spec,
                mails=mails,
                contact_types=request.contact_types,
                admitted=admitted,
                admit_only=request.admit_only,
                explain=request.explain,
            )
            found.append(self._matching.examine(job))
        return MatchResult(mails=mails, results=tuple(found))

    def drop(self) -> None:
        """See ``MatchRun``."""


def _built(build: Callable[[], _Built]) -> _Built | str:
    """Return what is built, or why it can't be: a plugin that can't be built costs its own links only (P4)."""
    try:
        return build()
    except GatewaydError as error:
        return error.sentences
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever its constructor raises
        return where(error)
