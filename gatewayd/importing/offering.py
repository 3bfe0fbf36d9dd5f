"""Read what people choose mail by, decide to which operators it is offered, and file for further operators what is here.

The server is asked for the headers of each message once. Senders are judged as for mail: an operator is shown only what it admits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from gatewayd.api.offers import Offer, Summary
from gatewayd.api.tally import Tally
from gatewayd.importing.backfilling import Backfill
from gatewayd.importing.outcomes import contact_types
from gatewayd.importing.readmission import Rejudged, sent_by
from gatewayd.importing.rematch import BATCH
from gatewayd.matching import MatchRequest, RawMail
from gatewayd.message.mail import BytesSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.ledger import Waiting
    from gatewayd.api.offers import Decision
    from gatewayd.api.session import Session
    from gatewayd.importing.context import VisitContext
    from gatewayd.importing.readmission import Readmission
    from gatewayd.matching import OperatorSpec

__all__ = ["Offering"]

#: For how many keys headers are read and committed at once.
_PAGE = 1000


class Offering:
    """Offers mail of one account in one visit, and marks what was chosen."""

    def __init__(self, context: VisitContext, readmission: Readmission) -> None:
        self._context = context
        self._readmission = readmission
        self._types = contact_types(context.imports)
        self._store = context.store
        self._lease = context.lease
        self._matching = context.tools.matching
        self._withdrawn = False

    def describe(self, folder: str) -> None:
        """Read the headers of what is offered in a folder and has no summary yet, page by page, where people may look at it.

        An account that takes all has them read once somebody looks: perhaps nobody ever does.
        """
        if self._context.imports.take == "all" and not self._context.task.look:
            return
        account, user, after = self._lease.account, self._context.account.user, 0
        while page := self._store.undescribed(account, folder, after=after, limit=_PAGE, at_once=self._context.task.look):
            after = page[-1][0]
            self._readmission.begin()
            found = self._context.sessions.call(_summaries, folder, [key for _, key in page])
            without = [entry_id for entry_id, key in page if key not in found]
            self._tell_without(folder, len(without), len(page))
            # A message without headers is refused by no admission, since nobody knows who sent it. Where none is needed, it is
            # offered without a summary, and the server is asked for that no second time.
            said = {entry_id: found.get(key) or Summary(key=key) for entry_id, key in page if key in found or not self._types}
            decisions = self._decisions({entry_id: one.senders for entry_id, one in said.items()}, self._context.specs)
            offers = [Offer(entry_id=one, summary=said[one], user=user, decisions=decisions[one]) for one in said]
            self._store.describe(self._lease, offers, without=without)
            self._context.go_on()

    def _tell_without(self, folder: str, count: int, of: int) -> None:
        if count:
            what = f"{folder}: the server has no headers of {count} of {of} messages that are offered"
            again = "so nobody knows whose they are: they are asked for again in an hour, and by `gatewayd remote`"
            self._context.reporter.note(f"{what}, {again}" if self._types else what)

    def rests(self) -> bool:
        """Whether a visit has no offer to judge again: because of changed records or settings, or of another operator."""
        account, imports = self._lease.account, self._context.imports
        if (imports.take == "all" and imports.start == "all") or not self._store.with_offers([account]):
            return True
        return not self._types and self._store.judged(account).keys() == {one.operator.name for one in self._context.specs}

    def withdraw(self) -> None:
        """End, before anything is fetched, what was offered to and chosen by operators and users whose account it is no more."""
        if not self._withdrawn:
            served = {spec.operator.name for spec in self._context.specs}
            self._store.withdraw_offers(self._lease, served, user=self._context.account.user)
            self._withdrawn = True

    def judge(self) -> None:
        """Judge again, as for mail, what records, settings or an operator that was added may change; people's decisions stay."""
        for spec in self._context.specs:
            if self._readmission.is_sound(spec.operator.name):
                self._judge_all(spec, Rejudged(every=True), "undecided")
        for spec, wanted in self._readmission.wants():
            if self._types:
                self._judge_all(spec, wanted, "offered")
            self._judge_all(spec, wanted, "refused")
            if self._readmission.is_new(spec.operator.name):
                self._offer_also(spec)
        # A look judges all there is, unless mail was refused, too.
        if self._context.task.look and not self._store.with_refused([self._lease.account]):
            self._readmission.finish()

    def _judge_all(self, spec: OperatorSpec, wanted: Rejudged, was: Literal["offered", "refused", "undecided"]) -> None:
        """Judge what an operator's admission said that of, as far as it is ``wanted``."""
        after, name = 0, spec.operator.name
        read = partial(self._store.senders_of_offers, self._lease.account, name, user=self._context.account.user, decision=was)
        while page := read(after=after, limit=_PAGE):
            after = page[-1][0]
            again = {one: who for one, who in page if wanted.every or not wanted.senders.isdisjoint(who)}
            decisions = self._decided(spec, again)
            # What was admitted once is not taken back before somebody can say so.
            changed = {one: now for one, now in decisions.items() if now != was and not (was == "offered" and now == "undecided")}
            if changed:
                self._store.judge_offers(self._lease, name, changed)
            self._context.go_on()

    def _offer_also(self, spec: OperatorSpec) -> None:
        """Offer to an operator that was added what is offered to others, not chosen yet, and admitted by it."""
        after, name, user = 0, spec.operator.name, self._context.account.user
        while page := self._store.not_offered(self._lease.account, name, user=user, after=after, limit=_PAGE):
            after = page[-1][0]
            self._store.offer_also(self._lease, name, self._decided(spec, dict(page)), user=user)
            self._context.go_on()

    def _decided(self, spec: OperatorSpec, senders: Mapping[int, Sequence[str]]) -> Mapping[int, Decision]:
        """Return what one operator's admission says of entries, by their senders; what is open is asked again at the next visit."""
        name = spec.operator.name
        decisions = {one: each[name] for one, each in self._decisions(senders, [spec]).items()}
        if "undecided" in decisions.values():
            self._readmission.leave_open(name)
        return decisions

    def marked(self, folder: str, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
        """Return what waits in a folder, with the operators that chose it, for which alone it is filed."""
        # Read after what waits: so none of it counts as mail for all that was chosen meanwhile.
        served = {spec.operator.name for spec in self._context.specs}
        chosen = self._store.chosen(self._lease.account, folder)
        mine = {one: tuple(each for each in by if each in served) for one, by in chosen.items()}
        # What only an operator chose that the account serves no more is nobody's: `withdraw` lets it be offered again.
        left = [one for one in waiting if mine.get(one.entry_id) != ()]
        return [replace(one, chosen=mine[one.entry_id]) if one.entry_id in mine else one for one in left]

    def file_stored(self) -> None:
        """File what operators chose and whose bytes are here already: another operator chose it first, or the mail came twice."""
        for spec in self._context.specs:
            self._file_stored(spec)

    def _file_stored(self, spec: OperatorSpec) -> None:
        name = spec.operator.name
        backfill = Backfill(
            store=self._store,
            matching=self._matching,
            spec=spec,
            lease=self._lease,
            imports=self._context.imports,
            user=self._context.account.user,
            routing=self._context.routing,
            events=self._context.tools.events,
            keep_alive=self._context.sessions.keep_alive,
        )
        while chosen := self._store.chosen_mails(self._lease.account, name, limit=BATCH):
            mails = list(dict.fromkeys(one.mail_id for one in chosen))
            filed, undecided = backfill.file(mails, admitted=True, new={one.mail_id for one in chosen if not one.backlog})
            self._context.reporter.filed(Tally(filed=filed))
            if undecided:
                # What others chose does not wait for it (P4).
                self._context.reporter.note(f"operator {name}: {undecided}: what it chose waits for the next visit")
                return
            others = "it is another operator's, or a user's: a delivery of theirs comes back by it"
            self._store.end_choice(self._lease, name, [one.entry_id for one in chosen], otherwise=others)
            self._context.go_on()

    def _decisions(self, senders: Mapping[int, Sequence[str]], specs: Sequence[OperatorSpec]) -> Mapping[int, dict[str, Decision]]:
        """Return what each operator's admission says of these entries, by their senders."""
        names = [one.operator.name for one in specs]
        decisions: dict[int, dict[str, Decision]] = {one: dict.fromkeys(names, "offered") for one in senders}
        if not (self._types and senders):
            return decisions
        raw_mails = tuple(RawMail(one, BytesSource(b""), view=sent_by(one, each)) for one, each in senders.items())
        request = MatchRequest(raw_mails=raw_mails, specs=tuple(specs), contact_types=self._types, admit_only=True)
        for found in self._matching.begin(request).result(self._context.sessions.keep_alive).results:
            for one in found.refused:
                decisions[one][found.operator] = "refused"
            for one in found.pending:
                decisions[one][found.operator] = "undecided"
        return decisions


def _summaries(session: Session, folder: str, keys: Sequence[str]) -> dict[str, Summary]:
    """Return what the headers of these messages say, by key. Runs in the session's thread."""
    return {one.key: one for one in session.summaries(folder, keys)}
