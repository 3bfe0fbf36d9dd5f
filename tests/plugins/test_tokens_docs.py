"""docs/modern-authentication.md: its files are a sound config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import config
from tests.docs import DOCS
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "modern-authentication.md"
HOME = "/etc/gatewayd"


def test_its_files_are_a_sound_config(tmp_path: Path) -> None:
    for block in blocks(PAGE):
        path = tmp_path / block.name.removeprefix(f"{HOME}/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
    main = tmp_path / "gatewayd.yaml"
    main.write_text(f"state: {tmp_path}\n{main.read_text()}")
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators/acme.yaml").write_text("title: Acme\n")
    loaded = config.load(tmp_path)
    assert loaded.faults == ()
    assert dict(loaded.accounts["sales"].options)["credential"] == loaded.credentials["acme365"]
