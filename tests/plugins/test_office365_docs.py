"""docs/office365.md: its files are a sound config, and its command keeps the secret."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from gatewayd import config
from gatewayd_office365.options import Office365Options
from tests.docs import OFFICE365
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = blocks(OFFICE365)
HOME = "/etc/gatewayd"


def test_its_files_are_a_sound_config(tmp_path: Path) -> None:
    named = [block for block in BLOCKS if block.name]
    # The account that imports is shown again where it sends, too.
    assert len(named) == 4
    for block in named:
        path = tmp_path / block.name.removeprefix(f"{HOME}/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
    main = tmp_path / "gatewayd.yaml"
    main.write_text(f"state: {tmp_path}\n{main.read_text()}")
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators/acme.yaml").write_text("title: Acme\n")
    loaded = config.load(tmp_path)
    assert loaded.faults == ()
    found = [one.options for one in loaded.accounts.values() if isinstance(one.options, Office365Options)]
    # The same app, for Microsoft as well as for us.
    assert len(found) == 2
    assert len({one.app for one in found}) == 1


def test_its_command_keeps_the_secret_for_root_alone(tmp_path: Path) -> None:
    (text,) = (block.text for block in BLOCKS if block.language == "sh")
    (tmp_path / "credentials").mkdir()
    subprocess.run(["bash", "-euc", text.replace(HOME, str(tmp_path))], input=b"q~.8&+x\n", check=True, timeout=60)
    kept = tmp_path / "credentials/acme365"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("q~.8&+x", 0o600)
