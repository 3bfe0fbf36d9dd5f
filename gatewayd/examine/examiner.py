"""Examine one batch for one operator: admit, then match. Reads the directory and writes nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatewayd.custody import FilingFault
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.examine.matching import Admission, Said, findings, match, refused, unmatched
from gatewayd.examine.values import Examination, Examined, Examining, Findings, Job
from gatewayd.guard import DirectoryFailed, GuardedDirectory
from gatewayd.mail import parse
from gatewayd.roles import Directory, Matcher
from gatewayd.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.examine.values import ContactTypes, Order, Recipe
    from gatewayd.mail import Mail
    from gatewayd.plugins import Registry

__all__ = ["Examiner"]

_Built = TypeVar("_Built")

#: Seconds of work without a tick.
_TICK = 5.0


@dataclass(slots=True)
class _Bench:
    """One operator's objects, built in this process."""

    recipe: Recipe
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


class Examiner(Examining):
    """Builds each operator's directory and matchers once and examines with them. Used by one thread at a time."""

    def __init__(self, registry: Registry, *, asking: Callable[[bool], None] = lambda _: None) -> None:
        """``asking`` is told when a directory is asked something, and when it has answered."""
        self._registry = registry
        self._asking = asking
        self._benches: dict[str, _Bench] = {}

    def refresh(self, recipe: Recipe) -> list[str]:
        """See ``Examining``."""
        bench = self._bench(recipe)
        bench.stale = ""
        if bench.directory is None:
            return []
        try:
            return bench.directory.refresh()
        except DirectoryFailed as error:
            bench.stale = str(error)
            return [bench.stale]

    def follow(self, recipe: Recipe) -> None:
        """Take up what another process has built of the operator's directory; whatever fails shows when it is asked."""
        bench = self._bench(recipe)
        if bench.directory is not None:
            with suppress(DirectoryFailed):
                bench.directory.follow()

    def unusable(self, recipe: Recipe) -> list[tuple[str, str]]:
        """Return what could not be built, or be refreshed the last time, as (``directory`` or matcher, why)."""
        bench = self._bench(recipe)
        broken = [("directory", bench.broken)] if bench.broken else []
        broken += list(bench.unbuilt.items())
        return [*broken, ("directory", bench.stale)] if bench.stale else broken

    def begin(self, order: Order) -> Examination:
        """See ``Examining``. It is done here and now, when its result is asked for."""
        return _Here(self, order)

    def examine(self, job: Job) -> Findings:
        """Return what is to be said of each mail of the job. Never raises for a directory, a matcher or a mail."""
        spoilt = unmatched(job.recipe, [mail.id for mail in job.mails], job.contact_types)
        if spoilt:
            return spoilt
        admission = self.admit(job.recipe, job.mails, job.contact_types)
        mails = [mail for mail in job.mails if mail.id not in admission.refused]
        said = {} if admission.undecided else {by: self.match(job.recipe, by, mails) for by, _ in job.recipe.matchers}
        return findings(job.recipe.operator.name, [mail.id for mail in mails], admission, said)

    def admit(self, recipe: Recipe, mails: Sequence[Mail], contact_types: ContactTypes) -> Admission:
        """Return which mails the operator does not admit."""
        bench = self._bench(recipe)
        try:
            left = refused(mails, contact_types, bench.directory)
        except DirectoryFailed as error:
            return Admission(undecided=str(error))
        except Exception as error:  # noqa: BLE001  a directory that answers with nonsense is one that can't answer
            return Admission(undecided=where(error))
        return Admission(refused=frozenset(left), broken=bench.broken)

    def match(self, recipe: Recipe, by: str, mails: Sequence[Mail]) -> Said:
        """Return what one of the operator's matchers says of admitted mails."""
        bench = self._bench(recipe)
        if by in bench.unbuilt:
            return Said(faults=tuple((mail.id, FilingFault(by, bench.unbuilt[by])) for mail in mails))
        return match(by, bench.matchers[by], mails, bench.asked)

    def directory(self, recipe: Recipe) -> Directory:
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

    def _matcher(self, by: str, fields: Matcher.Options, recipe: Recipe) -> Matcher:
        return self._registry.get(Matcher, by)(fields, operator=recipe.operator)


class _Here(Examination):
    """An order that this process sees to."""

    def __init__(self, examiner: Examiner, order: Order) -> None:
        self._examiner = examiner
        self._order = order

    def result(self, tick: Callable[[], None]) -> Examined:
        """See ``Examination``."""
        if not self._order.letters:
            return Examined(mails=(), findings=())
        mails = tuple(parse(one.source, mail_id=one.id, received_at=one.received_at) for one in self._order.letters)
        types = self._order.contact_types
        found = []
        since = time.monotonic()
        for recipe in self._order.recipes:
            if time.monotonic() - since > _TICK:
                since = time.monotonic()
                tick()
            found.append(self._examiner.examine(Job(recipe=recipe, mails=mails, contact_types=types)))
        return Examined(mails=mails, findings=tuple(found))

    def drop(self) -> None:
        """See ``Examination``."""


def _built(build: Callable[[], _Built]) -> _Built | str:
    """Return what is built, or why it can't be: a plugin that can't be built costs its own links only (P4)."""
    try:
        return build()
    except GatewaydError as error:
        return error.message
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever its constructor raises
        return where(error)
