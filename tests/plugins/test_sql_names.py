"""Every column that has the name of an account, operator or user is changed by a rename, and whatever hangs on an account's mail goes when
the account is forgotten: also in tables that are yet to come.

A new table fails the first test until each of its texts is a name that ``gatewayd_sql.renaming`` knows, or stands below.
"""

from __future__ import annotations

from sqlalchemy import Text

import gatewayd_sql.store  # noqa: F401  it has all tables
from gatewayd_sql.forgetting import KEPT, OF_ENTRIES, OF_MAILS
from gatewayd_sql.migrations import VERSION_TABLE
from gatewayd_sql.renaming import HOLDERS, PLACES, columns
from gatewayd_sql.tables import metadata

#: Texts that no rename changes, with why. What stands here has no name of an account, operator or user, or one that is to stay.
NO_NAMES = {
    # Processes that hold something, or say how things are.
    "lease.owner", "daemon.owner", "health.owner", "directory.owner", "delivery.taker",
    # Who did something, as it was called then: often the user of the operating system.
    "link.by", "link.removed_by", "rival.by", "fault.by", "offered_to.who", "renamed.who", "delivery.cause",
    # What people and servers wrote, and what is said to people.
    "mail.sender", "mail.sender_name", "mail.recipients", "mail.attachments", "mail.subject", "mail.search", "mail.message_id",
    "offer.sender", "offer.sender_name", "offer.senders", "offer.recipients", "offer.subject", "offer.search",
    "refused.senders", "refused_filing.sender", "recipient.address", "recipient.words", "delivery.message_id", "delivery.words",
    "server_id.id", "suspension.cause", "ledger.cause", "offered_to.cause", "fault.error", "link.because", "rival.because",
    "health.error", "health.advice", "directory.error", "directory.faults", "directory.warnings", "folder.doubt",
    "daemon.config_faults",
    # Folders, keys and states of messages.
    "folder.folder", "folder.cursor", "ledger.folder", "ledger.key", "ledger.state", "ledger.anchor", "ledger.owed", "ledger.again",
    "ledger.spanning_id", "mail.folder", "mail.key", "mail.direction", "offered_to.decision", "delivery.state", "recipient.state",
    "health.condition", "directory.condition", "mailbox.mailbox", "account_share.state",
    # Records, matchers, forwarders, targets, queues, versions and settings.
    "link.kind", "link.record_id", "link.label", "rival.kind", "rival.record_id", "rival.label", "filing.queue", "fingerprint.kind",
    "fingerprint.fingerprint", "judged.settings", "judged.version", "provisional.version", "directory.version", "directory.rows",
    "delivery.forwarder", "delivery.target", "delivery.mode", "delivery.note", "suspension.target", "daemon.version",
    "daemon.open_breakers", "daemon.open_targets",
    # Sealed secrets are bound to mailboxes and clients, whose names no rename changes.
    "secret.name", "secret.key_id",
    # Mailboxes that users added: their accounts keep their names, which nothing else ever has.
    "user_account.name", "user_account.mark", "user_account.kind", "user_account.host", "user_account.security",
    "user_account.address", "user_account.username", "user_account.key_id", "given_name.stem",
    # People who use the pages; the activity log says who did something, as it was called then.
    "web_session.address", "web_session.agent", "user_password.key_id", "second_factor.key_id", "activity.who", "activity.what",
    "activity.detail", "activity.address",
    # Of visits that are asked for just now: whoever asks of the old name is told so.
    "request.task", "request.answer",
    # The renames themselves.
    "renamed.kind", "renamed.old", "renamed.new",
}  # fmt: skip
#: Texts that have names within, which ``gatewayd_sql.renaming`` changes there.
WITHIN = {"delivery.lane", "mail.filed_for", "refused.admitted"}


def test_every_text_of_every_table_is_known_to_renames_or_has_no_name() -> None:
    renamed = {str(column) for kind in PLACES for column in columns(kind)}
    texts = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, Text) and table.name != VERSION_TABLE
    }
    unknown = texts - renamed - NO_NAMES - WITHIN
    assert not unknown, f"does a rename change {sorted(unknown)}? See the docstring of this module"
    assert renamed | NO_NAMES | WITHIN == texts, "what is gone from the tables is gone from here"
    assert renamed.isdisjoint(NO_NAMES)


def test_who_holds_something_is_no_user() -> None:
    assert metadata.tables.keys() >= HOLDERS


def test_whatever_hangs_on_entries_mails_and_deliveries_goes_when_the_account_is_forgotten() -> None:
    tables = metadata.tables
    hanging = {
        parent: {table.name for table in tables.values() for key in table.foreign_keys if key.column.table is tables[parent]}
        for parent in tables
    }
    assert hanging["ledger"] == {table.name for table in OF_ENTRIES} | {"mail"}
    assert hanging["mail"] | hanging["filing"] == {table.name for table in OF_MAILS}
    assert hanging["delivery"] == {"recipient", "server_id"}
    assert hanging["content"] == {"chunk", "mail"}
    # What hangs on these would have to go, too, before them.
    assert not any(hanging[table.name] for table in (*OF_ENTRIES, *OF_MAILS) if table.name not in ("filing", "delivery"))
    assert {table.name for table in KEPT} == {"ledger", "mail", "delivery", "lease"}
