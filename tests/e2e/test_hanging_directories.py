"""A directory that hangs, wherever a person asks it something: it is ended in its deadline, and what is said names it and the option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House
from tests.patience import AT_ONCE, Stopwatch

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

#: It hangs in whichever of its methods the file beside it names; where it says so, in C, where no thread of Python gets a turn.
PLUGIN = """
import pathlib, re, time
from gatewayd import Contents, Directory, Record, hookimpl

def hang(method):
    where = pathlib.Path(__file__).with_suffix(".hangs").read_text().split()
    if method in where:
        if "in-c" in where:
            re.match("(a|a)*b", "a" * 60)
        time.sleep(1000)

class Slow(Directory):
    kind = "slow"

    def __init__(self, options, *, operator, place):
        super().__init__(options, operator=operator, place=place)
        hang("init")

    def refresh(self):
        hang("refresh")
        return []

    def contents(self):
        hang("contents")
        return Contents()

    def follow(self):
        hang("follow")

    def find(self, kind, field, values):
        hang("find")
        return {one: [Record(kind=kind, id=one, label="Nord")] for one in values}

    persons = contacts = lambda self, emails: {}

    def search(self, kind, text, *, limit=20):
        hang("search")
        return [Record(kind=kind, id="1", label="Nord")]

@hookimpl
def gatewayd_directories():
    return [Slow]
"""
#: What hangs, what a person does, and how that ends.
CASES = {
    "init": ("init", ("check",), 78, "workers.budget"),
    "refresh": ("refresh", ("check",), 78, "workers.budget"),
    "contents": ("contents", ("check",), 78, "workers.budget"),
    "in-c": ("refresh in-c", ("check",), 78, "workers.budget"),
    "search": ("search in-c", ("directory", "find", "customer", "nord"), 1, "workers.deadline"),
    "follow": ("follow", ("directory", "find", "customer", "nord"), 1, "workers.deadline"),
    "find": ("find", ("mail", "link", "1", "customer", "7"), 1, "workers.deadline"),
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.write(
        "gatewayd.yaml",
        f"state: {house.state}\nplugins: {{folder: plugins}}\nworkers: {{processes: 1, deadline: 1s, budget: 2s}}\n",
    )
    house.write("plugins/slow.py", PLUGIN)
    house.write("plugins/slow.hangs", "")
    house.write("operators/acme.yaml", "directory: {kind: slow}\nmatchers: []\n")
    return house


@pytest.mark.parametrize("case", CASES)
def test_P4_a_directory_that_hangs_ends_in_its_deadline_with_a_clear_message(house: House, dovecot: Dovecot, case: str) -> None:
    hangs, command, code, option = CASES[case]
    if command[0] == "mail":
        user = house.state.parent.name
        dovecot.user(user, "pass")
        dovecot.deliver(user, booking_messages(1))
        house.account("main", "imap", dovecot.ports["imap"], user)
        house.good("import")
    house.write("plugins/slow.hangs", hangs)
    watch = Stopwatch()
    done = house.run(*command)
    assert watch.seconds < AT_ONCE
    assert done.code == code, done
    said = done.out + done.err
    assert "acme" in said
    assert f"it did not come to its end within {1 if option == 'workers.deadline' else 2} s (`{option}`)" in said
    assert "Traceback" not in said


def test_what_can_not_be_taken_over_in_time_is_answered_by_what_was_there(house: House) -> None:
    house.write("plugins/slow.hangs", "refresh")
    assert "Nord" in house.good("directory", "find", "customer", "nord").out
