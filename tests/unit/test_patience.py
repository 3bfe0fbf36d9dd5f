from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests import patience
from tests.patience import BUSY, Stopwatch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pressure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(patience, "_PRESSURE", tmp_path / "cpu")
    return tmp_path / "cpu"


def tell(pressure: Path, seconds: float) -> None:
    pressure.write_text(f"some avg10=0.00 avg60=0.00 avg300=0.00 total={round(seconds * 1e6)}\nfull avg10=0.00 total=0\n")


def test_time_in_which_nobody_waits_for_a_processor_counts_as_it_is(pressure: Path) -> None:
    tell(pressure, 7)
    watch = Stopwatch()
    time.sleep(0.5)
    assert watch.seconds >= 0.5


def test_time_in_which_somebody_waits_counts_less(pressure: Path) -> None:
    tell(pressure, 7)
    began, watch = time.monotonic(), Stopwatch()
    time.sleep(0.5)
    tell(pressure, 1007)
    assert watch.seconds <= (time.monotonic() - began) / BUSY
    assert watch.seconds >= 0.5 / BUSY


@pytest.mark.usefixtures("pressure")
def test_where_nobody_tells_the_machine_may_be_busy() -> None:
    began, watch = time.monotonic(), Stopwatch()
    time.sleep(0.5)
    assert watch.seconds <= (time.monotonic() - began) / BUSY
