"""The tables by which mail is found. Importing this module makes ``metadata`` complete.

unindexed        mails that wait for the index
indexed          the words of each mail, each with the mark of an operator that it is filed for
operator_number  by which number marks name an operator: it stays what it is when the operator gets another name

SQLite finds mail by ``indexed_words`` (sqlite.org/fts5.html, "External Content Tables"), which triggers keep as ``indexed`` is;
PostgreSQL by an index of ``indexed`` (manual, 12.9).
"""

from __future__ import annotations

from sqlalchemy import DDL, Column, ForeignKey, Integer, Table, Text, event

from gatewayd_sql.access_tables import metadata
from gatewayd_sql.dialect import SMALL_ROWS, Words

__all__ = ["INDEXES", "indexed", "metadata", "operator_number", "unindexed"]

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

#: What makes the index of words, by database. Words come folded: its tokenizer only has to cut at blanks.
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
for dialect, statements in INDEXES.items():
    for statement in statements:
        event.listen(indexed, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]
