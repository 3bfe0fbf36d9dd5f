"""Load the config files that a page of the docs shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import config
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HOME", "shown_config"]

#: The config folder that pages name.
HOME = "/etc/gatewayd"


def shown_config(page: Path, folder: Path, *, operator: str = "title: Acme\n") -> config.Config:
    """Write the files of a page into ``folder``, with the file of the operator acme, and load them: they must be sound."""
    for block in blocks(page):
        if block.name:
            path = folder / block.name.removeprefix(f"{HOME}/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    main = folder / "gatewayd.yaml"
    main.write_text(f"state: {folder}\n{main.read_text()}")
    (folder / "operators").mkdir()
    (folder / "operators/acme.yaml").write_text(operator)
    loaded = config.load(folder)
    assert loaded.faults == ()
    return loaded
