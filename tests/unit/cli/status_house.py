"""A house whose status tests ask for: its config, its store, and daemons that spoke."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from gatewayd import AccountHealth, DaemonHealth, FilingFault, Folders, cli
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


NOW = datetime.now(UTC)

DAEMON = DaemonHealth(holder="me", version="1.2.3", started_at=NOW - timedelta(hours=3), accounts=2, workers=2)

WELL = AccountHealth(
    account="reservations",
    holder="me",
    condition="watching",
    checked_at=NOW - timedelta(hours=3, minutes=30),
    mail_at=NOW - timedelta(days=2, hours=1),
    due_at=NOW + timedelta(days=2, hours=1),
    compared_at=NOW - timedelta(hours=7),
)

WRONG = replace(
    WELL, account="sales", condition="paused", failures=3, error="anna was refused", advice="Correct the password.", due_at=NOW
)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["type"] == kind]


class Desk:
    """A config folder, its store, and the command line."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.house = House(folder)
        self.house.operator("acme", matchers="[contacts]")
        self.house.account("reservations", "imap", 1, "anna")
        self.store = Sql(SqlOptions(url=None), place=Folders(config=self.house.folder, state=self.house.state))
        self.house.state.mkdir()
        self.store.open()
        self._capfd = capfd

    def run(self, *words: str) -> Done:
        self._capfd.readouterr()
        code = cli.run(["--config", str(self.house.folder), *words])
        return Done(code, *self._capfd.readouterr())

    def status(self, *words: str) -> Done:
        return self.run("status", *words)

    def line(self, beginning: str) -> list[str]:
        """The words of the status's line that begins so."""
        return next(line for line in self.status().out.splitlines() if line.startswith(beginning)).split()


def queue(place: Desk, *errors: str, operator: str = "acme") -> None:
    """File a mail for each error, that stands in the operator's queue ``front`` by the matcher ``contacts``."""
    hand = Custodian.of(place.store, f"of-{operator}")
    for number, error in enumerate(errors, 1):
        filing = make_filing(operator, faults=[FilingFault("contacts", error)], queue="front")
        hand.file(str(number), make_raw(number), filing)
