"""Slips of whoever types a command: it does nothing then, and says so; it does not do more than was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import FilingFault, Folders, Query, Seen, Viewer, cli
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUEUES = "queues: {front-office: {title: Front office}}\n"
OPERATORS = ("acme", "globetrot")


class Slips:
    """A mail in the error queues of two operators, and the command line."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder)
        for name in OPERATORS:
            self.house.operator(name, more=QUEUES)
        self.house.account(
            "main", "imap", 1, "anna", more="operators: [acme, globetrot]\n", imports="  error_queue: front-office\n"
        )
        self.store = Sql(SqlOptions(url=None), place=Folders(config=self.house.folder, state=self.house.state))
        self.house.state.mkdir()
        self.store.open()
        faults = [FilingFault("contacts", "ValueError: no")]
        filings = [make_filing(name, faults=faults, queue="front-office") for name in OPERATORS]
        self.mail = str(Custodian.of(self.store, "main").file("1", make_raw(1), *filings))

    def run(self, *words: str) -> int:
        return cli.run(["--config", str(self.house.folder), *words])

    @property
    def queued(self) -> list[str]:
        """The operators in whose queue it stands."""
        return [name for name in OPERATORS if self.store.filings(Viewer(operator=name), Query(faulty=True))]


@pytest.fixture
def slips(tmp_path: Path) -> Iterator[Slips]:
    slips = Slips(tmp_path)
    yield slips
    slips.store.close()


@pytest.mark.parametrize("whom", [("--operator", "acme"), ("--user", "irina")])
def test_who_names_one_operator_and_all_is_asked_whom_he_means(
    slips: Slips, whom: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("queue", "discard", slips.mail), ("outbox", "cancel", "1"), ("mail", "list")):
        assert slips.run(*words, *whom, "--all-operators") == 2
        assert "--all-operators goes without --operator and --user" in capsys.readouterr().err
    assert slips.queued == [*OPERATORS]
    assert slips.run("queue", "discard", slips.mail, "--operator", "acme") == 0
    assert slips.queued == ["globetrot"]


def test_a_queue_that_there_is_not_is_not_said_to_be_mended(slips: Slips, capsys: pytest.CaptureFixture[str]) -> None:
    assert slips.run("queue", "retry", "--operator", "acme", "--queue", "front-ofice") == 1
    said = capsys.readouterr().err
    assert "there is no queue 'front-ofice'" in said
    assert "Did you mean front-office?" in said
    assert "mended" not in said
    assert slips.run("queue", "retry", "--operator", "acme", "--queue", "errors") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "main", "--operator", "acme"), "--operator goes with --from-beginning, --key or --offered"),
        (("import", "main", "--from-beginning", "--user", "acme/irina"), "and --user with the last two"),
        (("import", "main", "--forward"), "--forward goes with"),
        (("import", "main", "--key", "1", "--dry-run"), "--dry-run goes with none of"),
        (("import", "main", "--offered", "--dry-run"), "--dry-run goes with none of"),
        (("import", "main", "--offered", "--from-beginning"), "--offered goes with neither"),
        (("import", "main", "--offered", "--key", "1"), "--offered goes with neither"),
        (("import", "--key", "1", "--operator", "acme"), "name the ACCOUNT of a --key"),
        (("import", "main", "--key", "1", "--folder", "INBOX"), "--folder goes with"),
        (("import", "main", "--folder", "INBOX"), "--folder goes with"),
        (("import", "main", "--offered"), "--operator is needed"),
        (("remote", "--operator", "acme", "--waiting", "--from-beginning"), "--waiting goes without"),
        (("remote", "--operator", "acme", "--user", "globetrot/otto"), "are two operators"),
        (("dismiss", "main", "--key", "1", "--operator", "acme", "--user", "globetrot/otto"), "are two operators"),
        (("mail", "list", "--user", "acme/irina", "--user", "globetrot/otto"), "are two operators"),
    ],
)
def test_flags_that_do_not_go_together_choose_nothing(
    slips: Slips, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert slips.run(*words) == 2
    assert said in capsys.readouterr().err
    assert slips.store.seen(Viewer(operator="acme"), "main") == Seen()


def test_the_seen_mark_knows_what_was_listed_and_not_what_was_searched(slips: Slips, capsys: pytest.CaptureFixture[str]) -> None:
    acme, remote = Viewer(operator="acme"), ("remote", "main", "--operator", "acme")
    for words in (("--search", "Booking"), ("--since", "2020-01-01"), ("--before", "99"), ("--json",)):
        # Its server can't be asked; what is known of it is listed all the same.
        assert slips.run(*remote, *words) == (0 if "--before" in words else 1)
        assert "Booking" in capsys.readouterr().out
        assert slips.store.seen(acme, "main") == Seen()
    assert slips.run(*remote) == 1
    assert "(!) main" in capsys.readouterr().out
    assert slips.store.seen(acme, "main") == Seen(mark=0, shown=int(slips.mail))


def test_an_account_without_a_name_is_unknown(slips: Slips, capsys: pytest.CaptureFixture[str]) -> None:
    assert slips.run("mail", "list", "--operator", "acme", "--account", "") == 1
    assert "there is no account ''" in capsys.readouterr().err
