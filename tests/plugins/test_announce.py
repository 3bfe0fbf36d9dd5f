"""The sample observer of config/plugins and docs/writing-an-observer.md, told as the daemon tells it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Filing, MailFiled
from gatewayd.daemon.observers import Observers
from gatewayd.registry import loading
from tests.patience import LONG
from tests.unit.log import logged

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "writing-an-observer.md"
SAMPLE = ROOT / "config" / "plugins" / "announce.py"


def shown() -> Mapping[str, str]:
    return dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def mail(mail_id: int, *, backlog: bool = False) -> MailFiled:
    filings = tuple(Filing(operator=name, user=None) for name in ("acme", "globetrot"))
    return MailFiled(
        account="reservations",
        folder="INBOX",
        key="7:12",
        mail_id=mail_id,
        size=2048,
        received_at=None,
        backlog=backlog,
        filings=filings,
    )


def told(folder: Path, *events: MailFiled) -> str:
    """Let the plugins of a folder hear of events as in the daemon; return what the log says."""
    with logged() as log:
        registry = loading.load(folder)
        assert [(one.name, one.offers) for one in registry.plugins if one.source == str(folder / "announce.py")] == [
            ("announce", (("observers", "mail_filed"),))
        ]
        observers = Observers(registry)
        for event in events:
            observers.tell(event)
        observers.close(timeout=LONG)
        return log.getvalue()


@pytest.fixture(params=["sample", "page"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    text = SAMPLE.read_text() if request.param == "sample" else shown()["plugins/announce.py"]
    (tmp_path / "announce.py").write_text(text)
    return tmp_path


def test_each_new_mail_is_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "announced.jsonl"
    monkeypatch.setenv("GATEWAYD_ANNOUNCE", str(file))
    assert told(folder, mail(16, backlog=True), mail(17), mail(18)) == ""
    first, second = file.read_text().splitlines(keepends=True)
    assert first == shown()["announced.jsonl"]
    assert json.loads(second)["id"] == 18


def test_without_the_variable_it_does_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAYD_ANNOUNCE", raising=False)
    assert told(folder, mail(17)) == ""


def test_a_file_that_can_not_be_written_is_one_line_in_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAYD_ANNOUNCE", str(folder / "none" / "announced.jsonl"))
    assert "observer failed plugin=announce hook=gatewayd_mail_filed error=FileNotFoundError" in told(folder, mail(17))


def test_page_and_sample_are_the_same_but_for_types() -> None:
    def body(text: str) -> str:
        (function,) = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        function.returns = function.args.args[0].annotation = None
        return ast.unparse(function)

    assert body(SAMPLE.read_text()) == body(shown()["plugins/announce.py"])


def test_the_page_names_every_hook_that_tells() -> None:
    named = re.findall(r"^\| `gatewayd_(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert tuple(named) == loading.OBSERVERS
