"""Lines are counted while new ones are reached, and again by the next test."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

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
    with counted_while_new(0.05):
        part()
counting.stop()
print(*counting.get_data().lines(counted.__file__))
"""


def test_lines_are_counted_while_a_test_reaches_new_ones_and_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "counted.py").write_text(COUNTED)
    done = subprocess.run([sys.executable, "-c", COUNTING, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    reached = {COUNTED.splitlines()[int(number) - 1].strip() for number in done.stdout.split()}
    assert 'return "steady"' in reached
    assert "spin(0.5)" in reached
    assert 'return "late"' not in reached
    assert 'return "after"' in reached
