"""What takes long to build is built once, however many processes want it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.built import built_once
from tests.e2e.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BUILDING = """
import sys, time
from pathlib import Path
from tests.built import built_once

def build(new):
    with Path(sys.argv[1], "built").open("a") as file:
        file.write("once\\n")
    new.mkdir()
    time.sleep(0.3)
    (new / "whole").touch()

tree = built_once(Path(sys.argv[1], "tree"), build)
print((tree / "whole").exists())
"""


def test_processes_that_want_a_folder_at_once_get_it_whole_and_built_by_one_of_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDING, str(tmp_path)]
    building = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.communicate(timeout=60)[0].strip() for one in building] == ["True"] * 4
    assert (tmp_path / "built").read_text() == "once\n"


def test_what_could_not_be_built_is_tried_again(tmp_path: Path) -> None:
    def fails(new: Path) -> None:
        new.mkdir()
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        built_once(tmp_path / "tree", fails)
    (left,) = (one for one in tmp_path.iterdir() if one.is_dir())
    left.rmdir()
    assert built_once(tmp_path / "tree", lambda new: new.mkdir()).is_dir()
