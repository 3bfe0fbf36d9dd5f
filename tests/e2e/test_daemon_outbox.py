"""The running daemon delivers what is entered, takes changed accounts over, and stops in time with a server that hangs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from gatewayd import Delivery, Folders, Viewer
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd.testing.servers.smtp import SILENCE, SmtpServer
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from pathlib import Path


def _account(house: House, server: SmtpServer) -> None:
    house.write(
        "accounts/out.yaml",
        f"kind: smtp\noperators: [acme]\nhost: {server.host}\nport: {server.port}\nsecurity: none\ninsecure: true\n"
        "send: {from: {address: out@acme.example}}\n",
    )


def test_P7_the_daemon_delivers_and_takes_a_changed_account_over_and_stops_in_time(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme", matchers="[contacts]")
    house.state.mkdir()
    store = Sql(SqlOptions(url=None), place=Folders(config=house.folder, state=house.state))
    with SmtpServer() as first, SmtpServer() as second, closing(store):
        _account(house, first)
        store.open()
        hand = Custodian.of(store, "shared")

        def enter(number: int) -> None:
            mail = hand.file(str(number), make_raw(number), make_filing())
            made = Delivery(
                forwarder="smtp",
                account="out",
                to=("duty@example.com",),
                cause="person:anna",
                message_id=f"<{number}@acme.example>",
            )
            store.deliver(Viewer(operator="acme"), mail, [made])

        enter(1)
        with house.daemon() as daemon:
            until("the first is delivered", 20, lambda: first.messages)
            until("it is told", 10, lambda: "delivered destination=" in daemon.log)
            _account(house, second)
            until("the config is taken over", 10, lambda: daemon.log.count("config loaded") > 1)
            enter(2)
            until("the second is delivered", 20, lambda: second.messages)
            second.answer = lambda step, _: SILENCE if step == "MAIL" else None
            enter(3)
            until("the server hangs", 20, lambda: any("MAIL" in one for one in second.commands[-1:]))
            assert daemon.stop() < 5
        second.answer = lambda _step, _argument: None
        with house.daemon():
            until("the third is delivered by the next start", 20, lambda: len(second.messages) == 2)
    assert len(first.messages) == 1
