"""The rows of ``bench.web``: filings, made by SQL, and the words of their mail, few of them in much of it and most in little."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING

from sqlalchemy import text

from gatewayd_sql.search_tables import INDEXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

__all__ = ["COMMON", "OPERATORS", "block", "fill", "operator_of", "rare"]

OPERATORS = 10
#: Of 100 mails the first operator has so many.
_LARGEST = 60
#: Words that all mail draws from, the first ones far more often; and how many a mail has of them.
_WORDS, _A_MAIL = 50_000, 80
#: So many ways to put them together, each with a word of its own, are enough.
_BLOCKS = 4_000
#: Ids are in stretches of so many, as a power of two, and so many rows go in at once.
_STRETCH, _AT_ONCE = 14, 5_000

_random = random.Random(1)
_vocabulary = ["".join(_random.choices("abcdefghijklmnoprstuvwz", k=_random.randint(3, 12))) for _ in range(_WORDS)]
COMMON: Sequence[str] = _vocabulary[:20]
_often = [*accumulate(1 / (place + 2) for place in range(_WORDS))]
_blocks = [" ".join(("_" + word) for word in _random.choices(_vocabulary, cum_weights=_often, k=_A_MAIL)) for _ in range(_BLOCKS)]


def operator_of(number: int) -> int:
    """Return the number of the operator that has a mail."""
    spot = number * 7919 % 100
    return 1 if spot < _LARGEST else 2 + spot % (OPERATORS - 1)


def rare(number: int) -> str:
    """Return a word that one mail of each ``_BLOCKS`` has, and so 150 mails of the largest operator in a million."""
    return f"only{number * 31 % _BLOCKS}"


def block(number: int) -> str:
    """Return the text of a mail."""
    return f"{_blocks[number * 31 % _BLOCKS]} _{rare(number)} _number{number}"


_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
_SPOT = "i % 100 * 7919 % 100"
_OPERATOR = f"CASE WHEN {_SPOT} < {_LARGEST} THEN 'operator-1' ELSE 'operator-' || (2 + {_SPOT} % {OPERATORS - 1}) END"
_ACCOUNT = f"'account-' || ({_SPOT}) || CASE WHEN i % 10 = 0 THEN '-own-' || (i / 10 % 20) ELSE '' END"
_DIGEST = {"sqlite": "CAST(printf('%032d', i) AS BLOB)", "postgresql": "decode(lpad(i::text, 64, '0'), 'hex')"}
_FILE = '[["offer.pdf", "application/pdf", 1000, 0, 1000, "base64", ""]]'
#: Seconds since 1970 at which the last mail came, and between two.
_NOW, _APART = 1_795_000_000, 30
_TIME = f"({_NOW} - (:last - i) * {_APART}.0)"


def fill(connection: Connection, last: int) -> None:
    """Make so many filings, and the index of their words."""
    dialect = connection.dialect.name
    made = {
        "ledger (id, account, folder, key, state, cause, size, arrival, backlog, tries, due, listed_at, mail_id)": (
            f"i, {_ACCOUNT}, 'INBOX', '1:' || i, 'filed', '', 2000, {_TIME}, false, 0, 0, {_TIME}, i"
        ),
        "content (id, digest, size)": f"i, {_DIGEST[dialect]}, 2000",
        (
            "mail (id, account, folder, key, content_id, message_id, sender, sender_name, recipients, attachments, subject, search,"
            " sent_at, received_at, direction, filed_for)"
        ): (
            f"i, {_ACCOUNT}, 'INBOX', '1:' || i, i, '<' || i || '@example.com>', 'person-' || (i % 5000) || '@example.com', 'A',"
            f" '[\"desk@example.com\"]', CASE WHEN i % 4 = 0 THEN '{_FILE}' ELSE '[]' END, 'Booking ' || i, 'booking ' || i,"
            f" {_TIME}, {_TIME}, CASE WHEN i % 20 = 0 THEN 'out' ELSE 'in' END, '[]'"
        ),
        "filing (operator, mail_id, owner, unread, queue, filed_at)": (
            f"{_OPERATOR}, i, CASE WHEN i % 10 = 0 THEN 'user-' || (i / 10 % 20) END, i % 50 = 0, NULL, {_TIME}"
        ),
        "link (operator, mail_id, kind, record_id, label, by, because, by_hand)": (
            f"{_OPERATOR}, i, 'customer', 'C' || (i % 3000), 'A customer', 'contacts', 'its address', false"
        ),
    }
    for table, columns in made.items():
        first = "by" if "link" in table else ""
        names = table.replace(" by,", ' "by",') if first else table
        connection.execute(
            text(f"INSERT INTO {names} {_NUMBERS} SELECT {columns} FROM n".replace("'1:'", "'1\\:'")), {"last": last}
        )
    for operator in range(1, OPERATORS + 1):
        connection.execute(
            text("INSERT INTO operator_number VALUES (:name, :number)"), {"name": f"operator-{operator}", "number": operator}
        )
        users = [{"operator": f"operator-{operator}", "name": f"user-{number}"} for number in range(20)]
        connection.execute(text('INSERT INTO known_user (operator, name, "left", old) VALUES (:operator, :name, false, 0)'), users)
    _index(connection, last)
    if dialect == "postgresql":
        connection.execute(text("SELECT setval(pg_get_serial_sequence('ledger', 'id'), :last)"), {"last": last})


def _index(connection: Connection, last: int) -> None:
    """Index all words: on PostgreSQL at the end, since that is faster."""
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        connection.execute(text("DROP INDEX indexed_words"))
    made, value = (_vector, "CAST(:words AS tsvector)") if postgresql else (_marked, ":words")
    insert = text(f"INSERT INTO indexed VALUES (:mail_id, {value})")
    for first in range(1, last + 1, _AT_ONCE):
        connection.execute(
            insert, [{"mail_id": number, "words": made(number)} for number in range(first, min(first + _AT_ONCE, last + 1))]
        )
    for statement in INDEXES["postgresql"] if postgresql else ():
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        connection.execute(text(statement))


def _mark(number: int) -> str:
    return f"{operator_of(number)}x{number >> _STRETCH}x"


def _marked(number: int) -> str:
    return block(number).replace("_", _mark(number))


def _vector(number: int) -> str:
    places: dict[str, list[int]] = {}
    for place, word in enumerate(_marked(number).split(), 1):
        places.setdefault(word, []).append(place)
    return " ".join(f"{word}:{','.join(map(str, at))}" for word, at in places.items())
