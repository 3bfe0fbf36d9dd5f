"""What authors test with shows them what is wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

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


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("gatewayd.testing.proxy", "Fault", "StreamFault"),
        ("gatewayd.testing.smtp", "Message", "ReceivedMessage"),
        ("gatewayd.testing.fake_mailbox", "Message", "FakeMessage"),
    ],
)
def test_a_name_of_the_release_before_works_and_warns(module: str, old: str, new: str) -> None:
    home = import_module(module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is called {new} now") as warned:
        assert getattr(home, old) is getattr(home, new)
    assert warned[0].filename == __file__, "who uses the old name is told where he does"
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        home.Nothing  # noqa: B018  that it is not there is what is tested
