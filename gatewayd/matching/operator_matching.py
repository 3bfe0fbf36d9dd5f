"""Admit and match mail for one operator in this process, with its directory and matchers, each called in a guard."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.api.directory import Basis, Contents, edition
from gatewayd.api.roles import Directory, Matcher
from gatewayd.errors import PermanentError
from gatewayd.matching.guarded_calls import Admission, MatcherResult, faulty_operator_result, match, not_admitted, operator_result
from gatewayd.matching.values import DirectoryCheck
from gatewayd.registry.guarded_directory import DirectoryFailed, GuardedDirectory
from gatewayd.runtime.traces import reason, where

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gatewayd.matching.values import ContactTypes, MatchRequest, OperatorResult, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.registry.loading import Registry

__all__ = ["OperatorMatching"]

#: Seconds until a directory is looked at again.
_LOOK = 5.0


class OperatorMatching:
    """One operator's directory and matchers, built in this process. Used by one thread at a time."""

    def __init__(self, spec: OperatorSpec, registry: Registry, *, asking: Callable[[bool], None] = lambda _: None) -> None:
        """``asking`` is called with True when a directory is asked something, and with False when it has answered."""
        self.spec = spec
        self._directory: GuardedDirectory | None = None
        #: Why the directory could not be built; empty where it could.
        self._broken = ""
        self._matchers: dict[str, Matcher] = {}
        #: The matchers that could not be built, and why.
        self._unbuilt: dict[str, str] = {}
        #: Why the directory's last refresh failed; empty where it did not.
        self._stale = ""
        self._contents = Contents()
        #: When the last good load began, and when it was looked at last, on this process' clock.
        self.loaded_at: datetime | None = None
        self.looked_at = 0.0
        # A plugin that can't be built costs its own links only (P4), whatever its constructor raises.
        if spec.directory is not None:
            kind, options = spec.directory
            try:
                directory = registry.get(Directory, kind)(options, operator=spec.operator, place=spec.place)
                self._directory = GuardedDirectory(directory, asking=asking)
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self._broken = reason(error)
        for by, fields in spec.matchers:
            try:
                self._matchers[by] = registry.get(Matcher, by)(fields, operator=spec.operator)
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self._unbuilt[by] = reason(error)

    # --- the directory ------------------------------------------------------------------------------------------------

    def directory(self) -> GuardedDirectory:
        """Return the operator's directory for a person's own questions; raises PermanentError where there is none."""
        if self._directory is None:
            why = self._broken or "its file names none"
            raise PermanentError(f"operator {self.spec.operator.name} has no directory: {why}")
        return self._directory

    def refresh(self, *, accept: bool = False) -> list[str]:
        """Let the directory follow its changes, or with ``accept`` take what there is; return faults to show."""
        self._stale, self.looked_at = "", time.monotonic()
        if self._directory is None:
            return []
        began = datetime.now(UTC)
        try:
            faults = self._directory.accept() if accept else self._directory.refresh()
        except DirectoryFailed as error:
            self._stale = str(error)
            faults = [self._stale]
        try:
            self._contents = self._directory.contents()
        except DirectoryFailed as error:
            self._contents = Contents(outdated=str(error))
        if not self._stale and not self._contents.outdated:
            self.loaded_at = began
        return faults

    def check(self, *, accept: bool = False) -> DirectoryCheck:
        """Refresh the directory, and return all that is wrong with it and with the matchers."""
        faults = tuple(self.refresh(accept=accept))
        broken = {"directory": self._broken} if self._broken else {}
        failed = bool(self._broken or self._stale)
        return DirectoryCheck(
            faults=faults, failed=failed, contents=self._contents, unbuilt=tuple({**broken, **self._unbuilt}.items())
        )

    def follow(self) -> str:
        """Take up the index that another process has built for the directory; return why that failed, empty where it did not."""
        try:
            if self._directory is not None:
                self._directory.follow()
        except DirectoryFailed as error:
            return str(error)
        return ""

    def basis(self) -> Basis | None:
        """See ``Matching``. A look at the directory that is due is made here and now."""
        if self.spec.directory is None or self.spec.faulty:
            return None
        if self._directory is not None and time.monotonic() - self.looked_at > _LOOK:
            self.refresh()
        fault = self._broken or self._stale or self._contents.outdated
        return Basis(loaded_at=self.loaded_at, version=edition(self._contents.version, self.loaded_at), fault=fault)

    def changed(self, version: str) -> Collection[str] | None:
        """See ``Matching``."""
        try:
            return self._directory.changed(version) if self._directory is not None else None
        except DirectoryFailed:
            return None

    def close(self) -> None:
        """Let go of the directory."""
        if self._directory is not None:
            self._directory.close()

    # --- mail ---------------------------------------------------------------------------------------------------------

    def match_all(self, request: MatchRequest, mails: Sequence[Mail]) -> OperatorResult:
        """Return the operator's result for the parsed ``mails`` of a batch. Never raises for a directory, a matcher or a mail."""
        name, ids = self.spec.operator.name, [mail.id for mail in mails]
        if self.spec.faulty:
            return faulty_operator_result(name, ids, request.contact_types)
        basis = self.basis()
        unasked = {one.id for one in request.raw_mails if name in one.admitted}
        admission = self.admit([mail for mail in mails if mail.id not in unasked], request.contact_types)
        admitted = [mail for mail in mails if mail.id not in admission.refused]
        matchers = () if admission.undecided or request.admit_only else self.spec.matchers
        found = {by: self.match(by, admitted, explain=request.explain) for by, _ in matchers}
        return operator_result(name, ids, admission, found, basis)

    def admit(self, mails: Sequence[Mail], contact_types: ContactTypes) -> Admission:
        """Return which mails the operator does not admit."""
        try:
            refused = not_admitted(mails, contact_types, self._directory)
        except Exception as error:  # noqa: BLE001  a directory that answers with nonsense is one that can't answer
            return Admission(undecided=str(error) if isinstance(error, DirectoryFailed) else where(error))
        return Admission(refused=frozenset(refused), broken=self._broken)

    def match(self, by: str, mails: Sequence[Mail], *, explain: bool = False) -> MatcherResult:
        """Return the findings of the matcher ``by`` for admitted mails."""
        if by in self._unbuilt:
            return MatcherResult.failed(by, self._unbuilt[by], mails)
        return match(by, self._matchers[by], mails, self._directory or GuardedDirectory(None), explain=explain)
