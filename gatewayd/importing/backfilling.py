"""File stored mail for further operators of its account, as backlog. Nothing is fetched again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.tally import Tally
from gatewayd.errors import PermanentError, TransientError
from gatewayd.importing.late_filings import tell_added
from gatewayd.importing.outcomes import contact_types, filings
from gatewayd.importing.readmission import PAGE, sent_by
from gatewayd.importing.rematch import BATCH
from gatewayd.matching import MatchRequest, RawMail
from gatewayd.message.mail import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.api.store import Store
    from gatewayd.config import ImportConfig
    from gatewayd.importing.context import VisitContext
    from gatewayd.importing.outcomes import AccountRouting
    from gatewayd.importing.readmission import Readmission, Rejudged
    from gatewayd.matching import Matching, OperatorSpec
    from gatewayd.runtime.events import Events

__all__ = ["Backfill", "Backfiller", "file_old"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Files stored mail of one account for an operator that has no filing of it."""

    store: Store
    matching: Matching
    spec: OperatorSpec
    lease: Lease
    imports: ImportConfig
    #: The user whose account it is.
    user: str | None
    routing: AccountRouting
    events: Events
    #: Called every few seconds.
    keep_alive: Callable[[], None]

    def file(self, mail_ids: Sequence[int], *, admitted: bool = False, new: Collection[int] = ()) -> tuple[int, str]:
        """File the mails that the operator admits; return how many filings are new, and why some could not be decided.

        ``admitted``: the operator admits all of them. A mail that it gets no filing of then is another operator's or a user's, and
        no longer counts as refused. ``new``: mails for which forward rules fire.
        """
        name = self.spec.operator.name
        known = (name,) if admitted else ()
        raw_mails = tuple(RawMail(mail_id, self.store.stored_source(mail_id), admitted=known) for mail_id in mail_ids)
        request = MatchRequest(raw_mails=raw_mails, specs=(self.spec,), contact_types=contact_types(self.imports))
        matched = self.matching.begin(request).result(self.keep_alive)
        (found,) = matched.results
        back = self.routing.returned(matched.mails)
        made = filings(matched.mails, [found], user=self.user, queue=self.imports.error_queue)
        # Mail that comes back from another operator's delivery, or a user's, is not this operator's, whoever asks for it.
        mine = {mail_id: [one for one in each if one.operator == name] for mail_id, each in self.routing.owned(made, back).items()}
        wanted = [(mail, filing) for mail in matched.mails for filing in mine[mail.id]]
        others = [mail_id for mail_id in mail_ids if not mine[mail_id] and mail_id not in found.pending]
        if admitted and others:
            self.store.forget_refused(self.lease, name, others)
        added = self.store.add_filings(self.lease, self.routing.routed(wanted, new=new, back=back))
        tell_added(self.store, self.events, added, new=new)
        return len(added), found.undecided


def file_old(backfill: Backfill) -> Iterator[int]:
    """File the account's old mail for an operator that was added later; yield how many of each batch were new.

    Raises TransientError if admission can't be decided.
    """
    backfill.matching.refresh(backfill.spec)
    account, name, after = backfill.lease.account, backfill.spec.operator.name, 0
    while ids := backfill.store.unfiled(account, name, after=after, limit=BATCH):
        after = ids[-1]
        new, undecided = backfill.file(ids)
        if undecided:
            raise TransientError(f"operator {name}: {undecided}")
        yield new


class Backfiller:
    """Files stored mail of the account in one visit, and counts it in the report."""

    def __init__(self, context: VisitContext) -> None:
        self._context = context
        self._store = context.store
        self._account = context.account

    def file_old(self, operator: str) -> None:
        """File the account's old mail for an operator that was added later, on purpose."""
        spec = next((one for one in self._context.specs if one.operator.name == operator), None)
        if spec is None:
            advice = "Add it to the account's `operators` first."
            raise PermanentError(f"account {self._account.name} does not serve operator {operator!r}", advice=advice)
        for new in file_old(self._backfill(spec)):
            self._count(new)

    def file_admitted(self, readmission: Readmission) -> None:
        """File for operators the mail that they refused, others did not, and they admit now.

        Mail that can't be decided stays as it is. So does mail with a provisional verdict: ``rematch.correct`` gives that again.
        """
        for spec, wanted in readmission.wants():
            backfill = self._backfill(spec)
            for senders in self._admitted(spec, wanted, readmission):
                self._file(backfill, senders, readmission)

    def _count(self, filed: int) -> None:
        self._context.reporter.filed(Tally(filed=filed))
        self._context.go_on()

    def _backfill(self, spec: OperatorSpec) -> Backfill:
        return Backfill(
            store=self._store,
            matching=self._context.tools.matching,
            spec=spec,
            lease=self._context.lease,
            imports=self._context.imports,
            user=self._account.user,
            routing=self._context.routing,
            events=self._context.tools.events,
            keep_alive=self._context.sessions.keep_alive,
        )

    def _admitted(self, spec: OperatorSpec, wanted: Rejudged, readmission: Readmission) -> Iterator[Sequence[str] | None]:
        """Yield the senders whom the operator admits now, page by page; None is any sender."""
        if not self._context.imports.contact_types:
            yield None
            return
        types = contact_types(self._context.imports)
        for page in self._senders(spec.operator.name, wanted):
            raw_mails = tuple(RawMail(number, BytesSource(b""), view=sent_by(number, [one])) for number, one in enumerate(page))
            request = MatchRequest(raw_mails=raw_mails, specs=(spec,), contact_types=types, admit_only=True)
            (found,) = self._context.tools.matching.begin(request).result(self._context.sessions.keep_alive).results
            if found.pending:
                readmission.leave_open(spec.operator.name)
            left = found.refused | found.pending
            if admitted := [one for number, one in enumerate(page) if number not in left]:
                yield admitted
            self._context.sessions.keep_alive()

    def _senders(self, operator: str, wanted: Rejudged) -> Iterator[Sequence[str]]:
        """Yield the senders of refused mail who are to be judged again, page by page."""
        read = partial(self._store.refused_senders, self._account.name, operator, limit=PAGE)
        if not wanted.every:
            changed = sorted(wanted.senders)
            yield from filter(None, (read(among=changed[start : start + PAGE]) for start in range(0, len(changed), PAGE)))
            return
        after = ""
        while page := read(after=after):
            after = page[-1]
            yield page

    def _file(self, backfill: Backfill, senders: Sequence[str] | None, readmission: Readmission) -> None:
        """File the refused mail of these senders; None is any sender."""
        name, after = backfill.spec.operator.name, 0
        while page := self._store.refused_mails(self._account.name, name, senders=senders, after=after, limit=PAGE):
            after = page[-1]
            doubted = self._store.doubted(name, page)
            final = [one for one in page if one not in doubted]
            if doubted:
                readmission.leave_open(name)
            for start in range(0, len(final), BATCH):
                new, undecided = backfill.file(final[start : start + BATCH], admitted=True)
                if undecided:
                    readmission.leave_open(name)
                self._count(new)
            self._context.sessions.keep_alive()
