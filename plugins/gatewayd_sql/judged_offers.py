"""Keep what operators' admissions say of offers, which newer records, settings and further operators change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import and_, bindparam, exists, func, literal, or_, select, update

from gatewayd import OfferVerbs
from gatewayd_sql.database import Many
from gatewayd_sql.decisions import offer_again, resettle
from gatewayd_sql.dialect import InsertOrIgnore, each, one_of
from gatewayd_sql.leases import fence
from gatewayd_sql.names_in_use import prove_names
from gatewayd_sql.offering_tables import OFFERED, REFUSED, UNADMITTED, UNDECIDED, of_account, offer, offered_to
from gatewayd_sql.tables import folder, ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement

    from gatewayd import Decision, Lease
    from gatewayd_sql.database import Database

__all__ = ["JudgedOffers"]

_SPELLED = {"offered": OFFERED, "refused": REFUSED, "undecided": UNDECIDED}

_DECISION = Many(InsertOrIgnore(offered_to))
_JUDGE = Many(
    update(offered_to)
    .where(
        *(offered_to.c[name] == bindparam(f"of_{name}") for name in ("account", "operator", "entry_id")),
        offered_to.c.decision.in_([*_SPELLED.values()]),
    )
    .values(decision=bindparam("now"))
)

# Accounts that have mail have folders, and few.
_WITH = (
    select(folder.c.account)
    .distinct()
    .where(one_of(folder.c.account, name="accounts"), exists().where(offered_to.c.account == folder.c.account))
)
_MINE, _ANY = offered_to.alias("mine"), offered_to.alias("any_of_it")
_LACKING = (
    select(offered_to.c.entry_id, offer.c.senders)
    .join_from(offered_to, offer, offer.c.entry_id == offered_to.c.entry_id)
    .join(ledger, ledger.c.id == offered_to.c.entry_id)
    .where(
        offered_to.c.account == bindparam("account"),
        offered_to.c.operator == bindparam("other"),
        offered_to.c.entry_id > bindparam("after"),
        # What is here already is another operator's mail.
        ledger.c.state.in_(("offered", "dismissed")),
        ledger.c.gone_at.is_(None),
        ~exists().where(
            _MINE.c.account == offered_to.c.account,
            _MINE.c.operator == bindparam("operator"),
            _MINE.c.entry_id == offered_to.c.entry_id,
        ),
        ~exists().where(_ANY.c.entry_id == offered_to.c.entry_id, func.coalesce(_ANY.c.owner, "") != bindparam("user")),
    )
    .order_by(offered_to.c.entry_id)
    .limit(bindparam("most"))
)


def _of_another(user: str | None) -> ColumnElement[bool]:
    """Whether an offer came to the personal account of another user."""
    return and_(offered_to.c.owner.is_not(None), offered_to.c.owner != (user or ""))


def _addresses(senders: str) -> tuple[str, ...]:
    return tuple(filter(None, senders.split("\n")))


class JudgedOffers(OfferVerbs):
    """The verbs by which admission is decided again."""

    _db: Database

    def with_offers(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts of which anything is or was offered."""
        with self._db.reading() as connection:
            return frozenset(connection.scalars(_WITH, {"accounts": sorted(accounts)}))

    def senders_of_offers(
        self,
        account: str,
        operator: str,
        *,
        user: str | None,
        decision: Literal["offered", "refused", "undecided"],
        after: int,
        limit: int,
    ) -> Sequence[tuple[int, Sequence[str]]]:
        """Return who sent what no person decided about."""
        mine, of = offered_to.c.account == account, offered_to.c.decision == _SPELLED[decision]
        # What is not admitted has an index.
        such = and_(mine, of) if decision == "offered" else and_(of_account(literal(account)), UNADMITTED, of)
        query = (
            select(offered_to.c.entry_id, offer.c.senders)
            .join_from(offered_to, offer, offer.c.entry_id == offered_to.c.entry_id)
            .where(such, offered_to.c.operator == operator, offered_to.c.entry_id > after, ~_of_another(user))
            .order_by(offered_to.c.entry_id)
            .limit(limit)
        )
        return [(entry_id, _addresses(senders)) for entry_id, senders in self._db.rows(query)]

    def not_offered(
        self, account: str, operator: str, *, user: str | None, after: int, limit: int
    ) -> Sequence[tuple[int, Sequence[str]]]:
        """Return who sent what was never judged for the operator."""
        with self._db.reading() as connection:
            others = set(connection.scalars(each(offered_to.c.operator, offered_to.c.account == account))) - {operator}
            values = {"account": account, "operator": operator, "user": user or "", "after": after, "most": limit}
            # By the key of each of them, so that no page walks through the rows of all.
            found = {row.entry_id: row.senders for one in others for row in connection.execute(_LACKING, values | {"other": one})}
        return [(entry_id, _addresses(senders)) for entry_id, senders in sorted(found.items())[:limit]]

    def judge_offers(self, lease: Lease, operator: str, decisions: Mapping[int, Decision]) -> None:
        """Commit what an operator's admission says now."""
        rows = [
            {"of_account": lease.account, "of_operator": operator, "of_entry_id": entry_id, "now": decision}
            for entry_id, decision in sorted(decisions.items())
        ]
        with self._db.writing() as connection:
            fence(connection, lease)
            _JUDGE.run(connection, rows)
            resettle(connection, list(decisions))

    def offer_also(self, lease: Lease, operator: str, decisions: Mapping[int, Decision], *, user: str | None) -> None:
        """Commit what an operator's admission says of what it never judged."""
        row = {"account": lease.account, "operator": operator, "owner": user, "who": "", "cause": ""}
        rows = [row | {"entry_id": entry_id, "decision": decision} for entry_id, decision in sorted(decisions.items())]
        with self._db.writing() as connection:
            fence(connection, lease)
            prove_names(connection, [(operator, user)])
            _DECISION.run(connection, rows)
            resettle(connection, list(decisions))

    def withdraw_offers(self, lease: Lease, served: Collection[str], *, user: str | None) -> None:
        """Commit that other operators than these, and other users, are offered nothing any more."""
        mine = offered_to.c.account == lease.account
        with self._db.reading() as connection:
            gone = set(connection.scalars(each(offered_to.c.operator, mine))) - set(served)
            others = or_(offered_to.c.operator.in_(gone), _of_another(user))
            open_ = (mine, others, offered_to.c.decision.in_(("offered", "undecided", "chosen")))
            if connection.scalar(select(offered_to.c.entry_id).where(*open_).limit(1)) is None:
                return
        with self._db.writing() as connection:
            fence(connection, lease)
            ids = list(connection.scalars(select(offered_to.c.entry_id).where(*open_)))
            connection.execute(update(offered_to).where(*open_).values(decision="refused", cause=""))
            offer_again(connection, ids)
