"""Convert times and texts to the form in which the tables hold them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import overload

__all__ = ["clean", "first_seconds", "moment", "packed", "seconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_A_MICROSECOND = 5e-7

#: What no database takes as text: NUL, and halves of characters.
_UNFIT = re.compile("[\0\ud800-\udfff]")


@overload
def moment(value: float) -> datetime: ...
@overload
def moment(value: float | None) -> datetime | None: ...
def moment(value: float | None) -> datetime | None:
    """Return seconds since 1970 as a time in UTC."""
    return None if value is None else _EPOCH + timedelta(seconds=value)


@overload
def seconds(value: datetime) -> float: ...
@overload
def seconds(value: datetime | None) -> float | None: ...
def seconds(value: datetime | None) -> float | None:
    """Return an aware time as seconds since 1970."""
    return None if value is None else value.timestamp()


def first_seconds(value: datetime) -> float:
    """Return the least seconds since 1970 that ``moment`` shows as this time: a database's clock says more than microseconds."""
    return value.timestamp() - _HALF_A_MICROSECOND


def clean(text: str) -> str:
    """Return text that every database takes: what it can't hold becomes U+FFFD. The raw bytes stay the truth."""
    # Nearly all texts are told at a glance; to walk through them costs three times as much.
    return text if text.isascii() and "\0" not in text else _UNFIT.sub("\ufffd", text)


def packed(value: object) -> str:
    """Return a value of texts, numbers, lists and dicts as JSON that every database takes, cleaned like text."""
    return clean(json.dumps(value, ensure_ascii=False))
