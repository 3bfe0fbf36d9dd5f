"""The tables of verdicts that may change, of directories, matchers and secrets. Importing this module makes ``metadata`` complete.

refused         who sent what was not admitted, beside its entry in the ledger, and for whom a person admitted it
refused_filing  who sent mail that is filed for some operators of its account, and which of the others refused it
judged          by which settings and records all of an account's mail that is not admitted was judged last
provisional     verdicts on stored mail that are given again by newer records
directory       how each operator's directory is (promise P10)
fingerprint     the code and options of an operator's matchers as last seen
secret          what is kept sealed, such as persons' refresh tokens, under names and by keys that the kernel knows (promise P9)
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, LargeBinary, Table, Text, literal_column

from gatewayd_sql.dialect import KEPT, SMALL_ROWS, only_where
from gatewayd_sql.outbox_tables import metadata
from gatewayd_sql.tables import ledger

__all__ = ["REFUSED", "directory", "fingerprint", "judged", "metadata", "provisional", "refused", "refused_filing", "secret"]

#: Spelled out like ``WAITING``.
REFUSED = literal_column("'not admitted'", Text)

refused = Table(
    "refused",
    metadata,
    Column("entry_id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    # One From address a line, in lower case.
    Column("senders", Text, nullable=False),
    # It was not admitted; else it waits because that could not be decided.
    Column("final", Boolean, nullable=False),
    # The verdict is provisional, since then.
    Column("since", Double),
    # The operators for which a person admitted it, one a line.
    Column("admitted", Text, nullable=False),
)
Index("refused_provisional", refused.c.entry_id, **only_where(refused.c.since.is_not(None)))
Index("refused_undecided", refused.c.entry_id, **only_where(~refused.c.final))
Index("ledger_refused", ledger.c.account, ledger.c.folder, ledger.c.id, **only_where(ledger.c.state == REFUSED))

# One row a From address, in lower case, since mail is looked for by the senders whose records changed. The address is empty
# where a mail has none.
refused_filing = Table(
    "refused_filing",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    **SMALL_ROWS,
)
Index("refused_filing_mail", refused_filing.c.mail_id)

judged = Table(
    "judged",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("settings", Text, nullable=False),
    Column("version", Text, nullable=False),
    **SMALL_ROWS,
)

provisional = Table(
    "provisional",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    Column("since", Double, nullable=False),
    # None: admission could not be decided, and so it waits for as long as it takes.
    Column("until", Double),
    Column("version", Text, nullable=False),
    Column("fire", Boolean, nullable=False),
    **SMALL_ROWS,
)
# The database looks here whenever a mail is deleted.
Index("provisional_mail", provisional.c.mail_id)

directory = Table(
    "directory",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("loaded_at", Double, info=KEPT),
    Column("looked_at", Double, info=KEPT),
    Column("version", Text, nullable=False),
    Column("error", Text, nullable=False),
    # Lists as JSON: they are only ever shown.
    Column("rows", Text, nullable=False),
    Column("faults", Text, nullable=False),
    Column("warnings", Text, nullable=False),
)

fingerprint = Table(
    "fingerprint",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    **SMALL_ROWS,
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
