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

#: Seconds of work without a tick, and until a directory is looked at again.
_TICK, _LOOK = 5.0, 5.0


@dataclass(slots=True)
class _OperatorObjects:
    """One operator's objects, built in this process."""

    recipe: OperatorSpec
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
        self._benches: dict[str, _OperatorObjects] = {}

    def refresh(self, recipe: OperatorSpec) -> list[str]:
        """See ``Examining``."""
        return self._refreshed(recipe, accept=False)

    def _refreshed(self, recipe: OperatorSpec, *, accept: bool) -> list[str]:
        bench = self._bench(recipe)
        bench.stale, bench.looked_at = "", time.monotonic()
        if bench.directory is None:
            return []
        began = datetime.now(UTC)
        try:
            faults = bench.directory.accept() if accept else bench.directory.refresh()
        except DirectoryFailed as error:
            bench.stale = str(error)
            faults = [bench.stale]
        try:
            bench.contents = bench.directory.contents()
        except DirectoryFailed as error:
            bench.contents = Contents(outdated=str(error))
        if not bench.stale and not bench.contents.outdated:
            bench.loaded_at = began
        return faults

    def basis(self, recipe: OperatorSpec) -> Basis | None:
        """See ``Examining``. It is looked at here and now, if that is due."""
        bench = self._bench(recipe)
        if recipe.directory is None or recipe.faulty:
            return None
        if bench.directory is not None and time.monotonic() - bench.looked_at > _LOOK:
            self.refresh(recipe)
        fault = bench.broken or bench.stale or bench.contents.outdated
        return Basis(loaded_at=bench.loaded_at, version=edition(bench.contents.version, bench.loaded_at), fault=fault)

    def changed(self, recipe: OperatorSpec, version: str) -> Collection[str] | None:
        """See ``Examining``."""
        bench = self._bench(recipe)
        try:
            return bench.directory.changed(version) if bench.directory is not None else None
        except DirectoryFailed:
            return None

    def follow(self, recipe: OperatorSpec) -> str:
        """Take up what another process has built of the operator's directory; return why that failed, empty where it did not."""
        bench = self._bench(recipe)
        if bench.directory is not None:
            try:
                bench.directory.follow()
            except DirectoryFailed as error:
                return str(error)
        return ""

    def look(self, recipe: OperatorSpec, *, accept: bool = False, patient: bool = False) -> DirectoryCheck:  # noqa: ARG002  it always is
        """See ``DirectoryAnswers``."""
        faults = tuple(self._refreshed(recipe, accept=accept))
        bench = self._bench(recipe)
        broken = {"directory": bench.broken} if bench.broken else {}
        failed = bool(bench.broken or bench.stale)
        return DirectoryCheck(
            faults=faults, failed=failed, contents=bench.contents, unbuilt=tuple({**broken, **bench.unbuilt}.items())
        )

    def ask(self, recipe: OperatorSpec, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        """See ``DirectoryAnswers``."""
        self.refresh(recipe)
        return question.put(self.directory(recipe))

    def begin(self, order: MatchRequest) -> MatchRun:
        """See ``Examining``. It is done here and now, when its result is asked for."""
        return _LocalRun(self, order)

    def examine(self, job: OperatorRequest) -> OperatorResult:
        """Return what is to be said of each mail of the job. Never raises for a directory, a matcher or a mail."""
        ids = [mail.id for mail in job.mails]
        spoilt = unmatched(job.recipe, ids, job.contact_types)
        if spoilt:
            return spoilt
        basis = self.basis(job.recipe)
        judged = [mail for mail in job.mails if mail.id not in job.admitted]
        admission = self.admit(job.recipe, judged, job.contact_types)
        mails = [mail for mail in job.mails if mail.id not in admission.refused]
        asked = () if admission.undecided or job.admit_only else job.recipe.matchers
        said = {by: self.match(job.recipe, by, mails, explain=job.explain) for by, _ in asked}
        return findings(job.recipe.operator.name, ids, admission, said, basis)

    def admit(self, recipe: OperatorSpec, mails: Sequence[Mail], contact_types: ContactTypes) -> Admission:
        """Return which mails the operator does not admit."""
        bench = self._bench(recipe)
        try:
            left = refused(mails, contact_types, bench.directory)
        except DirectoryFailed as error:
            return Admission(undecided=str(error))
        except Exception as error:  # noqa: BLE001  a directory that answers with nonsense is one that can't answer
            return Admission(undecided=where(error))
        return Admission(refused=frozenset(left), broken=bench.broken)

    def match(self, recipe: OperatorSpec, by: str, mails: Sequence[Mail], *, explain: bool = False) -> MatcherResult:
        """Return what one of the operator's matchers says of admitted mails."""
        bench = self._bench(recipe)
        if by in bench.unbuilt:
            return MatcherResult(faults=tuple((mail.id, FilingFault(by, bench.unbuilt[by])) for mail in mails))
        return match(by, bench.matchers[by], mails, bench.asked, explain=explain)

    def directory(self, recipe: OperatorSpec) -> Directory:
        """Return the operator's directory for a person's own questions; raises PermanentError where there is none."""
        bench = self._bench(recipe)
        if bench.directory is None:
            why = bench.broken or "its file names none"
            raise PermanentError(f"operator {recipe.operator.name} has no directory: {why}")
        return bench.directory

    def close(self) -> None:
        """Let go of all directories."""
        for bench in self._benches.values():
            if bench.directory is not None:
                bench.directory.close()
        self._benches.clear()

    def _bench(self, recipe: OperatorSpec) -> _OperatorObjects:
        name = recipe.operator.name
        bench = self._benches.get(name)
        if bench is None or bench.recipe != recipe:
            if bench is not None and bench.directory is not None:
                bench.directory.close()
            bench = self._benches[name] = self._build(recipe)
        return bench

    def _build(self, recipe: OperatorSpec) -> _OperatorObjects:
        bench = _OperatorObjects(recipe=recipe)
        if recipe.directory is not None:
            kind, options = recipe.directory
            built = _built(lambda: self._registry.get(Directory, kind)(options, operator=recipe.operator, place=recipe.place))
            if isinstance(built, Directory):
                bench.directory = bench.asked = GuardedDirectory(built, asking=self._asking)
            else:
                bench.broken = built
        for by, fields in recipe.matchers:
            matcher = _built(partial(self._matcher, by, fields, recipe))
            if isinstance(matcher, Matcher):
                bench.matchers[by] = matcher
            else:
                bench.unbuilt[by] = matcher
        return bench

    def _matcher(self, by: str, fields: Matcher.Options, recipe: OperatorSpec) -> Matcher:
        return self._registry.get(Matcher, by)(fields, operator=recipe.operator)


class _LocalRun(MatchRun):
    """An order that this process sees to."""

    def __init__(self, examiner: LocalMatching, order: MatchRequest) -> None:
        self._examiner = examiner
        self._order = order

    def result(self, tick: Callable[[], None]) -> MatchResult:
        """See ``MatchRun``."""
        if not self._order.letters:
            return MatchResult(mails=(), findings=())
        order = self._order
        mails = tuple(one.seen() for one in order.letters)
        found = []
        since = time.monotonic()
        for recipe in order.recipes:
            if time.monotonic() - since > _TICK:
                since = time.monotonic()
                tick()
            admitted = frozenset(one.id for one in order.letters if recipe.operator.name in one.admitted)
            job = OperatorRequest(
                recipe=recipe,
                mails=mails,
                contact_types=order.contact_types,
                admitted=admitted,
                admit_only=order.admit_only,
                explain=order.explain,
            )
            found.append(self._examiner.examine(job))
        return MatchResult(mails=mails, findings=tuple(found))

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
