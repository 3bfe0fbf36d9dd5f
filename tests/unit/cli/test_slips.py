"""Slips of whoever types a command: it does nothing then, and says so; it does not do more than was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import FilingFault, Folders, Query, Viewer, cli
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


def test_an_account_without_a_name_is_unknown(slips: Slips, capsys: pytest.CaptureFixture[str]) -> None:
    assert slips.run("mail", "list", "--operator", "acme", "--account", "") == 1
    assert "there is no account ''" in capsys.readouterr().err
