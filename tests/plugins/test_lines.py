"""docs/writing-a-forwarder.md, done by the book: the plugin, its tests, and mail that goes out by it."""

from __future__ import annotations

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders
from gatewayd.testing.contracts.custodian import Custodian, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House
from tests.world import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-forwarder.md"
FILES = {block.name: block.text for block in blocks(PAGE) if block.name}
COMMANDS = [line for block in blocks(PAGE) if block.language == "sh" for line in block.text.splitlines()]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A config folder with the page's files in it."""
    house = House(tmp_path)
    house.operator("acme")
    for name, text in FILES.items():
        house.write(name, text)
    return house


def test_every_block_of_the_page_is_a_file_or_a_command() -> None:
    assert [block.text for block in blocks(PAGE) if not block.name and block.language != "sh"] == []
    assert sorted(FILES) == ["operators/acme.yaml", "plugins/lines.py", "test_lines.py"]
    assert len(COMMANDS) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_works(house: House, command: str) -> None:
    house.write("accounts/inbox.yaml", "kind: pop3\noperators: [acme]\nhost: localhost\nusername: u\npassword: !file secret\n")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=house.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "plugins list" in command:
        assert re.search(r"lines .* forwarders: lines +ok", done.stdout)
    if "pytest" in command:
        assert " 13 passed" in f" {done.stdout.splitlines()[-1].strip('= ')}"


class _Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line, answer in zip(self.rfile, (b"later\n", b"ok\n"), strict=False):
            assert isinstance(self.server, _Program)
            self.server.told.append(json.loads(line))
            self.wfile.write(answer)


class _Program(socketserver.TCPServer):
    def __init__(self) -> None:
        super().__init__(("localhost", 0), _Answering)
        self.told: list[dict[str, dict[str, object]]] = []


@contextmanager
def _program() -> Iterator[_Program]:
    with _Program() as program:
        thread = threading.Thread(target=program.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield program
        finally:
            program.shutdown()
            thread.join()


def test_P7_what_the_program_takes_is_delivered_and_the_rest_is_tried_again(house: House) -> None:
    house.state.mkdir()
    store = Sql(SqlOptions(url=None), place=Folders(config=house.folder, state=house.state))
    with closing(store), _program() as program:
        house.write("operators/acme.yaml", FILES["operators/acme.yaml"].replace("4711", str(program.server_address[1])))
        store.open()
        hand = Custodian.of(store)
        ids = [hand.file(str(number), make_raw(number)) for number in (1, 2)]
        for mail_id in ids:
            house.good("mail", "forward", mail_id, "journal")
        done = house.run("outbox", "deliver")
        assert done.code == 1
        listed = {row["mail"]: row for row in house.good("outbox", "list", "--json").rows}
    assert [(listed[one]["state"], listed[one]["recipients"]) for one in ids] == [
        ("waiting", [{"address": "journal", "state": "waiting", "words": "later"}]),
        ("delivered", [{"address": "journal", "state": "delivered", "words": "ok"}]),
    ]
    assert [one["mail"]["id"] for one in program.told] == ids
    assert [one["key"] for one in program.told] == [listed[one]["message_id"] for one in ids]
