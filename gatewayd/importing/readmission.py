"""Judge again mail that was not admitted, when records or settings changed or a person asks; only admitted mail is fetched.

Senders are judged, not mail: their addresses are kept beside the ledger, or are read from the headers once. Mail that one
operator of the account refused and another did not is stored already, and is not fetched again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.api.verdicts import Judged
from gatewayd.config import digest
from gatewayd.importing.outcomes import contact_types
from gatewayd.matching import MatchRequest, RawMail, senders
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.values import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gatewayd.api.directory import Basis
    from gatewayd.api.ledger import Waiting
    from gatewayd.api.session import Session
    from gatewayd.api.verdicts import Refused
    from gatewayd.importing.context import VisitContext
    from gatewayd.matching import OperatorSpec
    from gatewayd.message.mail import Mail

__all__ = ["PAGE", "Readmission", "Rejudged", "sent_by"]

#: How many senders are judged at once.
PAGE = 1000
#: For how many keys headers are asked at once.
_HEADERS = 100


@dataclass(frozen=True, slots=True)
class Rejudged:
    """The part of the mail that is not admitted that is judged again."""

    #: All of it.
    every: bool = False
    #: The mail of these senders.
    senders: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.every or bool(self.senders)

    def __contains__(self, one: Refused) -> bool:
        changed = one.senders is None or not self.senders.isdisjoint(one.senders)
        return self.every or one.since is not None or (bool(self.senders) and changed)


class Readmission:
    """Judges again, in one visit, mail of an account that is not admitted."""

    def __init__(self, context: VisitContext) -> None:
        self._context = context
        self._store = context.store
        self._lease = context.lease
        self._imports = context.imports
        self._specs = context.specs
        self._matching = context.tools.matching
        self._bases: dict[str, Basis | None] = {}
        self._now: dict[str, Judged] = {}
        self._before: Mapping[str, Judged] = {}
        #: Operators that could not decide about somebody.
        self._open: set[str] = set()
        #: The mail to judge again; None if there is none that is not admitted. And the same for each operator.
        self._wanted: Rejudged | None = None
        self._wants: Mapping[str, Rejudged] = {}
        self._began = False
        #: Waiting entries of the folder at work that were not admitted before, see ``Store.readmitted``.
        self._again: Mapping[int, Sequence[str]] = {}

    def begin(self) -> None:
        """Take in by which records and settings mail is judged from now on, also where nothing was judged before."""
        if self._begun() is None and self._imports.contact_types:
            self._begin()
            self._wants, self._wanted = {}, Rejudged()

    def judge(self, folder: str) -> None:
        """Judge again mail of a folder, the task's keys in any case, so that it waits if it is admitted now."""
        account, keys = self._lease.account, self._context.task.keys
        wanted = self._begun()
        if wanted is not None:
            if keys:
                self._judge(folder, self._store.refusals(account, folder, after=0, limit=len(keys), keys=keys))
            after, provisional = 0, not wanted
            while page := self._store.refusals(account, folder, after=after, limit=PAGE, provisional=provisional):
                after = page[-1].entry_id
                self._judge(folder, [one for one in page if one in wanted])
                self._context.sessions.keep_alive()
        self._again = self._store.readmitted(account, folder)

    def marked(self, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
        """Return what waits in the folder that was judged last; mail that was not admitted before is marked as readmitted."""
        if not self._again:
            return waiting
        return [
            replace(one, readmitted=tuple(again)) if (again := self._again.get(one.entry_id)) is not None else one
            for one in waiting
        ]

    def wants(self) -> Iterator[tuple[OperatorSpec, Rejudged]]:
        """Yield each operator whose directory is sound, with the mail that it may judge differently now."""
        if self._begun() is None:
            return
        for spec in self._specs:
            wanted = self._wants.get(spec.operator.name, Rejudged())
            if wanted and self._sound(spec.operator.name):
                yield spec, wanted

    def is_sound(self, operator: str) -> bool:
        """Whether the operator's directory can be asked."""
        return self._begun() is not None and self._sound(operator)

    def is_new(self, operator: str) -> bool:
        """Whether nothing of the account was ever judged for the operator, or not since it was added."""
        return operator not in self._before

    def leave_open(self, operator: str) -> None:
        """Have the operator asked about the same senders again at the next visit."""
        self._open.add(operator)

    def finish(self) -> None:
        """Store which settings and records all mail was judged by, once every folder was."""
        # Once a faulty file is mended, its operator's settings are others, and all is judged again.
        faulty = {one.operator.name for one in self._specs if one.faulty}
        left = self._open - faulty
        judged = {name: one for name, one in self._now.items() if self._sound(name) and name not in left}
        if not all(map(self._sound, self._now)):
            # Mail that waited for a file that is mended now is due at once when all directories are sound: remember it till then.
            judged = {name: one for name, one in judged.items() if name in faulty or not self._is_other(name)}
        kept = {name: one for name, one in self._before.items() if name in self._now} | judged
        if self._wanted is not None and kept != self._before:
            self._store.remember_judged(self._lease, kept)

    # --- who is judged ------------------------------------------------------------------------------------------------

    def _begun(self) -> Rejudged | None:
        """Return the mail to judge again. This is decided before new mail is judged, so that new mail does not count as judged."""
        if not self._began:
            self._began = True
            of = [self._lease.account]
            self._wanted = self._begin() if self._store.with_refused(of) or self._store.with_offers(of) else None
        return self._wanted

    def _begin(self) -> Rejudged:
        self._before = self._store.judged(self._lease.account)
        types = sorted((kind, sorted(word.casefold() for word in words)) for kind, words in contact_types(self._imports))
        for spec in self._specs:
            name = spec.operator.name
            # A look that is due may be waited for.
            self._context.sessions.keep_alive()
            basis = self._bases[name] = self._matching.basis(spec) if types else None
            settings = digest(types, spec.directory, spec.faulty)
            self._now[name] = Judged(settings=settings, version=basis.version if basis else "")
        loads = [basis.loaded_at for basis in self._bases.values() if basis and basis.loaded_at]
        if all(map(self._sound, self._now)):
            # What waited for a directory, or for an operator's file that was mended since, is due now.
            if any(map(self._is_other, self._now)) and not any(one.faulty for one in self._specs):
                self._store.hasten(self._lease, before=None)
            elif loads:
                self._store.hasten(self._lease, before=min(loads))
        self._wants = {spec.operator.name: self._changed(spec) for spec in self._specs}
        every = (
            self._context.task.from_beginning or not self._imports.contact_types or any(one.every for one in self._wants.values())
        )
        return Rejudged(every=every, senders=frozenset().union(*(one.senders for one in self._wants.values())))

    def _is_other(self, name: str) -> bool:
        """Whether an operator's settings changed since all mail was judged last."""
        return name in self._before and self._before[name].settings != self._now[name].settings

    def _changed(self, spec: OperatorSpec) -> Rejudged:
        """Return the mail that an operator may judge differently now."""
        name = spec.operator.name
        now, before = self._now[name], self._before.get(name)
        if self._context.task.from_beginning or not self._imports.contact_types:
            return Rejudged(every=True)
        if now == before or not self._sound(name):
            return Rejudged()
        known = before is not None and before.settings == now.settings
        changed = self._matching.changed(spec, before.version) if before and known else None
        return Rejudged(every=True) if changed is None else Rejudged(senders=frozenset(changed))

    def _sound(self, operator: str) -> bool:
        basis = self._bases.get(operator)
        return basis is None or not basis.fault

    # --- what is said of them -----------------------------------------------------------------------------------------

    def _judge(self, folder: str, several: Sequence[Refused]) -> None:
        """Judge these by their senders: those that an operator admits now wait; a refusal by newer records than before is final."""
        if not several:
            return
        if not self._imports.contact_types:
            self._store.rejudge(self._lease, admitted=[one.entry_id for one in several], refused=[])
            return
        # Where the senders were not kept, the headers have them. Mail that is gone has none.
        found: dict[int, Sequence[str]] = {one.entry_id: () for one in several if one.senders is None}
        unknown = {one.key: one.entry_id for one in several if one.senders is None}
        named = self._context.sessions.ask(_senders_of, folder, list(unknown), at_once=_HEADERS)
        found |= {unknown[key]: names for key, names in named}
        if found:
            self._store.name_senders(self._lease, found)
        names = {one.entry_id: found.get(one.entry_id, one.senders or ()) for one in several}
        raw_mails = tuple(RawMail(entry_id, BytesSource(b""), view=sent_by(entry_id, each)) for entry_id, each in names.items())
        types = contact_types(self._imports)
        request = MatchRequest(raw_mails=raw_mails, specs=tuple(self._specs), contact_types=types, admit_only=True)
        results = self._matching.begin(request).result(self._context.sessions.keep_alive).results
        admitted = {one for each in results for one in names.keys() - each.refused - each.pending}
        self._open |= {each.operator for each in results if each.pending - admitted}
        undecided = {one for each in results for one in each.pending}
        final = [one.entry_id for one in several if one.entry_id not in undecided | admitted and self._is_final(one)]
        if admitted or final:
            self._store.rejudge(self._lease, admitted=sorted(admitted), refused=final)

    def _is_final(self, one: Refused) -> bool:
        """Whether a provisional verdict was given again by newer records."""
        bases = [basis for basis in self._bases.values() if basis]
        return one.since is not None and all(basis.loaded_at and basis.loaded_at > one.since and not basis.fault for basis in bases)


def _senders_of(session: Session, folder: str, keys: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    """Return the senders of these keys, from their headers. Runs in the session's thread. Messages that are gone are left out."""
    return [(key, senders(parse(BytesSource(block)))) for key, block in session.headers(folder, keys)]


def sent_by(number: int, senders: Iterable[str]) -> Mail:
    """Return the view of a mail of which only the senders are known."""
    empty = parse(BytesSource(b""), mail_id=number)
    return replace(empty, from_=tuple(Address(name="", email=email) for email in senders))
