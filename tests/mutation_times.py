"""A pytest plugin by which ``./gw mutate`` learns how long each test takes, for the file that GATEWAYD_TEST_TIMES names."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_seconds = Counter[str]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration  # type: ignore[assignment]  # mypy takes a Counter's values for whole numbers


def pytest_sessionfinish() -> None:
    # Where tests run in several processes, their reports come together in the one that has started them, which ends last.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        Path(os.environ["GATEWAYD_TEST_TIMES"]).write_text(json.dumps(_seconds))
