"""Match batches in this process, one operator after the other. Reads the directories and writes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.matching.operator_matching import OperatorMatching
from gatewayd.matching.values import DirectoryAnswers, MatchResult, MatchRun

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gatewayd.api.directory import Basis
    from gatewayd.api.values import Record
    from gatewayd.matching.values import DirectoryCheck, DirectoryQuestion, MatchRequest, OperatorSpec
    from gatewayd.registry.loading import Registry

__all__ = ["LocalMatching"]

#: Seconds of work after which the caller's ``keep_alive`` is called.
_KEEP_ALIVE = 5.0


class LocalMatching(DirectoryAnswers):
    """Builds each operator's directory and matchers once and matches with them. Used by one thread at a time."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._operators: dict[str, OperatorMatching] = {}

    def operator(self, spec: OperatorSpec) -> OperatorMatching:
        """Return the operator's directory and matchers, which are built anew where its spec has changed."""
        name = spec.operator.name
        known = self._operators.get(name)
        if known is None or known.spec != spec:
            if known is not None:
                known.close()
            known = self._operators[name] = OperatorMatching(spec, self._registry)
        return known

    def refresh(self, spec: OperatorSpec) -> list[str]:
        """See ``Matching``."""
        return self.operator(spec).refresh()

    def basis(self, spec: OperatorSpec) -> Basis | None:
        """See ``Matching``."""
        return self.operator(spec).basis()

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:
        """See ``Matching``."""
        return self.operator(spec).changed(version)

    def look(self, spec: OperatorSpec, *, accept: bool = False, patient: bool = False) -> DirectoryCheck:  # noqa: ARG002  it always is
        """See ``DirectoryAnswers``."""
        return self.operator(spec).check(accept=accept)

    def ask(self, spec: OperatorSpec, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        """See ``DirectoryAnswers``."""
        operator = self.operator(spec)
        operator.refresh()
        return question.put(operator.directory())

    def begin(self, request: MatchRequest) -> MatchRun:
        """See ``Matching``. The batch is matched when its result is asked for."""
        return _LocalRun(self, request)

    def close(self) -> None:
        """Let go of all directories."""
        for operator in self._operators.values():
            operator.close()
        self._operators.clear()


class _LocalRun(MatchRun):
    """A batch that this process matches."""

    def __init__(self, matching: LocalMatching, request: MatchRequest) -> None:
        self._matching = matching
        self._request = request

    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        """See ``MatchRun``."""
        mails = tuple(one.parsed() for one in self._request.raw_mails)
        results = []
        since = time.monotonic()
        for spec in self._request.specs if mails else ():
            if time.monotonic() - since > _KEEP_ALIVE:
                since = time.monotonic()
                keep_alive()
            results.append(self._matching.operator(spec).match_all(self._request, mails))
        return MatchResult(mails=mails, results=tuple(results))

    def drop(self) -> None:
        """See ``MatchRun``."""
