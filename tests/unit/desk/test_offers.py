"""What is on the server of an account, listed page by page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import Viewer
from gatewayd.desk.offers import RemoteQuery, remote_mail
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from pathlib import Path


def test_a_page_of_what_arrived_since_a_day_is_full_though_older_mail_was_listed_later(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    for number, month in enumerate((6, 5, 1, 1, 1), 1):
        transport.deliver(make_raw(number), arrival=datetime(2026, month, 1, tzinfo=UTC))
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        query = RemoteQuery(which="all", since=datetime(2026, 4, 1, tzinfo=UTC), limit=2)
        assert [one.key for one in remote_mail(gateway.store, Viewer(operator="acme"), "main", query)] == ["1:2", "1:1"]
