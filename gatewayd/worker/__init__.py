"""A worker process: parses, admits and matches for its parent, and can be killed at any time without loss.

It is a program of its own, ``python -m gatewayd.worker FD MEMORY`` (bytes beyond what it has at its start), and speaks with
its parent over the socket ``FD``: each message is one pickled value. It imports no plugin but those that its labour names.
What it is about to call is said before it is called, so that the parent knows whom to blame for a death, or for a call that
does not end.
"""

from __future__ import annotations

import gc
import pickle
import resource
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gatewayd import discovery
from gatewayd.custody import FilingFault
from gatewayd.examine import Examiner, Letter, Recipe
from gatewayd.examine.matching import Admission, Said
from gatewayd.mail import parse
from gatewayd.plugins import where
from gatewayd.roles import Directory, Matcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.examine import ContactTypes
    from gatewayd.mail import Mail
    from gatewayd.plugins import Registry

__all__ = ["Call", "Ended", "Labour", "Next", "Sealed", "main", "seal"]

#: A recipe with the code that it names, pickled once: a worker that knows it already need not read it again.
Sealed: TypeAlias = bytes

#: CPU seconds that one labour may use: a worker in an endless loop ends, also when its parent is gone.
_CPU_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Call:
    """One call: ``by`` is a matcher's kind, or empty for admission."""

    #: Index into ``Labour.recipes``.
    recipe: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labour:
    """What a worker is to do with one batch."""

    letters: tuple[Letter, ...] = ()
    recipes: tuple[Sealed, ...]
    contact_types: ContactTypes = ()
    calls: tuple[Call, ...] = ()
    #: Ids of mails that a recipe's operator does not admit, as far as that is known.
    refused: Mapping[int, frozenset[int]]
    #: Whether the views are wanted.
    views: bool = True
    #: Only let the first recipe's directory follow its changes.
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class Next:
    """The parser, or the call before, has come to its end; ``call`` is the index of the one that begins now, if any."""

    call: int | None
    result: Admission | Said | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The labour is done. ``faults`` are those of a refresh."""

    mails: tuple[Mail, ...] = ()
    faults: tuple[str, ...] = ()
    #: The directory could not be refreshed.
    failed: bool = False


def seal(recipe: Recipe, registry: Registry) -> Sealed:
    """Return a recipe as workers take it: the single files that it may need, then what is unpickled with their help."""
    wanted: list[tuple[type[Directory | Matcher], str]] = [(Matcher, by) for by, _ in recipe.matchers]
    if recipe.directory:
        wanted.append((Directory, recipe.directory[0]))
    return pickle.dumps((recipe.operator.name, registry.files, pickle.dumps((recipe, registry.part(wanted)), 5)), 5)


class _Operator:
    """One operator's recipe, in this process."""

    def __init__(self, sealed: Sealed) -> None:
        self.sealed = sealed
        #: Why the recipe can't be had; empty where it can.
        self.error = ""
        _, files, inner = pickle.loads(sealed)  # noqa: S301  our parent's own bytes
        try:
            for file in files:
                discovery.single(file).load()
            self.recipe, registry = pickle.loads(inner)  # noqa: S301  the same
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin's code costs its own links only (P4)
            self.error = where(error)
        else:
            self.examiner = Examiner(registry)

    def close(self) -> None:
        if not self.error:
            self.examiner.close()

    def refresh(self) -> Ended:
        if self.error:
            return Ended(faults=(self.error,), failed=True)
        faults = self.examiner.refresh(self.recipe)
        return Ended(faults=tuple(faults), failed=any(by == "directory" for by, _ in self.examiner.unusable(self.recipe)))

    def follow(self) -> None:
        if not self.error:
            self.examiner.follow(self.recipe)

    def admit(self, mails: Sequence[Mail], contact_types: ContactTypes) -> Admission:
        if self.error:
            return Admission(undecided=self.error) if contact_types else Admission(broken=self.error)
        return self.examiner.admit(self.recipe, mails, contact_types)

    def match(self, by: str, mails: Sequence[Mail]) -> Said:
        if self.error:
            return Said(faults=tuple((mail.id, FilingFault(by, self.error)) for mail in mails))
        return self.examiner.match(self.recipe, by, mails)


class _Worker:
    def __init__(self) -> None:
        self._operators: dict[str, _Operator] = {}

    def _open(self, sealed: Sealed) -> _Operator:
        name = pickle.loads(sealed)[0]  # noqa: S301  our parent's own bytes
        known = self._operators.get(name)
        if known is None or known.sealed != sealed:
            if known is not None:
                known.close()
            known = self._operators[name] = _Operator(sealed)
        return known

    def replies(self, labour: Labour) -> Iterator[Next | Ended]:
        if labour.refresh:
            yield self._open(labour.recipes[0]).refresh()
            return
        mails = tuple([parse(one.source, mail_id=one.id, received_at=one.received_at) for one in labour.letters])
        operators = [self._open(sealed) for sealed in labour.recipes]
        refused = dict(labour.refused)
        for index in {call.recipe for call in labour.calls}:
            operators[index].follow()
        result: Admission | Said | None = None
        undecided: set[int] = set()
        for number, call in enumerate(labour.calls):
            if call.recipe in undecided:
                continue
            yield Next(number, result)
            if call.by:
                left = refused.get(call.recipe, frozenset())
                result = operators[call.recipe].match(call.by, [mail for mail in mails if mail.id not in left])
            else:
                result = operators[call.recipe].admit(mails, labour.contact_types)
                refused[call.recipe] = result.refused
                undecided |= {call.recipe} if result.undecided else set()
        yield Next(None, result)
        yield Ended(mails=mails if labour.views else ())


def _data() -> int:
    """Return how many bytes of data this process has now (proc(5), statm: data and stack, in pages)."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def _allow_cpu(seconds: int) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds, hard))


def main(arguments: Sequence[str]) -> None:
    """Work until the parent closes the connection."""
    memory = _data() + int(arguments[1])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a batch makes is gone with the batch, without cycles.
    gc.set_threshold(20_000, 20, 20)
    worker = _Worker()
    with Connection(int(arguments[0])) as parent:
        while True:
            try:
                labour: Labour = pickle.loads(parent.recv_bytes())  # noqa: S301  our parent's own bytes
            except EOFError:
                return
            if not labour.refresh:
                _allow_cpu(_CPU_SECONDS)
            for reply in worker.replies(labour):
                parent.send_bytes(pickle.dumps(reply, 5))
