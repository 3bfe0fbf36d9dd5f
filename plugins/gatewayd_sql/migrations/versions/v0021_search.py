"""An index of the words of mail. All mail that is there waits for it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, insert, select

from gatewayd_sql.dialect import SMALL_ROWS, Id, Words

revision = "0021"
down_revision = "0020"

metadata = MetaData()

# As far as it is spoken of here.
mail = Table("mail", metadata, Column("id", Id, primary_key=True))

unindexed = Table(
    "unindexed",
    metadata,
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
)

indexed = Table(
    "indexed",
    metadata,
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    Column("words", Words, nullable=False),
)

operator_number = Table(
    "operator_number",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    **SMALL_ROWS,
)

INDEXES = {
    "sqlite": (
        """
        CREATE VIRTUAL TABLE indexed_words
        USING fts5(words, content='indexed', content_rowid='mail_id', columnsize=0, tokenize='ascii')
        """,
        """
        CREATE TRIGGER indexed_added AFTER INSERT ON indexed
        BEGIN INSERT INTO indexed_words (rowid, words) VALUES (new.mail_id, new.words); END
        """,
        """
        CREATE TRIGGER indexed_deleted AFTER DELETE ON indexed
        BEGIN INSERT INTO indexed_words (indexed_words, rowid, words) VALUES ('delete', old.mail_id, old.words); END
        """,
    ),
    "postgresql": (
        # Each mail that is found is looked at in its table: words lie beside it, so that it is small.
        "ALTER TABLE indexed SET (toast_tuple_target = 128)",
        "ALTER TABLE indexed ALTER COLUMN words SET STORAGE EXTERNAL",
        "CREATE INDEX indexed_words ON indexed USING gin (words)",
    ),
}


def upgrade() -> None:
    """Make the tables and their index, and let all mail wait."""
    connection = op.get_bind()
    for table in (unindexed, indexed, operator_number):
        table.create(connection)
    for statement in INDEXES[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    connection.execute(insert(unindexed).from_select(["mail_id"], select(mail.c.id)))
