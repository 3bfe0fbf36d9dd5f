"""An account with times of day, under a daemon: when it is visited, and what status says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House, until
from tests.patience import LONG

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from gatewayd.testing.servers import Dovecot


def test_an_account_waits_for_its_time_and_a_person_does_not(tmp_path: Path, dovecot: Dovecot) -> None:
    house = House(tmp_path)
    house.operator("acme")
    dovecot.user("times", "pass")
    time = (datetime.now(UTC) + timedelta(hours=3)).replace(second=0, microsecond=0)
    house.account("times", "imap", dovecot.ports["imap"], "times", imports=f'  at: ["{time:%H:%M}"]\n')

    def waits() -> dict[str, Any] | None:
        found = house.status()["times"]
        return found if found["due_at"] and found["condition"] in {"polling", "new"} else None

    with house.daemon():
        # It is new, and is visited at once; after that no server is asked to announce mail.
        first = until("it was visited and waits", LONG, lambda: (found := waits()) and found["checked_at"] and found)
        assert first["condition"] == "polling"
        assert datetime.fromisoformat(first["due_at"]).replace(second=0) == time
        dovecot.deliver("times", booking_messages(1))
        assert not house.filed()
        house.good("import", "times")
        assert house.filed().total() == 1
        asked = until("it waits again", LONG, waits)
        assert datetime.fromisoformat(asked["due_at"]).replace(second=0) == time
    with house.daemon() as daemon:
        # No time has passed meanwhile.
        until("it is taken", LONG, lambda: "account taken account=times" in daemon.log)
        again = until("it waits", LONG, waits)
        assert again["condition"] == "polling"
        assert datetime.fromisoformat(again["due_at"]).replace(second=0) == time
        assert again["checked_at"]
