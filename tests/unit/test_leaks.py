from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import leaks
from tests.e2e.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_file_of_tests_that_leaves_a_database_open_fails(tmp_path: Path) -> None:
    file = tmp_path / "test_leaving.py"
    file.write_text("import sqlite3\n\n\ndef test_it_passes():\n    sqlite3.connect(':memory:')\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed, 1 error" in done.stdout
    assert "these tests leave a database open" in done.stdout
