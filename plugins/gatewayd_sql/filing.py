"""Open the transaction of each filing verb, and let `batch.py` write it; enter mail of our own, and further filings of stored
mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select, true

from gatewayd import Commit, Entry, Filed, Filing, FilingVerbs, Listed, PermanentError, Posted
from gatewayd_sql.batch import FiledBatch, shown
from gatewayd_sql.database import Many
from gatewayd_sql.decisions import filed as decided
from gatewayd_sql.dialect import InsertOrIgnore, clock, each, one_of
from gatewayd_sql.entering import enter
from gatewayd_sql.filing_digests import hold, remember, write_digests
from gatewayd_sql.filing_rows import add
from gatewayd_sql.inherited import answer
from gatewayd_sql.leases import fence
from gatewayd_sql.names_in_use import prove_names
from gatewayd_sql.pages import entry_row
from gatewayd_sql.raw import source_of
from gatewayd_sql.refused import forget
from gatewayd_sql.tables import WAITING, filing, ledger, mail
from gatewayd_sql.times import clean
from gatewayd_sql.visibility import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gatewayd import Delivery, Lease, Outcome, Outgoing, Source, Viewer
    from gatewayd_sql.database import Database

__all__ = ["Filer"]

_ENTER = Many(InsertOrIgnore(ledger).inline())

#: Where the ledger of a sending account has the mail that we wrote.
_OUTBOX = "outbox"


class Filer(FilingVerbs):
    """See ``FilingVerbs``."""

    _db: Database

    def file(self, lease: Lease, outcomes: Sequence[Outcome]) -> Commit:
        """Commit what became of a batch."""
        columns = shown(outcomes)
        with self._db.writing() as connection:
            time = fence(connection, lease)
            prove_names(connection, _owners(outcomes))
            return FiledBatch(connection, lease.account, time, columns).commit(outcomes)

    def post(self, viewer: Viewer, outgoing: Outgoing, delivery: Delivery) -> Posted:
        """Commit a mail of our own together with its delivery."""
        with self._db.writing() as connection:
            prove_names(connection, [(viewer.operator, outgoing.user)], outgoing.account)
            _prove_user(connection, viewer, outgoing)
            time = clock(connection)
            entry_id = _entered(connection, outgoing, clean(delivery.message_id), time)
            own = Filing(operator=viewer.operator, user=outgoing.user)
            filed = [Filed(entry_id=entry_id, mail=outgoing.mail, digest=outgoing.digest, filings=(own,))]
            if not FiledBatch(connection, outgoing.account, time, shown(filed), direction="out").commit(filed).filed:
                raise PermanentError(f"account {outgoing.account} has sent the same bytes before")
            if outgoing.answers is not None:
                answer(connection, viewer, entry_id, outgoing)
                write_digests(connection, [(viewer.operator, entry_id)])
            (delivery_id,) = enter(connection, [(viewer.operator, entry_id, delivery)], time)
        return Posted(mail_id=entry_id, delivery_id=delivery_id)

    def add_filings(self, lease: Lease, filings: Sequence[tuple[int, Filing]]) -> Sequence[tuple[int, Filing]]:
        """Commit further filings of the account's mails; what is filed already is left alone."""
        new: dict[tuple[str, int], Filing] = {}
        for mail_id, one in filings:
            new.setdefault((one.operator, mail_id), one)
        with self._db.writing() as connection:
            time = fence(connection, lease)
            prove_names(connection, [(one.operator, one.user) for one in new.values()])
            mine = hold(connection, {mail_id for _, mail_id in new}, mail.c.account == lease.account)
            of = filing.c.operator.in_({operator for operator, _ in new})
            there = select(filing.c.operator, filing.c.mail_id).where(of, one_of(filing.c.mail_id, mine))
            taken = set(map(tuple, connection.execute(there)))
            wanted = [(key[1], one) for key, one in new.items() if key[1] in mine and key not in taken]
            add(connection, wanted, time)
            remember(connection, {mail_id for mail_id, _ in wanted})
            # What the operator was offered it has now.
            decided(connection, wanted)
            forget(connection, [key for key in new if key[1] in mine])
        return wanted

    def unfiled(self, account: str, operator: str, *, after: int, limit: int) -> Sequence[int]:
        """Return ids of the account's mails that the operator has no filing of, and that are no user's."""
        filed = exists().where(filing.c.operator == operator, filing.c.mail_id == mail.c.id)
        with self._db.reading() as connection:
            # Filings are found by operator and mail: of a mail alone, all personal ones that there are would be gone through.
            here = exists().where(one_of(filing.c.operator, connection.scalars(each(filing.c.operator, true()))))
            personal = here.where(filing.c.mail_id == mail.c.id, filing.c.owner.is_not(None))
            query = select(mail.c.id).where(mail.c.account == account, mail.c.id > after, ~filed, ~personal)
            return list(connection.scalars(query.order_by(mail.c.id).limit(limit)))

    def stored_source(self, mail_id: int) -> Source:
        """Return where the raw bytes of a mail can be read; raises PermanentError if there is no such mail."""
        if (found := source_of(self._db, mail_id)) is None:
            raise PermanentError(f"there is no mail {mail_id}")
        return found


def _owners(outcomes: Sequence[Outcome]) -> set[tuple[str, str | None]]:
    return {(one.operator, one.user) for each in outcomes if isinstance(each, Filed) for one in each.filings}


def _prove_user(connection: Connection, viewer: Viewer, outgoing: Outgoing) -> None:
    """Raise unless the mail is general, the viewer's own, or an answer to that user's mail, which the viewer may see."""
    if outgoing.user is None or outgoing.user in viewer.users:
        return
    theirs = visible(viewer), filing.c.mail_id == outgoing.answers, filing.c.owner == outgoing.user
    if not connection.scalar(select(exists(select(filing.c.mail_id).where(*theirs)))):
        raise PermanentError(f"a mail of {outgoing.user} is not for others of operator {viewer.operator} to send")


def _entered(connection: Connection, outgoing: Outgoing, key: str, time: float) -> int:
    """Enter a mail of our own into the ledger of its sending account, and return its id."""
    entry = Entry(listed=Listed(key, outgoing.mail.source.size))
    _ENTER.run(connection, [entry_row(outgoing.account, _OUTBOX, entry, time)])
    mine = (ledger.c.account == outgoing.account, ledger.c.folder == _OUTBOX, ledger.c.key == key)
    # One that was there before waits no more.
    entry_id = connection.scalar(select(ledger.c.id).where(*mine, ledger.c.state == WAITING))
    if entry_id is None:
        raise PermanentError(f"account {outgoing.account} has sent a mail with the Message-ID {key} before")
    return int(entry_id)
