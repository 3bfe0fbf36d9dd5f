"""A new account's text: what a person types comes back as typed, whatever it is, and faults are those of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.config import AccountDraft, drafted, load, yaml_documents
from gatewayd.config.scalars import written
from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DRAFT = AccountDraft(
    kind="imap", host="imap.acme.example", port=None, security="tls", username="o'irina: #1", password=("!credential", "irina"),
    operators=("acme", "on"),
)  # fmt: skip


def read(folder: Path, text: str) -> yaml_documents.Document:
    (folder / "one.yaml").write_text(text, encoding="utf-8")
    return yaml_documents.read("one.yaml", folder=folder)


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" '\"#:@,"), min_size=1).filter(str.isprintable))
def test_any_text_that_can_be_typed_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    found = read(folder, f"key: {written(text)}\nlist: [{written(text)}, b]\n")
    assert (found.faults, found.data) == ((), {"key": text, "list": [text, "b"]})


def test_what_can_not_be_printed_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be printed"):
        written("a\nb")


def test_a_draft_is_the_account_that_its_text_says(tmp_path: Path) -> None:
    for name in ("acme", "on"):
        (tmp_path / "operators").mkdir(exist_ok=True)
        (tmp_path / f"operators/{name}.yaml").write_text("title: Tours\n")
    (tmp_path / "gatewayd.yaml").write_text(f"state: {tmp_path / 'state'}\n")
    config = load(tmp_path)
    found = drafted(config, "irina", DRAFT.text())
    assert (found.name, found.kind, found.operators, found.mailbox) == (
        "irina",
        "imap",
        ("acme", "on"),
        "o'irina: #1 at imap.acme.example",
    )
    assert found.imports
    assert config.accounts == {}
    with pytest.raises(ConfigError) as raised:
        drafted(config, "irina", DRAFT.text().replace("imap.acme", "imap acme"))
    assert "accounts/irina.yaml:4:7" in str(raised.value.faults[0])
