from __future__ import annotations

import sqlite3
import sys

import pytest

from tests import leaks

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python warns by itself")


def test_a_database_that_nobody_can_close_any_more_is_found_with_its_test() -> None:
    sqlite3.connect(":memory:").execute("SELECT 1").fetchone()
    (test,) = leaks.left_open()
    assert "test_a_database_that_nobody_can_close_any_more" in test
    assert leaks.left_open() == []


def test_one_in_a_cycle_is_found_too() -> None:
    holder: list[object] = [sqlite3.connect(":memory:")]
    holder.append(holder)
    del holder
    assert len(leaks.left_open()) == 1


def test_one_that_is_closed_or_still_in_use_is_none() -> None:
    sqlite3.connect(":memory:").close()
    used = sqlite3.connect(":memory:")
    assert leaks.left_open() == []
    used.close()


def test_databases_are_looked_for_after_each_file(request: pytest.FixtureRequest) -> None:
    assert "_databases_are_closed" in request.fixturenames
