"""How accounts are that only send is what their deliveries showed, whatever else of the config changes (promise P10)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import AccountHealth, Forwarder
from gatewayd.config import AccountConfig, Config, SendConfig
from gatewayd.daemon.alarms import Alarms
from gatewayd.errors import Fault
from tests.unit.heard import events
from tests.unit.supervised import House, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Sender(House):
    """A house with an account that only sends, whose file may be faulty."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.faulty = False
        self.write()

    def write(self, text: str = "") -> None:
        """Write the account's file anew, soundly."""
        sends = SendConfig.model_validate({"from": {"name": "Acme", "address": "out@acme.example"}})
        self.accounts["out"] = AccountConfig(
            name="out", kind="fake", description=text, operators=("acme",), options=Forwarder.Options(), sends=sends
        )

    def idle(self, name: str) -> None:
        """Add an account of which nothing is done."""
        self.accounts[name] = AccountConfig(name=name, kind="fake", operators=("acme",), options=Forwarder.Options())

    def refused(self) -> None:
        """Have the account's last delivery refused."""
        self.store.tell([AccountHealth(account="out", holder="me", condition="paused", error="out: wrong password", failures=1)])

    def config(self) -> Config:
        made = super().config()
        if not self.faulty:
            return made
        accounts = {name: one for name, one in made.accounts.items() if name != "out"}
        return replace(made, accounts=accounts, faults=(Fault(file="accounts/out.yaml", what="host: is missing"),))

    def owner(self, name: str) -> str:
        """Who says how an account is."""
        found = self.health(name)
        return found.holder if found else ""

    def condition(self, name: str) -> str:
        found = self.health(name)
        return found.condition if found else ""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Sender]:
    with Sender(tmp_path) as made:
        yield made


def test_an_account_that_was_refused_when_it_sent_stays_so_over_starts_and_reloads_until_its_file_changes(house: Sender) -> None:
    house.refused()
    house.idle("one")
    daemon = house.daemon()
    until(lambda: house.condition("one") == "disabled")
    assert house.condition("out") == "paused"
    assert house.owner("out") == daemon.owner.name, "whoever is gone attends to nothing"
    house.idle("two")
    daemon.reload()
    until(lambda: house.condition("two") == "disabled")
    assert house.condition("out") == "paused"
    house.write("with another password")
    daemon.reload()
    until(lambda: house.condition("out") == "sending")


@pytest.mark.parametrize("before", [False, True])
def test_an_account_that_sends_is_said_to_by_each_daemon_from_its_start(house: Sender, *, before: bool) -> None:
    if before:
        house.store.tell([AccountHealth(account="out", holder="who is gone", condition="sending")])
    daemon = house.daemon()
    until(lambda: house.condition("out") == "sending" and house.owner("out") == daemon.owner.name)


def test_the_alarm_of_a_faulty_file_is_over_when_the_account_sends_again_though_nothing_is_to_be_sent(house: Sender) -> None:
    alarms = Alarms()
    house.faulty = True
    daemon = house.daemon(
        events=events(alarm_raised=alarms.raised, alarm_over=alarms.over, account_gone=lambda name: alarms.forget("account", name))
    )
    until(lambda: [one.alarm.name for one in alarms.standing()] == ["out"])
    house.faulty = False
    daemon.reload()
    until(lambda: not alarms.standing(), within=10)
    until(lambda: house.condition("out") == "sending")
