"""What a command says is no plugin's to add to: whatever plugins print, each line of `--json` is one object."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gatewayd import cli
from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

#: A server with one key that can't be had, and a matcher, both with the `print` of somebody who looked for a fault.
PLUGIN = """\
import os

from gatewayd import Gone, Listed, Matcher, Page, Session, Transport, hookimpl


def chatter():
    print("here I am")
    os.write(1, b"and here\\n")


class Chatting(Session):
    def listing(self, folder, cursor):
        chatter()
        yield Page(keys=(Listed("1", 10),), cursor="1", others_gone=True)

    def look_up(self, folder, keys):
        return iter(())

    def headers(self, folder, keys):
        return iter(())

    def fetch(self, folder, listed, spool):
        for one in listed:
            chatter()
            yield Gone(key=one.key)

    def settle(self, folder, keys, action):
        chatter()

    def problems(self, folders, after):
        return ()

    def abort(self):
        pass

    def close(self):
        chatter()


class Chatty(Transport):
    kind = "chatty"

    def open(self):
        chatter()
        return Chatting()


class Talks(Matcher):
    kind = "talks"

    def match(self, mails, directory):
        chatter()
        return ()


@hookimpl
def gatewayd_transports():
    return [Chatty]


@hookimpl
def gatewayd_matchers():
    return [Talks]
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "words",
    ["import --json", "import --dry-run --json", "audit main --json", "explain FILE --json", "directory find product rome --json"],
)
def test_a_plugin_that_prints_is_not_in_the_way_of_json(
    tmp_path: Path, words: str, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    house = House(tmp_path)
    house.operator("acme", matchers="[talks]", products="id,code,title\n1,R1,Rome\n")
    house.write("plugins/chatty.py", PLUGIN)
    house.write("accounts/main.yaml", "kind: chatty\noperators: [acme]\nimport: {}\n")
    main = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", f"{main}workers: {{processes: {workers}}}\n")
    file = house.write("one.eml", "Subject: Rome\n\nRome\n")
    cli.run(["--config", str(house.folder), *words.replace("FILE", str(file)).split()])
    said = capfd.readouterr().out
    assert said
    assert all(isinstance(json.loads(line), dict) for line in said.splitlines())


def test_lines_of_json_go_to_standard_output_while_a_terminal_shows_the_progress(tmp_path: Path) -> None:
    """The usual `import --json > file` of a person at a terminal: its bar takes nothing of the output to itself."""
    house = House(tmp_path)
    house.operator("acme")
    house.write("plugins/chatty.py", PLUGIN)
    house.write("accounts/main.yaml", "kind: chatty\noperators: [acme]\nimport: {}\n")
    leader, terminal = pty.openpty()
    command = [sys.executable, "-m", "gatewayd", "--config", str(house.folder), "import", "--json"]
    shown = os.environ | {"TERM": "xterm"}
    with os.fdopen(leader, "rb"), os.fdopen(terminal, "wb") as stderr:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, timeout=120, env=shown, check=False)
    assert [json.loads(line)["account"] for line in done.stdout.splitlines()] == ["main"]
    assert done.returncode == 0
