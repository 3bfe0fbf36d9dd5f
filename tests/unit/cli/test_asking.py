"""`import` follows a daemon that has the account, and comes to an end whatever becomes of that."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import DaemonHealth, Folders
from gatewayd.api.ledger import Lease
from gatewayd.runtime.instance import Instance
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House, until
from tests.patience import AT_ONCE

if TYPE_CHECKING:
    from pathlib import Path


def test_a_request_for_an_account_whose_file_goes_is_withdrawn_and_not_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme")
    house.account("main", "imap", 1, "anna")
    house.state.mkdir()
    store = Sql(SqlOptions(url=None), place=Folders(config=house.folder, state=house.state))
    store.open()
    with closing(store), Instance(house.state, "daemon") as daemon:
        # A daemon that lives, and lets go of the account as soon as its file is gone.
        lease = store.take_lease("main", daemon.name, dead=lambda _: False)
        assert isinstance(lease, Lease)
        store.beat(DaemonHealth(holder=daemon.name, version="1", started_at=datetime.now(UTC)))
        with house.start("import", "main", "--from-beginning", "--forward") as command:
            try:
                until("it is asked", AT_ONCE, lambda: store.requests() or None)
                (house.folder / "accounts/main.yaml").unlink()
                store.release(lease)
                _, said = command.communicate(timeout=AT_ONCE)
            finally:
                command.kill()
        assert command.returncode == 1
        assert "main: its file accounts/main.yaml is gone, and nobody visits it any more" in said
        assert store.requests() == [], "what was asked for would be done when a file of this name comes back, however late"
