"""What is on the server of an account, listed page by page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import Viewer
from gatewayd.config import ImportConfig
from gatewayd.desk.offers import RemoteQuery, choices, choose, choose_listed, remote_mail
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from pathlib import Path

ACME = Viewer(operator="acme")


def test_a_page_of_what_arrived_since_a_day_is_full_though_older_mail_was_listed_later(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    for number, month in enumerate((6, 5, 1, 1, 1), 1):
        transport.deliver(make_raw(number), arrival=datetime(2026, month, 1, tzinfo=UTC))
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        query = RemoteQuery(which="all", since=datetime(2026, 4, 1, tzinfo=UTC), limit=2)
        assert [one.key for one in remote_mail(gateway.store, Viewer(operator="acme"), "main", query)] == ["1:2", "1:1"]


def test_all_that_a_list_offers_is_chosen_page_by_page_up_to_what_was_shown(tmp_path: Path) -> None:
    transport = filled(1010, "INBOX")
    with Gateway(tmp_path, transport, imports=ImportConfig(take="chosen")) as gateway:
        gateway.good()
        store = gateway.store
        ids = [one.id for one in remote_mail(store, ACME, "main", RemoteQuery(limit=2000))]
        assert len(ids) == 1010
        store.dismiss(ACME, "main", ids[10:11], who="anna")
        # What is chosen first moves the mark above all that is chosen next.
        chosen = choose_listed(store, ACME, "main", RemoteQuery(which="new", before=ids[2]), who="anna")
        assert (chosen.count, chosen.newest, chosen.oldest) == (1006, ids[3], ids[-1])
        assert (chosen.task.chosen, chosen.task.keys) == (True, ())
        results = {one.offer.id: one.result for one in choices(store, ACME, "main", ids)}
        assert [results[one] for one in ids[:3]] == ["offered"] * 3
        assert results[ids[10]] == "dismissed"
        assert list(results.values()).count("waiting") == 1006
        assert choose_listed(store, ACME, "main", RemoteQuery(which="waiting", text="no such"), who="anna").count == 0


def test_what_is_chosen_is_here_after_the_visit_that_it_asks_for(tmp_path: Path) -> None:
    transport = filled(3, "INBOX")
    with Gateway(tmp_path, transport, imports=ImportConfig(take="chosen")) as gateway:
        gateway.good()
        ids = [one.id for one in remote_mail(gateway.store, ACME, "main", RemoteQuery())]
        chosen = choose(gateway.store, ACME, "main", [ids[2], ids[0], 999], who="anna")
        assert (chosen.count, chosen.newest, chosen.oldest) == (2, ids[0], ids[2])
        assert sorted(chosen.task.keys) == ["1:1", "1:3"]
        assert choose(gateway.store, Viewer(operator="other"), "main", ids, who="eve").count == 0
        gateway.good()
        assert [one.result for one in choices(gateway.store, ACME, "main", ids)] == ["here", "offered", "here"]
