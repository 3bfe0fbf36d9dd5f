"""Files in the plugins folder that harm whoever imports them: daemon and commands go on, and say which they are."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House, until

if TYPE_CHECKING:
    from pathlib import Path

#: Each ends, or hangs, whoever imports it.
HARMFUL = {
    "sleeps": "import time\ntime.sleep(100000)\n",
    "exits": "import os\nos._exit(3)\n",
    "interrupts": "raise KeyboardInterrupt\n",
    "crashes": "import ctypes\nctypes.string_at(0)\n",
    "hoards": "x = bytearray(1 << 40)\n",
    "broken": "x = 1\n" * 16 + "y = = 2\n",
}
LOUD = """
import sys
print("printed when it is imported")

from gatewayd import Command, Matcher, hookimpl
from pydantic import Field

class Hello(Command):
    '''Says hello.'''
    kind = "hello"

    class Options(Command.Options):
        name: str = Field("you", description="Whom to greet.")

    def run(self):
        print(f"hello {self.options.name}")
        return 0

class Loud(Matcher):
    '''Links nothing.'''
    kind = "loud"

    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_commands():
    return [Hello]

@hookimpl
def gatewayd_matchers():
    return [Loud]

@hookimpl
def gatewayd_config_loaded(event):
    print("heard", event.operators, flush=True)
"""
WAITS = "import time\ntime.sleep(100000)  # {}\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.write("gatewayd.yaml", f"state: {made.state}\nplugins: {{folder: plugins, deadline: 3s}}\n")
    made.operator("acme", matchers="[contacts, loud]", persons="id,name,email\n")
    made.write("plugins/loud.py", LOUD)
    return made


def test_P4_files_that_harm_whoever_imports_them_cost_themselves_alone(house: House) -> None:
    for name, text in HARMFUL.items():
        house.write(f"plugins/{name}.py", text)
    with house.daemon() as daemon:
        assert "plugin tried plugin=sleeps" in daemon.log
        until("the observer has heard", 20, lambda: "heard ('acme',)" in daemon.log)
        logged = [line for line in daemon.log.splitlines() if "config fault" in line]
        for name in HARMFUL:
            assert any(f"plugins/{name}.py" in line for line in logged), name
        (about,) = [row for row in house.run("status", "--json").rows if row["type"] == "daemon"]
        assert len(about["config_faults"]) == len(HARMFUL)
        # It goes on to take changes over.
        house.write("operators/acme.yaml", "directory: {kind: csv, folder: acme}\nmatchers: [loud]\n")
        until("the change is taken over", 60, lambda: daemon.log.count("config loaded") > 1)
    checked = house.run("check")
    assert checked.code == 78
    assert "plugins/broken.py:17:5: the plugin broken is out of use: SyntaxError: invalid syntax (broken.py:17)" in checked.out
    assert "plugins/sleeps.py:2: the plugin sleeps is out of use: it was not imported within 3 s" in checked.out
    assert "7 faults" not in checked.err
    assert f"{len(HARMFUL)} faults" in checked.err
    # Others are not tried again, and wait for nobody.
    assert house.run("mail", "list").err.endswith("No mail.\n")


def test_a_file_that_prints_and_offers_a_command_is_one_plugin_for_every_command(house: House, tmp_path: Path) -> None:
    assert house.good("hello", "--name", "Anna").out == "hello Anna\n"
    assert "hello" in house.good("--help").out
    listed = {row["name"]: row for row in house.good("plugins", "list", "--json").rows}
    assert listed["loud"]["offers"] == ["commands: hello", "matchers: loud", "observers: config_loaded"] or set(
        listed["loud"]["offers"]
    ) == {"commands: hello", "matchers: loud", "observers: config_loaded"}
    assert house.good("mail", "list", "--json").out == ""
    house.good("schema", tmp_path / "schemas")
    schema = json.loads((tmp_path / "schemas" / "operator.schema.json").read_text())
    assert "loud" in json.dumps(schema["properties"]["matchers"])
    # Before there is a config that can be used, too.
    house.write("gatewayd.yaml", f"state: {house.state}\nplugins: {{folder: plugins}}\nnonsense: 1\n")
    assert house.good("hello").out == "hello you\n"
    house.good("schema", tmp_path / "again")
    assert (tmp_path / "again" / "operator.schema.json").read_text() == (tmp_path / "schemas" / "operator.schema.json").read_text()


def test_a_plugin_that_is_left_out_harms_nobody_and_is_told_as_that(house: House) -> None:
    house.write("plugins/sleeps.py", HARMFUL["sleeps"])
    house.write("gatewayd.yaml", f"state: {house.state}\nplugins: {{folder: plugins, deadline: 600s, without: [sleeps.py]}}\n")
    assert house.good("check").err.endswith("0 faults.\n")
    listed = {row["name"]: row for row in house.good("plugins", "list", "--json").rows}
    assert listed["sleeps"]["error"] == "left out (plugins.without)"
    house.write("gatewayd.yaml", f"state: {house.state}\nplugins: {{folder: plugins, without: [sleeps, laud]}}\n")
    done = house.run("check")
    assert done.code == 78
    assert "gatewayd.yaml:2:46: plugins.without[1]: there is no plugin 'laud', did you mean 'loud'?" in done.out


def test_who_waits_long_is_told_for_which_plugin(house: House) -> None:
    house.write("plugins/sleeps.py", HARMFUL["sleeps"])
    done = house.run("mail", "list")
    assert f"importing the plugin sleeps ({house.folder}/plugins/sleeps.py) ..." in done.err
    assert done.code == 0


@pytest.mark.parametrize("when", ["start", "reload"])
def test_a_daemon_that_tries_a_plugin_ends_when_it_is_told_to(house: House, when: str) -> None:
    house.write("gatewayd.yaml", f"state: {house.state}\nplugins: {{folder: plugins, deadline: 600s}}\n")
    if when == "start":
        house.write("plugins/waits.py", WAITS.format(1))
    with house.daemon(ready=when == "reload") as daemon:
        if when == "reload":
            house.write("plugins/waits.py", WAITS.format(2))
        until("it tries the plugin", 60, lambda: "plugin tried plugin=waits" in daemon.log)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.process.wait(30)
        # On a machine that has other things to do.
        assert time.monotonic() - began < 20
        assert daemon.process.returncode == (0 if when == "reload" else 143)
