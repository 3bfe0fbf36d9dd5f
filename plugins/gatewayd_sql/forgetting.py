"""Take back what an account brought: piece by piece, each mail with all that hangs on it in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, or_, select, true

from gatewayd import AccountVerbs, Brought, PermanentError
from gatewayd_sql.admission_tables import provisional, refused, refused_filing
from gatewayd_sql.database import pieces
from gatewayd_sql.dialect import one_of
from gatewayd_sql.filing_digests import hold, of_mails, operators
from gatewayd_sql.leases import fence
from gatewayd_sql.names_in_use import hold_names
from gatewayd_sql.offering_tables import offer, offered_to
from gatewayd_sql.outbox_tables import delivery, recipient, server_id
from gatewayd_sql.renaming import columns
from gatewayd_sql.renaming_tables import renamed
from gatewayd_sql.search_tables import indexed, unindexed
from gatewayd_sql.tables import OUT, chunk, content, fault, filing, folder, lease, ledger, link, mail, mailbox, rival

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Lease
    from gatewayd_sql.database import Database

__all__ = ["KEPT", "OF_ENTRIES", "OF_MAILS", "Forgetting"]

#: Tables whose rows hang on entries of the ledger, and on mails, those first that refer to others.
OF_ENTRIES = (offer, offered_to, refused)
OF_MAILS = (link, rival, fault, provisional, refused_filing, delivery, filing, unindexed, indexed)
#: Where an account is named, and not all rows go: what people sent stays, with its entries and what went out through the account.
KEPT = (ledger, mail, delivery, lease)
_FIRST = (folder, mailbox)
#: What goes out, and is not there yet or came back.
_UNDELIVERED = ("waiting", "parked", "withheld")


class Forgetting(AccountVerbs):
    """See ``AccountVerbs``."""

    _db: Database

    def brought(self, account: str) -> Brought:
        """Count what an account brought."""
        with self._db.reading() as connection:
            here = mail.c.account == account
            mails = here & (mail.c.direction != OUT)
            theirs = select(mail.c.id).where(mails)
            total, size = connection.execute(
                select(func.count(), func.coalesce(func.sum(content.c.size), 0))
                .join_from(mail, content, content.c.id == mail.c.content_id)
                .where(mails, ~_is_elsewhere(account))
            ).one()
            number = _number(connection, mails)
            known = operators(connection)
            found = {
                table: [table.c.mail_id.in_(theirs), true() if known is None else one_of(table.c.operator, known)]
                for table in (filing, link, delivery)
            }
            return Brought(
                entries=_number(connection, ledger.c.account == account, ~exists().where(mail.c.id == ledger.c.id, ~mails)),
                mails=number,
                size=size,
                shared=number - total,
                filings=_number(connection, *found[filing]),
                links=_number(connection, *found[link], link.c.by_hand, link.c.removed_by.is_(None)),
                undelivered=_number(connection, *found[delivery], delivery.c.state.in_(_UNDELIVERED)),
                sent=_number(connection, here, mail.c.direction == OUT),
            )

    def forget_account(self, lease: Lease, *, limit: int) -> bool:
        """Take back a piece of what the account brought."""
        account = lease.account
        with self._db.writing() as connection:
            fence(connection, lease)
            for table in _FIRST:
                connection.execute(delete(table).where(table.c.account == account))
            # What people sent has an entry, too.
            stays = exists().where(mail.c.id == ledger.c.id, mail.c.direction == OUT)
            query = select(ledger.c.id).where(ledger.c.account == account, ~stays)
            entries = connection.scalars(query.order_by(ledger.c.id).limit(limit)).all()
            _take_back(connection, account, entries)
            if len(entries) < limit:
                _forget_name(connection, account)
            return len(entries) == limit


def _number(connection: Connection, *where: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(*where)).scalar_one()


def _is_elsewhere(account: str) -> ColumnElement[bool]:
    """Whether the bytes of a mail are another account's, too, or were sent by people."""
    same = mail.alias("same")
    anothers = or_(same.c.account != account, same.c.direction == OUT)
    return exists().where(same.c.content_id == mail.c.content_id, anothers).correlate(mail)


def _take_back(connection: Connection, account: str, entries: Collection[int]) -> None:
    """Delete entries with their mails, and whatever hangs on them."""
    known = operators(connection)
    mails = hold(connection, entries, mail.c.account == account)
    for piece in pieces(sorted(mails)):
        goes = select(delivery.c.id).where(of_mails(delivery, piece, known))
        if connection.scalar(select(goes.where(delivery.c.taker.is_not(None)).exists())):
            raise PermanentError(f"mail of account {account} is on its way out", advice="Wait a moment, and run it again.")
        for table in (recipient, server_id):
            connection.execute(delete(table).where(table.c.delivery_id.in_(goes)))
        for table in OF_MAILS:
            connection.execute(delete(table).where(of_mails(table, piece, known)))
        contents = connection.scalars(select(mail.c.content_id).where(mail.c.id.in_(piece))).all()
        connection.execute(delete(mail).where(mail.c.id.in_(piece)))
        _take_bytes(connection, contents)
    for piece in pieces(entries):
        for table in OF_ENTRIES:
            connection.execute(delete(table).where(table.c.entry_id.in_(piece)))
        connection.execute(delete(ledger).where(ledger.c.id.in_(piece)))


def _take_bytes(connection: Connection, content_ids: Collection[int]) -> None:
    """Delete raw bytes that no mail has any more."""
    # Whoever files the same just now waits, and finds them gone.
    held = select(content.c.id).where(content.c.id.in_(content_ids)).order_by(content.c.id).with_for_update()
    there = set(connection.scalars(held))
    used = select(mail.c.content_id).where(mail.c.content_id.in_(there))
    gone = there - set(connection.scalars(used))
    connection.execute(delete(chunk).where(chunk.c.content_id.in_(gone)))
    connection.execute(delete(content).where(content.c.id.in_(gone)))


def _forget_name(connection: Connection, account: str) -> None:
    """Delete what is left of the account, but for what people sent; its name may be used again."""
    hold_names(connection)
    for column in columns("account"):
        if column.table not in KEPT:
            connection.execute(delete(column.table).where(column == account))
    done = renamed.c.kind == "account", renamed.c.done_at.is_not(None)
    connection.execute(delete(renamed).where(*done, or_(renamed.c.old == account, renamed.c.new == account)))
    connection.execute(delete(lease).where(lease.c.account == account))
