"""The tables of offers. Importing this module makes ``metadata`` complete.

offer       what a person chooses a message by: what its headers said when they were read, once
offered_to  by operator, what its admission said of an offer, and then what its people decided
seen        how much of an account's list a viewer has seen
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Table, Text, literal_column

from gatewayd_sql.admission_tables import metadata
from gatewayd_sql.dialect import SMALL_ROWS, Id, only_where
from gatewayd_sql.tables import ledger

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["CHOSEN", "OFFERED", "REFUSED", "UNADMITTED", "UNDECIDED", "metadata", "of_account", "offer", "offered_to", "seen"]

#: Spelled out like ``WAITING``.
CHOSEN, OFFERED, UNDECIDED, REFUSED = (literal_column(f"'{word}'", Text) for word in ("chosen", "offered", "undecided", "refused"))

offer = Table(
    "offer",
    metadata,
    Column("entry_id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    Column("sender", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    # One From address a line, in lower case.
    Column("senders", Text, nullable=False),
    # A list as JSON: it is only ever shown.
    Column("recipients", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # Subject, sender and recipients, case-folded.
    Column("search", Text, nullable=False),
    Column("sent_at", Double),
    Column("attachments", Boolean),
)
Index(
    "ledger_undescribed",
    ledger.c.account,
    ledger.c.folder,
    ledger.c.id,
    **only_where((ledger.c.state == OFFERED) & ~ledger.c.described),
)

offered_to = Table(
    "offered_to",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("entry_id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    # The user whose personal account it came to.
    Column("owner", Text),
    Column("decision", Text, nullable=False),
    # Who chose or dismissed it.
    Column("who", Text, nullable=False),
    # Why it could not be had.
    Column("cause", Text, nullable=False),
    **SMALL_ROWS,
)
Index("offered_to_entry", offered_to.c.entry_id)
Index("offered_to_chosen", offered_to.c.account, offered_to.c.entry_id, **only_where(offered_to.c.decision == CHOSEN))
#: An operator's admission did not let it pass. It is a condition of its own since an index has it.
UNADMITTED = (offered_to.c.decision == UNDECIDED) | (offered_to.c.decision == REFUSED)
Index("offered_to_unadmitted", *offered_to.c["account", "operator", "entry_id"], **only_where(UNADMITTED))


def of_account(account: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an offer is an account's, where a condition beside it has an index.

    Of a range SQLite takes that index. Of one value it takes the primary key, and looks at each offer of the account.
    """
    return offered_to.c.account.between(account, account)


seen = Table(
    "seen",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    # Empty for the operator itself.
    Column("owner", Text, primary_key=True),
    Column("mark", Id, nullable=False),
    Column("shown", Id, nullable=False),
    **SMALL_ROWS,
)
