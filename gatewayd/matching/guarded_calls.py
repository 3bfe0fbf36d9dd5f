"""Decides which mails an operator admits, by sender and contact type, and calls its matchers, each in a guard (promise P4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

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
    from gatewayd.matching.values import ContactTypes, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.registry.guarded_directory import GuardedDirectory

__all__ = ["Admission", "MatcherResult", "findings", "match", "refused", "unmatched"]

#: More findings for one mail than this are a matcher's fault.
_MAX_FINDINGS = 1000

_FINDINGS: tuple[type[Finding], ...] = (Link, Rivals, Miss, Follows)

_Faults: TypeAlias = "list[tuple[int, FilingFault]]"


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


class MatcherResult(NamedTuple):
    """What one matcher said of one batch, and what went wrong with it, by mail."""

    found: tuple[Finding, ...] = ()
    faults: tuple[tuple[int, FilingFault], ...] = ()
    #: Tracebacks of faults as (mail id, matcher or ``directory``, text), where a person wants to know why.
    traces: tuple[tuple[int, str, str], ...] = ()


def refused(mails: Sequence[Mail], contact_types: ContactTypes, directory: Directory | None) -> set[int]:
    """Return the ids of mails from nobody of the contact types that the account imports."""
    if not (contact_types and mails):
        return set()
    if directory is None:
        raise DirectoryFailed("there is no directory to look contact types up in")
    wanted = {(kind, word.casefold()) for kind, words in contact_types for word in words}
    senders = {mail.id: {address.key for address in mail.from_} for mail in mails}
    contacts = directory.contacts(set().union(*senders.values()))
    admitted = {
        email for email, known in contacts.items() if any((one.owner.kind, one.contact_type.casefold()) in wanted for one in known)
    }
    return {mail_id for mail_id, emails in senders.items() if not emails & admitted}


def match(
    kind: str, matcher: Matcher, mails: Sequence[Mail], directory: GuardedDirectory, *, explain: bool = False
) -> MatcherResult:
    """Call a matcher on the batch; where it raises, on halves, until the guilty mails are found."""
    said: list[Finding] = []
    faults: _Faults = []
    traces: list[tuple[int, str, str]] = []
    parts = [mails] if mails else []
    while parts:
        part = parts.pop()
        try:
            said += _called(matcher, part, directory)
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
    return MatcherResult(tuple(said), tuple(faults), tuple(traces))


def _called(matcher: Matcher, mails: Sequence[Mail], directory: GuardedDirectory) -> list[Finding]:
    """Return what a matcher says, checked; raises Wrong."""
    directory.forget()
    found: object = matcher.match(mails, directory)
    if not isinstance(found, Iterable):
        raise Wrong(found, "an iterable of findings", "what `match` returned")
    ids = {mail.id for mail in mails}
    said: list[Finding] = []
    for one in found:
        try:
            said.append(_checked(one, ids, directory.given, before=len(said)))
        except Wrong as wrong:
            raise wrong.at(suspended(found)) from None
    return said


def _checked(one: object, ids: Collection[int], given: Collection[Record], *, before: int) -> Finding:
    if before >= _MAX_FINDINGS * len(ids):
        raise Wrong(before + 1, f"at most {_MAX_FINDINGS} for each mail", "the number of findings")
    said = checks.value(one, *_FINDINGS)
    name = type(said).__name__
    if said.mail_id not in ids:
        raise Wrong(said.mail_id, "the id of a mail of the batch", f"{name}.mail_id")
    records = (said.record,) if isinstance(said, Link) else said.records if isinstance(said, Rivals) else ()
    for record in records:
        if record not in given:
            raise Wrong(record, "one that the directory gave in this call, as it gave it", f"a record of {name}")
    return said


def unmatched(spec: OperatorSpec, mail_ids: Sequence[int], contact_types: ContactTypes) -> OperatorResult | None:
    """Return what is said of mail for an operator whose file is faulty; None where it is sound."""
    if not spec.faulty:
        return None
    name = spec.operator.name
    if contact_types:
        why = f"operators/{name}.yaml is faulty; see `gatewayd check`"
        return OperatorResult(operator=name, undecided=why, pending=frozenset(mail_ids))
    fault = FilingFault("config", f"operators/{name}.yaml is faulty, so nothing was matched; see `gatewayd check`")
    return OperatorResult(operator=name, faults=tuple((mail_id, fault) for mail_id in mail_ids))


def findings(
    operator: str, mail_ids: Sequence[int], admission: Admission, said: Mapping[str, MatcherResult], basis: Basis | None = None
) -> OperatorResult:
    """Sort what was said of mails, by matcher in the operator's order.

    Where two matchers link the same record, the first one has said it. What a directory at fault does not know may be known to it
    tomorrow: whether that is admitted can't be decided.
    """
    fault = admission.outdated or admission.broken or (basis.fault if basis else "")
    basis = replace(basis, fault=fault) if basis else None
    if admission.undecided:
        return OperatorResult(operator=operator, undecided=admission.undecided, pending=frozenset(mail_ids), basis=basis)
    links: dict[tuple[int, str, str], tuple[str, Link]] = {}
    found = [(by, finding) for by, one in said.items() for finding in one.found]
    for by, finding in found:
        if isinstance(finding, Link):
            links.setdefault((finding.mail_id, finding.record.kind, finding.record.id), (by, finding))
    broken = FilingFault("directory", admission.broken)
    admitted = [mail_id for mail_id in mail_ids if mail_id not in admission.refused]
    faults = [(mail_id, broken) for mail_id in admitted] if admission.broken else []
    return OperatorResult(
        operator=operator,
        links=tuple(links.values()),
        rivals=tuple((by, finding) for by, finding in found if isinstance(finding, Rivals)),
        misses=tuple((by, finding) for by, finding in found if isinstance(finding, Miss)),
        follows=tuple((by, finding) for by, finding in found if isinstance(finding, Follows)),
        faults=tuple(dict.fromkeys([*faults, *(fault for one in said.values() for fault in one.faults)])),
        unanswered=tuple(by for by, one in said.items() if any(fault.by == "directory" for _, fault in one.faults)),
        traces=tuple(dict.fromkeys(text for one in said.values() for text in one.traces)),
        refused=frozenset() if fault else admission.refused,
        pending=admission.refused if fault else frozenset(),
        undecided=fault if admission.refused else "",
        basis=basis,
    )
