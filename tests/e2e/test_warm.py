"""What is run from the warm process does what a fresh ``python -m gatewayd`` does."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

#: A matcher that is offered where this passes.
MATCHER = """
import os, signal, sys, time
from gatewayd import Matcher, hookimpl

class Shouting(Matcher):
    kind = "shouting"

    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_matchers():
    return [Shouting]

"""


#: A command that does what follows.
COMMAND = """
import os, signal, time
from gatewayd import Command, hookimpl

@hookimpl
def gatewayd_commands():
    return [Doze]

class Doze(Command):
    '''Does not come to its end.'''

    kind = "doze"

    def run(self):
        """


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme", reservations="id,code,title\nR1,B-756,Rome\n")
    house.account("main", "imap", 143, "somebody")
    return house


@pytest.mark.parametrize(
    "command",
    [
        ("--version",),
        ("--help",),
        ("check",),
        ("plugins", "list"),
        ("mail", "list"),
        ("mail", "show", "1"),
        ("directory", "find", "acme", "reservation", "B-756"),
        ("schema", "{folder}"),
        ("nonsense",),
        ("import", "nobody"),
    ],
    ids=" ".join,
)
def test_a_command_ends_and_speaks_as_one_that_was_started_anew(house: House, command: tuple[str, ...]) -> None:
    words = [word.format(folder=house.folder) for word in command]
    anew, warm = house.run(*words, environment={}), house.run(*words)
    assert warm._replace(err=_without_waiting(warm.err)) == anew._replace(err=_without_waiting(anew.err))
    assert anew.out or anew.err


def _without_waiting(said: str) -> str:
    """Without what is only said where something takes long."""
    return re.sub(r"^gatewayd: waiting for .*\n", "", said, flags=re.MULTILINE)


def test_nothing_of_one_command_is_left_for_the_next(house: House) -> None:
    house.write("plugins/shouting.py", MATCHER + "os.environ['SHOUTED'] = 'yes'\nsys.modules['shouted'] = sys\n")
    first = house.good("plugins", "list").out
    house.write("plugins/shouting.py", MATCHER + "assert 'SHOUTED' not in os.environ\nassert 'shouted' not in sys.modules\n")
    assert house.good("plugins", "list").out == first


def test_a_command_is_a_process_of_its_own_that_a_signal_or_its_time_ends(house: House) -> None:
    house.write("plugins/dozing.py", COMMAND + "time.sleep(60)\n")
    # Tried in a process apart once, so that it is known here.
    house.good("plugins", "list")
    with pytest.raises(subprocess.TimeoutExpired):
        house.run("doze", timeout=5)
    house.write("plugins/dozing.py", COMMAND + "os.kill(os.getpid(), signal.SIGKILL)\n")
    assert house.run("doze").code == -signal.SIGKILL
    assert house.run("--version").code == 0
