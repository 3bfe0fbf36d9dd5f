"""Commands whose output or errors nobody wants: `>&-` and `2>&-`, as scripts have it."""

from __future__ import annotations

import subprocess
import sys
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

#: Says in a file what the process has as its standard streams.
PLUGIN = """\
import os

from gatewayd import Command, hookimpl


class Streams(Command):
    \"\"\"Tell.\"\"\"

    kind = "streams"

    class Options(Command.Options):
        file: str

    def run(self):
        with open(self.options.file, "w") as file:
            file.write(" ".join(str(os.fstat(number).st_rdev) for number in (0, 1, 2)) + "\\n")
        print("printed", flush=True)
        return 0


@hookimpl
def gatewayd_commands():
    return [Streams]
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.write("plugins/streams.py", PLUGIN)
    house.write("operators/acme.yaml", "title: Acme Tours\n")
    return house


def shell(house: House, words: str, closed: str) -> subprocess.CompletedProcess[str]:
    command = f"exec {quote(sys.executable)} -m gatewayd --config {quote(str(house.folder))} {words} {closed}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["plugins list", "plugins list --json", "mail list --operator acme", "import"])
def test_a_command_does_its_work_all_the_same(house: House, words: str, closed: str) -> None:
    house.account("main", "imap", 1, "anna")
    done = shell(house, words, closed)
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if words == "import" else 0)
    assert words != "import" or (house.database).exists(), "it was not even begun"


def test_no_file_that_is_opened_is_taken_for_the_output(house: House, tmp_path: Path) -> None:
    done = shell(house, f"streams --file {quote(str(tmp_path / 'told'))}", "<&- >&- 2>&-")
    assert done.returncode == 0
    null = str((1 << 8) | 3)
    assert (tmp_path / "told").read_text().split() == [null, null, null]
