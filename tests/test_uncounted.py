"""Lines are counted while new ones are reached, and again by the next test."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COUNTED = """
import time

def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def steady():
    spin(0.03)
    spin(0.03)
    spin(0.03)
    spin(0.03)
    spin(0.03)
    spin(0.03)
    spin(0.03)
    return "steady"

def late():
    spin(0.5)
    return "late"

def after():
    return "after"

def case(number):
    if number < 5:
        return "known"
    return "one more case"
"""
COUNTING = """
import sys
from coverage import Coverage
from tests.uncounted import counted_while_new
counting = Coverage(data_file=None, include=[sys.argv[1] + "/*"], config_file=False)
counting.start()
sys.path.insert(0, sys.argv[1])
import counted
for part in (counted.steady, counted.late, counted.after):
    with counted_while_new(part.__name__, 0.05):
        part()
for number in range(int(sys.argv[2])):
    with counted_while_new("cases", 0.05):
        counted.case(number)
counting.stop()
print(*counting.get_data().lines(counted.__file__))
"""

COMMANDS = """
import sys
from pathlib import Path
from tests.e2e import warm
warm.count({}, Path(sys.argv[1]))
print(*(warm.is_one_of_few([word, "acme", f"--key={number}"]) for word in ("import", "check") for number in range(3)))
"""


def reached_by(folder: Path, source: str = COUNTED, *, cases: int = 0) -> set[str]:
    """The lines that were counted."""
    (folder / "counted.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, folder, str(cases)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {source.splitlines()[int(number) - 1].strip() for number in done.stdout.split()}


def test_lines_are_counted_while_a_test_reaches_new_ones_and_by_the_next_one(tmp_path: Path) -> None:
    reached = reached_by(tmp_path)
    assert 'return "steady"' in reached
    assert "spin(0.5)" in reached
    assert 'return "late"' not in reached
    assert 'return "after"' in reached


@pytest.mark.parametrize(("new_at", "is_counted"), [(5, True), (15, False)])
def test_cases_of_which_ten_reach_nothing_new_are_not_counted_any_more(tmp_path: Path, new_at: int, *, is_counted: bool) -> None:
    source = COUNTED.replace("number < 5", f"number < {new_at}")
    assert ('return "one more case"' in reached_by(tmp_path, source, cases=20)) is is_counted


def test_few_commands_of_a_kind_are_counted_by_all_processes_of_a_run_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMMANDS, str(tmp_path)]
    ends = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    assert ends == [["True"] * 6, ["True", "False", "False"] * 2, ["False"] * 6]
