"""Finds times that don't say in which zone they are."""

from __future__ import annotations

import re

__all__ = ["naked_times"]

#: What others said is quoted: servers have times of their own.
_QUOTED = re.compile(r"'[^'\n]{0,300}'")
_TIME = re.compile(r"(?<!\[)\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?![\d:.,]\d|\d|Z| ?[+-]\d\d| UTC)")


def naked_times(text: str) -> list[str]:
    """Return the times in a text that have no zone."""
    return _TIME.findall(_QUOTED.sub("", text))
