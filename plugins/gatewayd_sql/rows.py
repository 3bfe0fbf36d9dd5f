"""Convert whole values to rows and back, where fields and columns have the same names."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from gatewayd_sql.times import clean, packed, seconds

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy import Row

__all__ = ["row_of", "value_of"]

_Value = TypeVar("_Value", bound="DataclassInstance")


@cache
def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def row_of(value: DataclassInstance) -> dict[str, object]:
    """Return a row with all fields of a value: times as seconds, texts that every database takes, tuples as JSON."""
    return {name: _column(getattr(value, name)) for name in _names(type(value))}


def _column(value: object) -> object:
    if isinstance(value, datetime):
        return seconds(value)
    if isinstance(value, str):
        return clean(value)
    return packed(value) if isinstance(value, tuple) else value


def value_of(kind: type[_Value], row: Row[*tuple[Any, ...]], **others: object) -> _Value:
    """Return a value whose fields are the row's columns of the same names, but for ``others``."""
    return kind(**{name: getattr(row, name) for name in _names(kind) if name not in others}, **others)
