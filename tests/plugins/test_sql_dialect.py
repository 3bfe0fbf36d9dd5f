"""What SQLite and PostgreSQL are each told."""

from __future__ import annotations

import pytest
from sqlalchemy import Boolean, Column, Index, Integer, MetaData, Table, create_engine
from sqlalchemy.schema import CreateIndex

from gatewayd_sql.dialect import only_where

_ROWS = Table("rows", MetaData(), Column("a", Integer), Column("gone", Boolean))


def _said(index: Index, url: str) -> str:
    return str(CreateIndex(index).compile(dialect=create_engine(url).dialect))


@pytest.mark.parametrize("url", ["postgresql+psycopg://", "sqlite://"])
def test_an_index_holds_only_the_rows_that_fit(url: str) -> None:
    index = Index("large", _ROWS.c.a, **only_where(_ROWS.c.a > 1))
    assert _said(index, url) == "CREATE INDEX large ON rows (a) WHERE a > 1"


def test_an_index_of_another_plugin_keeps_its_own_words() -> None:
    index = Index("once", _ROWS.c.a, unique=True, postgresql_where=_ROWS.c.gone.is_(False))
    assert _said(index, "postgresql+psycopg://") == "CREATE UNIQUE INDEX once ON rows (a) WHERE gone IS false"
