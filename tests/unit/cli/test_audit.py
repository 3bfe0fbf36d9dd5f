"""What `audit` says where it comes to no end: a database that is away is not damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import cli
from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

#: A server with nothing on it, and a store whose database goes away at a step of the audit, or shows itself damaged.
PLUGIN = """\
from gatewayd import ConfigError, Page, Session, TransientError, Transport, hookimpl
from gatewayd_sql.store import Sql


class Bare(Session):
    def listing(self, folder, cursor):
        yield Page(keys=(), cursor="", others_gone=True)

    def look_up(self, folder, keys):
        return iter(())

    def headers(self, folder, keys):
        return iter(())

    def fetch(self, folder, listed, spool):
        return iter(())

    def settle(self, folder, keys, action):
        pass

    def problems(self, folders, after):
        return ()

    def abort(self):
        pass

    def close(self):
        pass


class Empty(Transport):
    kind = "empty"

    def open(self):
        return Bare()


class Away(Sql):
    kind = "STEP"

    def STEP(self, *_):
        raise ERROR


@hookimpl
def gatewayd_transports():
    return [Empty]


@hookimpl
def gatewayd_stores():
    return [Away]
"""
AWAY = 'TransientError("the connection to the database server is lost", advice="See to it.")'
DAMAGED = 'ConfigError("the database is damaged", advice="Put back a copy.")'


def audit(folder: Path, step: str, error: str) -> int:
    house = House(folder)
    house.write("plugins/away.py", PLUGIN.replace("STEP", step).replace("ERROR", error))
    house.write("gatewayd.yaml", f"state: {house.state}\nplugins: {{folder: plugins}}\nstore: {{kind: {step}}}\n")
    house.write("operators/acme.yaml", "title: Acme Tours\n")
    house.write("accounts/main.yaml", "kind: empty\noperators: [acme]\nimport: {}\n")
    return cli.run(["--config", str(house.folder), "audit", "main"])


@pytest.mark.parametrize("step", ["audit", "check"])
def test_a_database_that_goes_away_is_not_called_damaged(tmp_path: Path, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path, step, AWAY) == 1
    said = capsys.readouterr().err
    assert "the connection to the database server is lost\n  See to it.\n  It may work later" in said
    assert "restore" not in said, "whoever restores a backup for that loses what came since"
    assert "NOT proven" not in said


def test_a_database_that_is_damaged_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path, "audit", DAMAGED) == 1
    said = capsys.readouterr().err
    assert "Not proven, the database: the database is damaged." in said
    assert "restore a backup" in said
    assert "Custody is NOT proven." in said
