"""Decide which mails an operator admits, by the contact types of the senders' addresses, and call its matchers, each in a guard
(promise P4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.api.ledger import FilingFault
from gatewayd.api.values import Follows, Link, Miss, Rivals
from gatewayd.matching.values import OperatorResult
from gatewayd.registry import checks
from gatewayd.registry.checks import Wrong
from gatewayd.registry.guarded_directory import DirectoryFailed
from gatewayd.runtime.traces import suspended, trace, where

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd.api.directory import Basis
    from gatewayd.api.roles import Directory, Matcher
    from gatewayd.api.values import Finding, Record
    from gatewayd.matching.values import ContactTypes, RawMail
    from gatewayd.message.mail import Mail
    from gatewayd.registry.guarded_directory import GuardedDirectory

__all__ = ["Admission", "MatcherResult", "faulty_operator_result", "match", "not_admitted", "operator_result"]

#: More findings for one mail than this are a matcher's fault.
_MAX_FINDINGS = 1000

_FINDINGS: tuple[type[Finding], ...] = (Link, Rivals, Miss, Follows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which mails an operator admits."""

    refused: frozenset[int] = frozenset()
    #: Why it could not be decided; empty where it could.
    undecided: str = ""
    #: Why the operator's directory could not be built; empty where it could.
    broken: str = ""
    #: Why it could not take up what another process has built; empty where it could.
    outdated: str = ""

    @classmethod
    def failed(cls, error: str, contact_types: ContactTypes) -> Admission:
        """Return the admission by a directory that can't be asked: undecided, unless all mail is admitted anyway."""
        return cls(undecided=error) if contact_types else cls(broken=error)


class MatcherResult(NamedTuple):
    """The findings of one matcher for one batch, and what went wrong with it, by mail."""

    found: tuple[Finding, ...] = ()
    faults: tuple[tuple[int, FilingFault], ...] = ()
    #: Tracebacks of faults as (mail id, matcher or ``directory``, text), where a person wants to know why.
    traces: tuple[tuple[int, str, str], ...] = ()

    @classmethod
    def failed(cls, by: str, error: str, mails: Iterable[Mail | RawMail]) -> MatcherResult:
        """Return the result of a matcher that can't be called: the same fault for each mail."""
        return cls(faults=tuple((mail.id, FilingFault(by, error)) for mail in mails))


def not_admitted(mails: Sequence[Mail], contact_types: ContactTypes, directory: Directory | None) -> set[int]:
    """Return the ids of mails whose senders have no contact of the types that the account imports.

    Raises DirectoryFailed where the directory can't be asked.
    """
    if not (contact_types and mails):
        return set()
    if directory is None:
        raise DirectoryFailed("there is no directory to look contact types up in")
    wanted = {(kind, word.casefold()) for kind, words in contact_types for word in words}
    senders = {mail.id: {address.key for address in mail.from_} for mail in mails}
    contacts = directory.contacts(set().union(*senders.values()))
    admitted = {
        email for email, known in contacts.items() if any((one.record.kind, one.contact_type.casefold()) in wanted for one in known)
    }
    return {mail_id for mail_id, emails in senders.items() if not emails & admitted}


def match(
    kind: str, matcher: Matcher, mails: Sequence[Mail], directory: GuardedDirectory, *, explain: bool = False
) -> MatcherResult:
    """Call a matcher on the batch; where it raises, on halves, until the guilty mails are found."""
    findings: list[Finding] = []
    faults: list[tuple[int, FilingFault]] = []
    traces: list[tuple[int, str, str]] = []
    parts = [mails] if mails else []
    while parts:
        part = parts.pop()
        try:
            findings += _findings(matcher, part, directory)
        except DirectoryFailed as error:
            faults += [(mail.id, FilingFault("directory", str(error))) for mail in part]
            traces += [(mail.id, "directory", trace(error.__cause__ or error)) for mail in part if explain]
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a matcher raises costs its own links only (P4)
            if len(part) > 1:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                continue
            why = str(error) if isinstance(error, Wrong) else where(error)
            faults.append((part[0].id, FilingFault(kind, why)))
            traces += [(part[0].id, kind, trace(error))] if explain else []
    return MatcherResult(tuple(findings), tuple(faults), tuple(traces))


def _findings(matcher: Matcher, mails: Sequence[Mail], directory: GuardedDirectory) -> list[Finding]:
    """Return a matcher's findings, checked; raises Wrong, and whatever the matcher raises."""
    directory.forget()
    found: object = matcher.match(mails, directory)
    if not isinstance(found, Iterable):
        raise Wrong(found, "an iterable of findings", "what `match` returned")
    ids = {mail.id for mail in mails}
    findings: list[Finding] = []
    for value in found:
        try:
            findings.append(_checked(value, ids, directory.given, number=len(findings) + 1))
        except Wrong as wrong:
            raise wrong.at(suspended(found)) from None
    return findings


def _checked(value: object, ids: Collection[int], given: Collection[Record], *, number: int) -> Finding:
    """Return the finding of this number of a matcher that was given these mails and records; raises Wrong."""
    if number > _MAX_FINDINGS * len(ids):
        raise Wrong(number, f"at most {_MAX_FINDINGS} for each mail", "the number of findings")
    finding = checks.value(value, *_FINDINGS)
    name = type(finding).__name__
    if finding.mail_id not in ids:
        raise Wrong(finding.mail_id, "the id of a mail of the batch", f"{name}.mail_id")
    records = (finding.record,) if isinstance(finding, Link) else finding.records if isinstance(finding, Rivals) else ()
    for record in records:
        if record not in given:
            raise Wrong(record, "one that the directory gave in this call, as it gave it", f"a record of {name}")
    return finding


def faulty_operator_result(operator: str, mail_ids: Sequence[int], contact_types: ContactTypes) -> OperatorResult:
    """Return the result for an operator whose file is faulty: nothing is matched, and admission is undecided."""
    if contact_types:
        why = f"operators/{operator}.yaml is faulty; see `gatewayd check`"
        return OperatorResult(operator=operator, undecided=why, pending=frozenset(mail_ids))
    fault = FilingFault("config", f"operators/{operator}.yaml is faulty, so nothing was matched; see `gatewayd check`")
    return OperatorResult(operator=operator, faults=tuple((mail_id, fault) for mail_id in mail_ids))


def operator_result(
    operator: str, mail_ids: Sequence[int], admission: Admission, results: Mapping[str, MatcherResult], basis: Basis | None
) -> OperatorResult:
    """Combine the results of an operator's matchers, which are in the operator's order.

    Where two matchers link the same record, the link is the first one's. What a directory at fault does not know may be known to it
    tomorrow: whether that is admitted can't be decided.
    """
    fault = admission.outdated or admission.broken or (basis.fault if basis else "")
    basis = replace(basis, fault=fault) if basis else None
    if admission.undecided:
        return OperatorResult(operator=operator, undecided=admission.undecided, pending=frozenset(mail_ids), basis=basis)
    links: dict[tuple[int, str, str], tuple[str, Link]] = {}
    found = [(by, finding) for by, result in results.items() for finding in result.found]
    for by, finding in found:
        if isinstance(finding, Link):
            links.setdefault((finding.mail_id, finding.record.kind, finding.record.id), (by, finding))
    broken = FilingFault("directory", admission.broken)
    faults = [(mail_id, broken) for mail_id in mail_ids if admission.broken and mail_id not in admission.refused]
    return OperatorResult(
        operator=operator,
        links=tuple(links.values()),
        rivals=tuple((by, finding) for by, finding in found if isinstance(finding, Rivals)),
        misses=tuple((by, finding) for by, finding in found if isinstance(finding, Miss)),
        follows=tuple((by, finding) for by, finding in found if isinstance(finding, Follows)),
        faults=tuple(dict.fromkeys([*faults, *(fault for result in results.values() for fault in result.faults)])),
        unanswered=tuple(by for by, result in results.items() if any(fault.by == "directory" for _, fault in result.faults)),
        traces=tuple(dict.fromkeys(text for result in results.values() for text in result.traces)),
        refused=frozenset() if fault else admission.refused,
        pending=admission.refused if fault else frozenset(),
        undecided=fault if admission.refused else "",
        basis=basis,
    )
