"""Read what people choose mail by, decide to which operators it is offered, and file for further operators what is here.

The server is asked for the headers of each message once. Senders are judged as for mail: an operator is shown only what it admits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.offers import Offer, Summary
from gatewayd.api.tally import Tally
from gatewayd.importing.backfilling import Backfill
from gatewayd.importing.outcomes import contact_types
from gatewayd.importing.readmission import sent_by
from gatewayd.importing.rematch import BATCH
from gatewayd.matching import MatchRequest, RawMail
from gatewayd.message.mail import BytesSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.ledger import Waiting
    from gatewayd.api.offers import Decision
    from gatewayd.api.session import Session
    from gatewayd.importing.context import VisitContext
    from gatewayd.importing.readmission import Readmission, Rejudged
    from gatewayd.matching import OperatorSpec

__all__ = ["Offering"]

#: For how many keys headers are read and committed at once.
_PAGE = 1000


class Offering:
    """Offers mail of one account in one visit, and marks what was chosen."""

    def __init__(self, context: VisitContext) -> None:
        self._context = context
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
        account = self._lease.account
        while page := self._store.undescribed(account, folder, limit=_PAGE):
            found = self._context.sessions.call(_summaries, folder, [key for _, key in page])
            if left := len(page) - len(found):
                self._context.reporter.note(
                    f"{folder}: the server has no headers of {left} of {len(page)} messages that are offered"
                )
            # A message without headers has an empty summary: the server is asked for it no second time.
            said = {entry_id: found.get(key) or Summary(key=key) for entry_id, key in page}
            decisions = self._decisions({entry_id: one.senders for entry_id, one in said.items()}, self._context.specs)
            user = self._context.account.user
            offers = [Offer(entry_id=one, summary=said[one], user=user, decisions=decisions[one]) for one in said]
            self._store.describe(self._lease, offers)
            self._context.go_on()

    def withdraw(self) -> None:
        """End, before anything is fetched, what was offered to and chosen by operators and users whose account it is no more."""
        if not self._withdrawn:
            served = {spec.operator.name for spec in self._context.specs}
            self._store.withdraw_offers(self._lease, served, user=self._context.account.user)
            self._withdrawn = True

    def judge(self, readmission: Readmission) -> None:
        """Offer what an operator refused or could not decide, and admits now, as for mail: what it was shown once stays."""
        for spec in self._context.specs:
            if readmission.is_sound(spec.operator.name):
                self._judge_all(spec, None, readmission)
        for spec, wanted in readmission.wants():
            self._judge_all(spec, wanted, readmission)

    def _judge_all(self, spec: OperatorSpec, wanted: Rejudged | None, readmission: Readmission) -> None:
        """Judge what an operator refused, as far as it is ``wanted``; None: what it could not decide."""
        after, name = 0, spec.operator.name
        read = partial(self._store.senders_of_offers, self._lease.account, name, user=self._context.account.user)
        while page := read(undecided=wanted is None, after=after, limit=_PAGE):
            after = page[-1][0]
            again = {one: who for one, who in page if not wanted or wanted.every or not wanted.senders.isdisjoint(who)}
            if not self._judge(spec, again):
                readmission.leave_open(name)

    def _judge(self, spec: OperatorSpec, senders: Mapping[int, Sequence[str]]) -> bool:
        """Judge entries for one operator by their senders; return whether all could be decided."""
        if not senders:
            return True
        name = spec.operator.name
        decisions = {one: each[name] for one, each in self._decisions(senders, [spec]).items()}
        self._store.judge_offers(self._lease, name, decisions)
        self._context.go_on()
        return "undecided" not in decisions.values()

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
        types = contact_types(self._context.imports)
        decisions: dict[int, dict[str, Decision]] = {one: dict.fromkeys(names, "offered") for one in senders}
        if not types:
            return decisions
        raw_mails = tuple(RawMail(one, BytesSource(b""), view=sent_by(one, each)) for one, each in senders.items())
        request = MatchRequest(raw_mails=raw_mails, specs=tuple(specs), contact_types=types, admit_only=True)
        for found in self._matching.begin(request).result(self._context.sessions.keep_alive).results:
            for one in found.refused:
                decisions[one][found.operator] = "refused"
            for one in found.pending:
                decisions[one][found.operator] = "undecided"
        return decisions


def _summaries(session: Session, folder: str, keys: Sequence[str]) -> dict[str, Summary]:
    """Return what the headers of these messages say, by key. Runs in the session's thread."""
    return {one.key: one for one in session.summaries(folder, keys)}
