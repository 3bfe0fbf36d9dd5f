"""The tables of the database: ledger, mail, filings and their links. Times are seconds since 1970 in UTC, as the database's
clock has them where a lease hangs on them.

folder     how far each folder of an account was listed
ledger     every key ever listed, and what became of it (promise P1)
lease      who works on an account
mailbox    the accounts that have or had a mailbox; one that is no second one is the only one of its kind
content    the raw bytes of mail, once for equal digests; chunk holds them in pieces of at most 1 MiB
mail       what is shown of a message; its id is that of the ledger entry that brought it
filing     a mail for one operator: the unit of tenancy (promise P6); link, rival and fault hang on it
daemon     the daemons that live; health is what they say of accounts (promise P10), request what people ask of them

What goes out is in outbox_tables.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
)

from gatewayd_sql.dialect import KEPT, NEVER_REUSED, SMALL_ROWS, Id, only_where

__all__ = [
    "OUT",
    "WAITING",
    "chunk",
    "content",
    "daemon",
    "fault",
    "filing",
    "folder",
    "health",
    "lease",
    "ledger",
    "link",
    "mail",
    "mailbox",
    "metadata",
    "request",
    "rival",
]

metadata = MetaData()

#: Spelled out in the statement: an index of part of a table is used only where the database can see that it fits.
WAITING, OUT = literal_column("'waiting'", Text), literal_column("'out'", Text)

lease = Table(
    "lease",
    metadata,
    Column("account", Text, primary_key=True),
    Column("owner", Text),
    Column("epoch", Integer, nullable=False),
    Column("until", Double, nullable=False),
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("mailbox", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("second", Boolean, nullable=False),
    Column("since", Double, nullable=False),
    **SMALL_ROWS,
)
Index("mailbox_first", mailbox.c.mailbox, unique=True, **only_where(mailbox.c.second.is_(false())))

folder = Table(
    "folder",
    metadata,
    Column("account", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("start_at", Double),
    # When a listing began that proved that nothing is missing; when the whole folder was compared last; what is in doubt.
    Column("checked_at", Double),
    Column("compared_at", Double),
    Column("doubt", Text, nullable=False, server_default=""),
    **SMALL_ROWS,
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("size", Id),
    Column("arrival", Double),
    Column("backlog", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Double, nullable=False),
    Column("listed_at", Double, nullable=False),
    Column("gone_at", Double),
    # What the message is known again by under a new key; none where it has no such headers or a later key took over.
    Column("anchor", Text),
    # The mail that this key's bytes are filed as. No foreign key: mail refers to ledger, and one way is enough.
    Column("mail_id", Id),
    # What is owed to the server, as ``str(Action)``.
    Column("owed", Text),
    # What will be owed once the same bytes came again, at ``due`` at the earliest; empty: nothing. None where they need not come.
    Column("again", Text),
    # How often other bytes came under this key than were filed before.
    Column("others", Integer, nullable=False, server_default="0"),
    # The mail that was filed under this key before it named another message.
    Column("former", Id),
    # What the server calls the message in each folder that shows it.
    Column("spanning_id", Text),
    # It was offered, and its summary is in `offer`.
    Column("described", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("account", "folder", "key", name="ledger_key"),
    **NEVER_REUSED,
)
Index("ledger_waiting", ledger.c.account, ledger.c.folder, ledger.c.id, **only_where(ledger.c.state == WAITING))
Index("ledger_owed", ledger.c.account, ledger.c.id, **only_where(ledger.c.owed.is_not(None)))
Index("ledger_again", ledger.c.account, ledger.c.folder, ledger.c.due, **only_where(ledger.c.again.is_not(None)))
Index("ledger_spanning", ledger.c.account, ledger.c.spanning_id, **only_where(ledger.c.spanning_id.is_not(None)))

content = Table(
    "content",
    metadata,
    # The id of the ledger entry that first brought these bytes.
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("size", Id, nullable=False),
    UniqueConstraint("digest", name="content_digest"),
)

chunk = Table(
    "chunk",
    metadata,
    Column("content_id", ForeignKey("content.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

mail = Table(
    "mail",
    metadata,
    Column("id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("content_id", ForeignKey("content.id"), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    # Lists as JSON: they are only ever shown.
    Column("recipients", Text, nullable=False),
    Column("attachments", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # Subject, sender and recipients, case-folded: databases differ in what they fold themselves.
    Column("search", Text, nullable=False),
    Column("sent_at", Double),
    Column("received_at", Double, nullable=False),
    Column("direction", Text, nullable=False),
    # For whom it was filed, as written down when it was: (operator, user) in JSON. The filings are held against it.
    Column("filed_for", Text, nullable=False, server_default="[]"),
    UniqueConstraint("account", "content_id", name="mail_once"),
)
# Whether any mail has these bytes is looked up when a mail is deleted, by the database, too.
Index("mail_content", mail.c.content_id)
# Answers are found by it.
Index("mail_sent", mail.c.message_id, **only_where(mail.c.direction == OUT))

filing = Table(
    "filing",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("unread", Boolean, nullable=False),
    Column("queue", Text),
    Column("filed_at", Double, nullable=False),
    # Digest of what was said of it: of its links, rivals and faults.
    Column("seal", LargeBinary(16)),
    **SMALL_ROWS,
)
# The database looks here whenever a mail is deleted.
Index("filing_mail", filing.c.mail_id)
# Open pages are told of what was filed in the last seconds.
Index("filing_time", filing.c.filed_at)
Index("filing_owner", filing.c.operator, filing.c.owner, **only_where(filing.c.owner.is_not(None)))
Index("filing_queue", filing.c.operator, filing.c.mail_id, **only_where(filing.c.queue.is_not(None)))


def _of_filing() -> tuple[Column[str], Column[int], ForeignKeyConstraint]:
    return (
        Column("operator", Text, primary_key=True),
        Column("mail_id", Id, primary_key=True, autoincrement=False),
        ForeignKeyConstraint(["operator", "mail_id"], ["filing.operator", "filing.mail_id"]),
    )


link = Table(
    "link",
    metadata,
    *_of_filing(),
    Column("kind", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("by_hand", Boolean, nullable=False),
    # Who took it away; the row stays, so that no matcher makes it again.
    Column("removed_by", Text),
    **SMALL_ROWS,
)
Index("link_record", link.c.operator, link.c.kind, link.c.record_id, link.c.mail_id)

rival = Table(
    "rival",
    metadata,
    *_of_filing(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    **SMALL_ROWS,
)

fault = Table(
    "fault",
    metadata,
    *_of_filing(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("by", Text, nullable=False),
    Column("error", Text, nullable=False),
    **SMALL_ROWS,
)

daemon = Table(
    "daemon",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),
    Column("accounts", Integer, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("worker_deaths", Integer, nullable=False),
    # Lists as JSON: they are only ever shown.
    Column("open_breakers", Text, nullable=False),
    Column("config_faults", Text, nullable=False),
    # A daemon of the version before does not name it.
    Column("open_targets", Text, nullable=False, server_default="[]"),
)

health = Table(
    "health",
    metadata,
    Column("account", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("condition", Text, nullable=False),
    # When it was last, whoever says so: who has not seen it yet leaves it as it was.
    Column("checked_at", Double, info=KEPT),
    Column("mail_at", Double, info=KEPT),
    Column("due_at", Double),
    Column("compared_at", Double, info=KEPT),
    Column("failures", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("working_since", Double),
)

request = Table(
    "request",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Text, nullable=False),
    # Task and answer as JSON.
    Column("task", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("answer", Text),
    Column("answered_at", Double),
    **NEVER_REUSED,
)
Index("request_open", request.c.id, **only_where(request.c.answered_at.is_(None)))
