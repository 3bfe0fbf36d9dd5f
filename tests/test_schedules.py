"""docs/schedules.md: its account is read as it says, and systemd takes its units."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import time
from typing import TYPE_CHECKING

from gatewayd import cli, config
from gatewayd.runtime.times_of_day import TimesOfDay
from tests.e2e.house import ROOT
from tests.patience import LONG
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BLOCKS = {block.name or block.language: block.text for block in blocks(ROOT / "docs" / "schedules.md")}
UNITS = "/etc/systemd/system"


def test_the_account_has_the_times_that_the_page_speaks_of(tmp_path: Path) -> None:
    for name, text in (
        ("gatewayd.yaml", "state: state\n"),
        ("operators/acme.yaml", "{}\n"),
        ("accounts/quotes.yaml", BLOCKS["/etc/gatewayd/accounts/quotes.yaml"]),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    loaded = config.load(tmp_path)
    assert loaded.faults == ()
    assert loaded.accounts["quotes"].at == TimesOfDay((time(7), time(12, 30)), "Europe/Berlin")


def test_systemd_takes_the_units_and_the_command_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which("true") or ""
    for kind in ("service", "timer"):
        text = BLOCKS[f"{UNITS}/gatewayd-import@.{kind}"]
        (tmp_path / f"gatewayd-import@.{kind}").write_text(text.replace("/usr/local/bin/gatewayd", program))
    instances = [str(tmp_path / f"gatewayd-import@quotes.{kind}") for kind in ("service", "timer")]
    # Found beside the instance's name.
    verify = ["systemd-analyze", "verify", "--recursive-errors=yes", *instances]
    done = subprocess.run(
        verify, env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}, capture_output=True, text=True, timeout=LONG, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    service = BLOCKS[f"{UNITS}/gatewayd-import@.service"]
    assert re.findall(r"^ExecStart=/usr/local/bin/gatewayd (\w+) %i$", service, re.MULTILINE) == ["import"]
    assert cli.run(["import", "--help"]) == 0
    assert "ACCOUNT" in capsys.readouterr().out


def test_the_commands_are_for_units_of_the_page() -> None:
    named = re.findall(r"gatewayd-import@[\w*]+(?:\.timer)?", BLOCKS["sh"])
    assert named == ["gatewayd-import@quotes.timer", "gatewayd-import@*"]
