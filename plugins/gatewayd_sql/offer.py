"""The store ``sql`` as it is offered: light to import. Its verbs, and SQLAlchemy with them, are imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Store
from gatewayd_sql.options import SqlOptions

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SqlOffer"]


class SqlOffer(Store):
    """Makes instances of ``Sql``, as ``pathlib.Path`` makes those of its subclass."""

    kind = "sql"
    Options = SqlOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: SqlOptions

    def __new__(cls, *_arguments: object, **_named: object) -> Self:
        """Import the verbs, and make what has them."""
        from gatewayd_sql.store import Sql  # noqa: PLC0415  SQLAlchemy takes a fifth of a second to import

        return object.__new__(Sql if cls is SqlOffer else cls)  # type: ignore[return-value]  # it is derived from this one


# The registry refuses a class that lacks verbs; ``Sql``, which is made, has them all.
SqlOffer.__abstractmethods__ = frozenset()
