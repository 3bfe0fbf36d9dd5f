"""A command that is told to end does so, whatever a plugin is doing, and nothing is blamed on the plugin."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House
from tests.patience import LONG

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """
import sys, time
from gatewayd import Matcher, hookimpl

class Slow(Matcher):
    kind = "slow"
    def match(self, mails, directory):
        print("matching", file=sys.stderr, flush=True)
        time.sleep(60)
        return []

@hookimpl
def gatewayd_matchers():
    return [Slow]
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_matcher_does_not_keep_a_command_from_ending(tmp_path: Path, number: signal.Signals, code: int) -> None:
    house = House(tmp_path)
    house.operator("acme", matchers="[slow]")
    house.write("plugins/slow.py", SLOW)
    (tmp_path / "mail.eml").write_bytes(b"Subject: 756\r\n\r\n")
    with house.start("explain", tmp_path / "mail.eml") as process:
        assert process.stderr
        # On a busy machine it says before what it waits for.
        assert any(line == "matching\n" for line in process.stderr)
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == code
    assert "fault" not in out
    assert "Traceback" not in err
