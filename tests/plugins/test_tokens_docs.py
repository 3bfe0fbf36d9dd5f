"""docs/modern-authentication.md: its files are a sound config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs import DOCS
from tests.plugins.shown_config import shown_config

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "modern-authentication.md"


def test_its_files_are_a_sound_config(tmp_path: Path) -> None:
    loaded = shown_config(PAGE, tmp_path)
    assert dict(loaded.accounts["sales"].options)["credential"] == loaded.credentials["acme365"]
