"""Whether a visit of an account has nothing to do but to look at the server: one query, since most visits are quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, not_, or_, select

from gatewayd_sql.admission_tables import REFUSED, refused, refused_filing
from gatewayd_sql.dialect import now
from gatewayd_sql.offering_tables import CHOSEN, UNADMITTED, of_account, offered_to
from gatewayd_sql.tables import WAITING, ledger

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Connection

__all__ = ["at_rest"]

_ACCOUNT: BindParameter[str] = bindparam("account")
_ENTRIES = exists().where(ledger.c.account == _ACCOUNT)
_OFFERS = exists().where(of_account(_ACCOUNT))
_STANDS = ledger.c.gone_at.is_(None)
# Each is a condition of what one of those verbs returns, and has the index of that.
_AT_REST = select(
    not_(
        or_(
            _ENTRIES.where(ledger.c.state == WAITING, ledger.c.due <= now()),
            _ENTRIES.where(ledger.c.owed.is_not(None), _STANDS),
            _ENTRIES.where(ledger.c.again.is_not(None), _STANDS),
            _ENTRIES.where(ledger.c.state == REFUSED, _STANDS),
            _ENTRIES.where(ledger.c.state == WAITING, ledger.c.id == refused.c.entry_id, ~refused.c.final),
            exists().where(refused_filing.c.account == _ACCOUNT),
            # What was chosen and is gone from its server waits for nothing that a visit could do.
            _OFFERS.where(offered_to.c.decision == CHOSEN, ledger.c.id == offered_to.c.entry_id, ledger.c.state != "vanished"),
            _OFFERS.where(UNADMITTED),
        )
    )
)


def at_rest(connection: Connection, account: str) -> bool:
    """See ``LedgerVerbs.at_rest``."""
    return bool(connection.scalar(_AT_REST, {"account": account}))
