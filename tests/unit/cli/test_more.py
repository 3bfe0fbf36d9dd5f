"""A list that is cut says so: every command with `--limit`, in the same words, for people and not for programs."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest

from gatewayd import Delivery, FilingFault, Folders, NotAdmitted, Viewer, cli
from gatewayd.api.web_sessions import Activity
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Every command with `--limit`, what it is asked for in a house that has three of that, and what else than a larger limit it advises.
LISTS = {
    "activity": ((), r", or go on with --before {last}"),
    "directory find": (("customer", "tours"), r", or more words"),
    "mail list": ((), r", or go on with --before {last}"),
    "outbox list": ((), r", or go on with --before {last}"),
    "queue list": ((), r", or go on with --before {last}"),
    "queue refused": ((), r""),
    "remote": (("main", "--before", "99"), r", or go on with --before {last}"),
}


def _limited(command: click.Command, *words: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _limited(one, *words, name)
    if any("--limit" in option.opts for option in command.params):
        yield " ".join(words)


def test_every_command_that_has_a_limit_is_tried_here() -> None:
    commands = {word: import_module(f"gatewayd.cli.{module}").COMMANDS for word, module in cli._MODULES.items()}
    found = [path for word, some in commands.items() for one in some if one.name == word for path in _limited(one, word)]
    assert sorted(found) == sorted(LISTS)


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Desk:
    """A house with three of everything that is listed, and the command line."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.house = House(folder)
        self.house.operator("acme", customers="id,name,main_contact\nC1,Nord Tours,\nC2,Ost Tours,\nC3,West Tours,\n")
        for account in ("main", "other"):
            self.house.account(account, "imap", 1, "anna")
        self.store = Sql(SqlOptions(url=None), place=Folders(config=self.house.folder, state=self.house.state))
        self.house.state.mkdir()
        self.store.open()
        hand, other = Custodian.of(self.store, "main"), Custodian.of(self.store, "other")
        filing = make_filing(faults=[FilingFault("contacts", "ValueError: no")], queue="front")
        self.mails = [hand.file(str(number), make_raw(number), filing) for number in (1, 2, 3)]
        #: One of the account whose name comes last, between two of the other one.
        self.refused = [self.refuse(hand, "4"), self.refuse(other, "5"), self.refuse(hand, "6")]
        self.store.note_activities([Activity(operator="acme", who="anna", what="opened", mail_id=one) for one in self.mails])
        self._capfd = capfd

    @staticmethod
    def refuse(hand: Custodian, key: str) -> int:
        """Enter a key that is not admitted; return its id."""
        hand.enter(key)
        entry_id = hand.entry(key)
        hand.commit(NotAdmitted(entry_id=entry_id, anchor=key, cause="nobody", senders=("x@far.example",)))
        return entry_id

    def deliver(self, *numbers: int) -> None:
        """Enter deliveries of the first mail."""
        made = [
            Delivery(
                forwarder="smtp", account="out", target="", to=("duty@example.com",), cause=f"person:{number}",
                message_id=f"<gw.f.{number}@example.com>",
            )
            for number in numbers
        ]  # fmt: skip
        self.store.deliver(Viewer(operator="acme"), self.mails[0], made)

    def run(self, *words: str) -> Done:
        self._capfd.readouterr()
        code = cli.run(["--config", str(self.house.folder), *words])
        return Done(code, *self._capfd.readouterr())


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("COLUMNS", "250")
    made = Desk(tmp_path, capfd)
    yield made
    made.store.close()


@pytest.mark.parametrize("command", LISTS)
def test_a_list_that_is_cut_says_that_there_is_more_and_how_to_have_it(desk: Desk, command: str) -> None:
    desk.deliver(1, 2, 3)
    asked, advice = LISTS[command]
    words = (*command.split(), *asked)
    cut = desk.run(*words, "--limit", "2", "--json")
    rows = cut.out.splitlines()
    assert len(rows) == 2
    assert cut.err == "", "a program counts what it asked for"
    said = f"There is more: give a larger --limit{advice.format(last=json.loads(rows[-1])['id'])}.\n"
    done = desk.run(*words, "--limit", "2")
    assert (done.code, len(done.out.splitlines()), done.err) == (0, 3, said)
    whole = desk.run(*words, "--limit", "3")
    assert (len(whole.out.splitlines()), whole.err) == (4, ""), "nothing more is there"


def test_a_limit_takes_the_newest_of_all_accounts_of_what_is_not_admitted(desk: Desk) -> None:
    def ids(*words: str) -> list[int]:
        return [json.loads(line)["id"] for line in desk.run("queue", "refused", "--json", *words).out.splitlines()]

    oldest, of_other, newest = desk.refused
    assert ids() == [oldest, newest, of_other]
    assert ids("--limit", "2") == [newest, of_other]
    assert ids("--limit", "1") == [newest]


def test_a_mail_of_which_not_all_deliveries_are_shown_says_where_they_are(desk: Desk) -> None:
    mail, said = str(desk.mails[0]), f"there is more: see `gatewayd outbox list --mail {desk.mails[0]}`"
    desk.deliver(*range(100))
    whole = desk.run("mail", "show", mail)
    assert (whole.out.count("Delivery:"), said in whole.out) == (100, False)
    desk.deliver(100)
    cut = desk.run("mail", "show", mail)
    assert (cut.out.count("Delivery:"), said in cut.out) == (101, True)


@pytest.mark.parametrize(("types", "rest"), [(20, ""), (23, ", and 3 more")])
def test_contact_types_that_check_does_not_name_are_counted(desk: Desk, types: int, rest: str) -> None:
    rows = "".join(f"customer,C1,EMAIL,desk{number}@nord.example,type{number:02}\n" for number in range(types))
    desk.house.write("acme/contacts.csv", f"owner_kind,owner_id,type,value,contact_type\n{rows}")
    desk.house.account("main", "imap", 1, "anna", imports="  contact_types: {customer: [nobody]}\n")
    (line,) = [line for line in desk.run("check").err.splitlines() if "There are:" in line]
    assert line.endswith(f"type19 (1){rest}")


def test_one_of_several_lists_says_of_which_account_there_is_more(desk: Desk) -> None:
    done = desk.run("remote", "main", "other", "main", "--before", "99", "--limit", "2")
    assert done.out.count("account ") == 1, "an account that is named twice is listed once, and the other has nothing"
    assert f"There is more of main: give a larger --limit, or go on with main --before {desk.mails[1]}." in done.err


def test_who_takes_all_that_is_offered_hears_that_there_is_nothing(desk: Desk) -> None:
    done = desk.run("import", "main", "--offered", "--operator", "acme")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("main: nothing is offered to acme.\n")
