"""What authors test with shows them what is wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TEST = """
from gatewayd import Link, Matcher, Rivals
from gatewayd.testing import make_mail, make_record
from gatewayd.testing.contract_matching import MatcherContract

ROME = make_record("product", "1", "Rome")

class Alone(Matcher):
    kind = "alone"

    def match(self, mails, directory):
        return [Rivals(mail.id, (ROME,), "rome") for mail in mails]

class TestAlone(MatcherContract):
    matcher = Alone
    mails = (make_mail(),)
"""


def test_a_contract_that_is_not_met_shows_the_values(tmp_path: Path) -> None:
    (tmp_path / "test_alone.py").write_text(_TEST)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-k", "rivals", "test_alone.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "assert 1 > 1" in done.stdout
    assert "len({('product', '1')})" in done.stdout
