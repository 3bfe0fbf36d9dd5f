"""Keep what is offered, show it to viewers, and commit what they choose and dismiss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, exists, func, or_, select, true, update

from gatewayd import Chosen, OfferView, Seen
from gatewayd_sql.copies import SHOWN_BY_A_COPY, copies_of
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.decisions import resettle
from gatewayd_sql.dialect import InsertOrIgnore, now, one_of
from gatewayd_sql.judged_offers import JudgedOffers
from gatewayd_sql.leases import fence
from gatewayd_sql.names_in_use import prove_names
from gatewayd_sql.offering_tables import CHOSEN, OFFERED, of_account, offer, offered_to
from gatewayd_sql.offering_tables import seen as seen_table
from gatewayd_sql.rows import value_of
from gatewayd_sql.seen import confirm, marked, remember
from gatewayd_sql.tables import WAITING, filing, ledger
from gatewayd_sql.times import clean, first_seconds, moment, seconds
from gatewayd_sql.visibility import offer_visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Lease, Offer, OfferQuery, Viewer
    from gatewayd_sql.database import Database

__all__ = ["Offers"]

#: Seconds after which headers that could not be had are asked for again.
_HEADERS_AGAIN = 3600.0

_OFFER = Many(InsertOrIgnore(offer))
_DECISION = Many(InsertOrIgnore(offered_to))
_ANCHOR = Many(update(ledger).where(ledger.c.id == bindparam("entry")).values(described=true(), anchor=bindparam("mark")))

_HERE = (ledger.c.account == bindparam("account"), ledger.c.folder == bindparam("folder"))
_UNDESCRIBED = (
    select(ledger.c.id, ledger.c.key)
    .where(*_HERE, ledger.c.state == OFFERED, ~ledger.c.described, ledger.c.gone_at.is_(None))
    .where(ledger.c.id > bindparam("after"))
    .order_by(ledger.c.id)
    .limit(bindparam("most"))
)
_SHOWN = (
    select(
        *ledger.c["id", "account", "folder", "key", "state", "size", "arrival"],
        *offer.c["sender", "sender_name", "recipients", "subject", "sent_at", "attachments"],
        *offered_to.c["decision", "cause"],
        case((ledger.c.state == "vanished", ledger.c.cause), else_="").label("why"),
        case((offered_to.c.decision == "filed", ledger.c.mail_id)).label("mail_id"),
    )
    .join_from(offered_to, ledger, ledger.c.id == offered_to.c.entry_id)
    .join(offer, offer.c.entry_id == offered_to.c.entry_id)
    .where(offered_to.c.decision.not_in(("refused", "undecided")))
    .order_by(offered_to.c.entry_id.desc())
)
_CHOSEN = (
    select(offered_to.c.entry_id, offered_to.c.operator)
    .join_from(offered_to, ledger, ledger.c.id == offered_to.c.entry_id)
    .where(*_HERE, offered_to.c.account == bindparam("account"), offered_to.c.decision == CHOSEN, ledger.c.state == WAITING)
    .order_by(offered_to.c.entry_id, offered_to.c.operator)
)
_CHOSEN_MAILS = (
    select(ledger.c.id, ledger.c.mail_id, ledger.c.backlog)
    .join_from(offered_to, ledger, ledger.c.id == offered_to.c.entry_id)
    .where(of_account(bindparam("account")), offered_to.c.operator == bindparam("operator"))
    .where(offered_to.c.decision == CHOSEN, ledger.c.mail_id.is_not(None))
    .order_by(ledger.c.id)
    .limit(bindparam("most"))
)


class Offers(JudgedOffers):
    """See ``OfferVerbs``."""

    _db: Database

    def undescribed(
        self, account: str, folder: str, *, after: int = 0, limit: int, at_once: bool = False
    ) -> Sequence[tuple[int, str]]:
        """Return what is offered without a summary."""
        query = _UNDESCRIBED if at_once else _UNDESCRIBED.where(ledger.c.due <= now())
        rows = self._db.rows(query, {"account": account, "folder": folder, "after": after, "most": limit})
        return [(row.id, row.key) for row in rows]

    def describe(self, lease: Lease, offers: Sequence[Offer], *, without: Collection[int] = ()) -> None:
        """Commit summaries, and to whom it is offered."""
        with self._db.writing() as connection:
            fence(connection, lease)
            prove_names(connection, {(operator, one.user) for one in offers for operator in one.decisions})
            ids = [one.entry_id for one in offers]
            known = ledger.c.account == lease.account, ~ledger.c.described
            new = {
                row
                for piece in pieces(ids)
                for row in connection.scalars(select(ledger.c.id).where(*known, ledger.c.id.in_(piece)))
            }
            fresh = [one for one in offers if one.entry_id in new]
            _OFFER.run(connection, [_offer_row(one) for one in fresh])
            rows = [
                {"account": lease.account, "operator": operator, "entry_id": one.entry_id}
                | {"owner": one.user, "decision": decision, "who": "", "cause": ""}
                for one in fresh
                for operator, decision in sorted(one.decisions.items())
            ]
            _DECISION.run(connection, rows)
            _ANCHOR.run(connection, [{"entry": one.entry_id, "mark": clean(one.summary.anchor) or None} for one in fresh])
            if without:
                these = (*known, ledger.c.state == OFFERED, one_of(ledger.c.id, without))
                connection.execute(update(ledger).where(*these).values(due=now() + _HEADERS_AGAIN))

    def offers(self, viewer: Viewer, query: OfferQuery) -> Sequence[OfferView]:
        """Return what is or was offered to the viewer."""
        asked = _SHOWN.where(offer_visible(viewer), *_fits(query))
        if query.ids is None:
            rows = self._db.rows(asked.limit(query.limit))
        else:
            ids = sorted(set(query.ids), reverse=True)
            rows = [row for piece in pieces(ids) for row in self._db.rows(asked.where(offered_to.c.entry_id.in_(piece)))]
            rows = rows[: query.limit]
        return [
            value_of(
                OfferView,
                row,
                to=tuple(json.loads(row.recipients)),
                arrival=moment(row.arrival),
                sent_at=moment(row.sent_at),
                cause=row.cause or row.why,
            )
            for row in rows
        ]

    def choose(self, viewer: Viewer, account: str, entry_ids: Collection[int], *, who: str) -> int:
        """Commit that the viewer's operator has these filed."""
        values = {"decision": "chosen", "who": clean(who), "cause": ""}
        with self._db.writing() as connection:
            prove_names(connection, [(viewer.operator, None)], account)
            chosen = _decide(connection, viewer, account, entry_ids, before=("offered", "dismissed"), values=values)
            copies = copies_of(connection, account, entry_ids)
            _decide(connection, viewer, account, copies, before=("offered", "dismissed"), values=values)
            if entry_ids:
                confirm(connection, viewer, account, max(entry_ids))
        return chosen

    def dismiss(self, viewer: Viewer, account: str, entry_ids: Collection[int], *, who: str, undo: bool = False) -> int:
        """Commit that the viewer's operator does not want these, or may again."""
        values = {"decision": "offered" if undo else "dismissed", "who": clean(who)}
        with self._db.writing() as connection:
            before = ("dismissed",) if undo else ("offered",)
            changed = _decide(connection, viewer, account, entry_ids, before=before, values=values)
            _decide(connection, viewer, account, copies_of(connection, account, entry_ids), before=before, values=values)
        return changed

    def chosen(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return what waits and was chosen, with the operators that did."""
        found: dict[int, list[str]] = {}
        for entry_id, operator in self._db.rows(_CHOSEN, {"account": account, "folder": folder}):
            found.setdefault(entry_id, []).append(operator)
        return found

    def chosen_mails(self, account: str, operator: str, *, limit: int) -> Sequence[Chosen]:
        """Return what the operator chose, and whose bytes are here."""
        rows = self._db.rows(_CHOSEN_MAILS, {"account": account, "operator": operator, "most": limit})
        return [Chosen(entry_id=row.id, mail_id=row.mail_id, backlog=row.backlog) for row in rows]

    def end_choice(self, lease: Lease, operator: str, entry_ids: Collection[int], *, otherwise: str) -> None:
        """Commit that what the operator chose is filed for it, or never will be."""
        mine = (offered_to.c.account == lease.account, offered_to.c.operator == operator, offered_to.c.decision == "chosen")
        same = and_(filing.c.mail_id == ledger.c.mail_id, ledger.c.id == offered_to.c.entry_id)
        has = exists().where(filing.c.operator == operator, same).correlate(offered_to)
        values = {"decision": case((has, "filed"), else_="refused"), "cause": case((has, ""), else_=clean(otherwise))}
        with self._db.writing() as connection:
            fence(connection, lease)
            connection.execute(update(offered_to).where(*mine, one_of(offered_to.c.entry_id, entry_ids)).values(**values))

    def seen(self, viewer: Viewer, account: str) -> Seen:
        """Return how much the viewer has seen."""
        rows = self._db.rows(select(seen_table.c.mark, seen_table.c.shown).where(*marked(viewer, account)))
        return next((Seen(mark=row.mark, shown=row.shown) for row in rows), Seen())

    def show(self, viewer: Viewer, account: str, entry_id: int) -> None:
        """Commit up to where the viewer was shown the list."""
        with self._db.writing() as connection:
            remember(connection, viewer, account)
            larger = update(seen_table).where(*marked(viewer, account), seen_table.c.shown < entry_id)
            connection.execute(larger.values(shown=entry_id))


def _offer_row(one: Offer) -> dict[str, object]:
    said = one.summary
    searched = "\n".join((said.subject, said.sender, said.sender_name, *said.to))
    return {
        "entry_id": one.entry_id,
        "sender": clean(said.sender),
        "sender_name": clean(said.sender_name),
        # No address has a line break in it, and one that has would be nobody's.
        "senders": "\n".join(clean(each).replace("\n", " ") for each in said.senders),
        "recipients": json.dumps(said.to),
        "subject": clean(said.subject),
        "search": clean(searched).casefold(),
        "sent_at": seconds(said.sent_at),
        "attachments": said.attachments,
    }


def _fits(query: OfferQuery) -> list[ColumnElement[bool]]:
    fits: list[ColumnElement[bool]] = [offered_to.c.account == query.account, offered_to.c.entry_id > query.after]
    if query.ids is None and query.keys is None:
        stands = and_(ledger.c.gone_at.is_(None), ledger.c.state != "vanished")
        fits += [or_(stands, offered_to.c.decision == "filed"), ~SHOWN_BY_A_COPY]
    if query.keys is not None:
        fits.append(one_of(ledger.c.key, query.keys))
    if query.open:
        fits.append(offered_to.c.decision == "offered")
    if query.text is not None:
        fits.append(offer.c.search.contains(clean(query.text).casefold(), autoescape=True))
    if query.since is not None:
        fits.append(func.coalesce(ledger.c.arrival, offer.c.sent_at) >= first_seconds(query.since))
    if query.before is not None:
        fits.append(offered_to.c.entry_id < query.before)
    return fits


def _decide(
    connection: Connection,
    viewer: Viewer,
    account: str,
    entry_ids: Collection[int],
    *,
    before: Sequence[str],
    values: Mapping[str, object],
) -> int:
    """Change decisions of the viewer's operator that are one of ``before``; return how many changed."""
    changed = 0
    for piece in pieces(sorted(set(entry_ids))):
        # Who files or puts back these entries is done, or waits for us.
        mine = select(ledger.c.id).where(ledger.c.account == account, ledger.c.id.in_(piece), ledger.c.state != "vanished")
        ids = list(connection.scalars(mine.order_by(ledger.c.id).with_for_update()))
        these = (offered_to.c.account == account, offer_visible(viewer), offered_to.c.decision.in_(before))
        change = update(offered_to).where(*these, one_of(offered_to.c.entry_id, ids))
        changed += connection.execute(change.values(**values)).rowcount
        resettle(connection, ids)
    return changed
