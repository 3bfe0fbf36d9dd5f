"""Patterns mean the same to each Python that gatewayd runs with.

Before 3.11.5, and so on a Debian 12 that has not been updated, a possessive group goes on from a wrong place where it began once more
and could not end (https://github.com/python/cpython/issues/106052).
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]  # what a pattern is made of, is told by nothing else
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLUGINS = sorted(one.name for one in (Path(__file__).parent.parent / "plugins").glob("gatewayd_*"))
_SIGNS = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY}
_POSSESSIVE = {_constants.POSSESSIVE_REPEAT, _constants.ATOMIC_GROUP}


def _modules() -> Iterator[str]:
    for root in ("gatewayd", *PLUGINS):
        yield root
        yield from (one.name for one in pkgutil.walk_packages(importlib.import_module(root).__path__, f"{root}."))


def _patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    for name in _modules():
        # What runs as it is imported.
        if name.endswith(("__main__", ".migrations.env")) or ".testing" in name:
            continue
        for word, value in vars(importlib.import_module(name)).items():
            values = value if isinstance(value, (tuple, list)) else value.values() if isinstance(value, dict) else [value]
            flat = [each for one in values for each in (one if isinstance(one, tuple) else [one])]
            yield from ((f"{name}.{word}", one) for one in flat if isinstance(one, re.Pattern))


def _wrong(found: object) -> Iterator[str]:
    """Yield each possessive group that may begin and not end; as the parser of ``re`` shows patterns."""
    if isinstance(found, tuple) and len(found) == 2 and found[0] in _POSSESSIVE:
        body = list(found[1][-1] if found[0] is _constants.POSSESSIVE_REPEAT else found[1])
        if not _is_sound(body):
            yield str(body)
    if isinstance(found, (tuple, list, _parser.SubPattern)):
        for one in found:
            yield from _wrong(one)


def _is_sound(body: Sequence[tuple[object, Any]]) -> bool:
    """Whether a try that fails leaves no trace: signs alone, but for a run at either end; or one sign, or an escaped one."""
    if len(body) == 1 and body[0][0] is _constants.BRANCH:
        return all(len(one) <= 2 and all(kind in _SIGNS for kind, _ in one) for one in body[0][1][1])
    first, *others = body
    if others and _is_run(others[-1]) and others[-1][1][0] == 0:
        # It may be empty, so that nothing can fail behind what is before it.
        others.pop()
    return (_is_run(first) or first[0] in _SIGNS) and all(kind in _SIGNS for kind, _ in others)


def _is_run(part: tuple[object, Any]) -> bool:
    return part[0] is _constants.POSSESSIVE_REPEAT and len(part[1][2]) == 1 and part[1][2][0][0] in _SIGNS


def test_no_possessive_group_of_ours_may_begin_and_not_end() -> None:
    """Most of them can do without being possessive: what goes on inside is."""
    found = {name: list(_wrong(_parser.parse(one.pattern, one.flags))) for name, one in _patterns()}
    assert len(found) > 100
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "pattern",
    [
        '[^"]*+(?:"(?:[^"\\\\]|\\\\.)*+"[^"]*+)*+',
        "(?:ab?c)++",
        "(?:a|bcd)*+",
        "(?:\\n[ ]++)?+x",
        "(?:\\.a(?<!b))*+",
        "(?>ab?c)",
        "a(?:b(?:c|de?)*+)",
    ],
)
def test_such_a_group_would_be_found(pattern: str) -> None:
    assert list(_wrong(_parser.parse(pattern)))


@pytest.mark.parametrize("pattern", ["a++", "[ab]{1,9}+", '"(?:[^"\\\\]|\\\\.)*+"', "(?:[a-z]++\\.)*+x", "(?:\\.[a-z])*+"])
def test_a_sound_one_is_none(pattern: str) -> None:
    assert not list(_wrong(_parser.parse(pattern)))
