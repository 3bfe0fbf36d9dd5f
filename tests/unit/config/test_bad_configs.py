"""Every folder of tests/bad_configs is a config that is wrong in its own way; its ``expected-error`` has all its faults."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gatewayd import config
from gatewayd.errors import ConfigError

_CASES = sorted(path for path in (Path(__file__).parents[2] / "bad_configs").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", _CASES, ids=lambda folder: folder.name)
def test_every_fault_is_found_at_its_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    try:
        faults = config.load(shutil.copytree(folder, tmp_path / "config")).faults
    except ConfigError as error:
        faults = error.faults
    assert "".join(f"{fault}\n" for fault in faults) == (folder / "expected-error").read_text(encoding="utf-8")
    assert faults


def test_there_are_at_least_forty_cases_numbered_without_gaps() -> None:
    assert sorted(int(folder.name.partition("-")[0]) for folder in _CASES) == list(range(1, len(_CASES) + 1))
    assert len(_CASES) >= 40


def test_P9_no_expected_error_shows_a_password() -> None:
    shown = "".join((folder / "expected-error").read_text(encoding="utf-8") for folder in _CASES)
    assert "hunter" not in shown
    assert "0815" not in shown
