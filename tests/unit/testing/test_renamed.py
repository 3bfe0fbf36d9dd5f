"""What authors test with shows them what is wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import gatewayd.testing
from gatewayd.testing.renamed import MovedModule

if TYPE_CHECKING:
    from pathlib import Path

_TEST = """
from gatewayd import Link, Matcher, Rivals
from gatewayd.testing import make_mail, make_record
from gatewayd.testing.contracts.matching import MatcherContract

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
        ("gatewayd.testing.servers.proxy", "Fault", "StreamFault"),
        ("gatewayd.testing.servers.smtp", "Message", "ReceivedMessage"),
        ("gatewayd.testing.fakes.mailbox", "Message", "FakeMessage"),
        ("gatewayd.testing.messages", "nasties", "malformed_messages"),
        ("gatewayd.testing.messages.malformed", "nasties", "malformed_messages"),
    ],
)
def test_a_name_of_the_release_before_works_and_warns(module: str, old: str, new: str) -> None:
    home = import_module(module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is called {new} now") as warned:
        assert getattr(home, old) is getattr(home, new)
    assert warned[0].filename == __file__, "who uses the old name is told where he does"
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        home.Nothing  # noqa: B018  that it is not there is what is tested


def test_modules_of_the_release_before_work_and_warn() -> None:
    before = import_module("gatewayd.testing.contract_matching")
    now = import_module("gatewayd.testing.contracts.matching")
    told = "gatewayd.testing.contract_matching is called gatewayd.testing.contracts.matching now"
    with pytest.warns(DeprecationWarning, match=told) as warned:
        contract = before.MatcherContract
    assert contract is now.MatcherContract
    assert warned[0].filename == __file__, "who uses the old name is told where he does"
    with pytest.warns(DeprecationWarning, match=told), pytest.raises(AttributeError, match="Nothing"):
        before.Nothing  # noqa: B018  that it is not there is what is tested


def test_every_module_of_the_release_before_leads_to_one_that_exists() -> None:
    moved = {name: module for name, module in vars(gatewayd.testing).items() if isinstance(module, MovedModule)}
    assert {"contract_store", "custodian", "fake_watch", "nasties", "proxy"} <= set(moved)
    for name, module in moved.items():
        assert import_module(f"gatewayd.testing.{name}") is module
        import_module(module.new)
