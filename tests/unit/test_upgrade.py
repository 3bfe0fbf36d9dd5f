"""A database of the release before custody was held against sizes and arrivals: nothing is fetched, filed or done again.

``tests/upgrade/0003.sql`` is the dump of one that release made: of the account ``main`` two keys are offered, one is not admitted,
one waits, one vanished, four are filed and one is a duplicate, with deletes owed to all five; of the account ``own`` a
user's mail stands in an error queue.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, OfferQuery, Query, Task, Viewer
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_listing, make_raw
from tests.unit.kernel import Gateway, directory, links_all, matcher, spec

if TYPE_CHECKING:
    from collections.abc import Iterator

DUMP = Path(__file__).parent.parent / "upgrade/0003.sql"
START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """The gateway that goes on with it, on the mailbox as it was."""
    database = sqlite3.connect(tmp_path / "gatewayd.db")
    database.executescript(DUMP.read_text())
    database.close()
    transport = FakeTransport(account="main", overlap=50)
    for number in range(1, 11):
        raw = make_raw(3 if number == 6 else number, sender="stranger@example.com" if number == 4 else "anna@example.com")
        key = transport.deliver(raw, arrival=START + timedelta(minutes=number))
    transport.vanish("1:8")
    transport.fail("1:7", "the server says no")
    transport.message(key).listed_size = 252
    known = directory([], [make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")])
    imports = ImportConfig(start=START + timedelta(minutes=3), after=Action(do="delete"), contact_types={"customer": ("sales",)})
    plugins = [known, matcher("calm", links_all)]
    with Gateway(tmp_path, transport, imports=imports, plugins=plugins, specs=[spec("acme", "calm", known=True)]) as gateway:
        yield gateway


def asked_for(gateway: Gateway) -> set[str]:
    return {key for asked in gateway.transport.steps("message") for key in asked.keys}


def test_nothing_is_fetched_or_filed_again_and_what_is_owed_is_done(gateway: Gateway) -> None:
    before = {one.id: (one.links, one.faults, one.queue) for one in gateway.filings()}
    # Neither a visit nor a comparison of the whole finds anything new.
    reports = [gateway.visit(), gateway.visit(compare=True), gateway.visit()]
    assert [report.error for report in reports] == [None] * 3
    assert [(report.listed, report.tally.filed, report.problems) for report in reports] == [(0, 0, ())] * 3
    assert asked_for(gateway) == {"1:7"}, "what waits is asked for, and nothing else"
    assert {one.id: (one.links, one.faults, one.queue) for one in gateway.filings()} == before
    assert gateway.states() == {
        "1:1": "offered",
        "1:2": "offered",
        "1:3": "filed",
        "1:4": "not admitted",
        "1:5": "filed",
        "1:6": "duplicate",
        "1:7": "waiting",
        "1:9": "filed",
        "1:10": "filed",
    }
    # The last one came with other bytes than were listed: perhaps something stands in for it, so it is left where it is.
    assert sum(report.settled for report in reports) == 4
    assert gateway.transport.keys() == ["1:1", "1:2", "1:4", "1:7", "1:10"]


def test_entries_without_a_size_take_the_first_that_is_seen(gateway: Gateway) -> None:
    gateway.imports = ImportConfig(start=START + timedelta(minutes=3), contact_types={"customer": ("sales",)})
    gateway.visit()
    (entry,) = [one for one in gateway.store.entries("main", "filed", after=0, limit=99) if one.key == "1:9"]
    assert (entry.size, entry.gone) == (len(make_raw(9)), False)
    gateway.transport.message("1:9").listed_size = 7
    assert "1:9 (7 bytes, 244 before)" in gateway.visit().problems[0]


def test_nothing_is_done_to_a_message_that_proves_to_be_of_another_size_than_what_was_filed(gateway: Gateway) -> None:
    gateway.transport.message("1:9").listed_size = 300
    assert gateway.visit().settled == 3
    assert gateway.transport.message("1:9")


def test_the_audit_takes_what_is_there_and_names_what_was_filed_with_other_bytes(gateway: Gateway) -> None:
    audit = gateway.audit()
    assert (audit.unlike, audit.waiting) == (("1:10",), ("1:7",))
    assert (audit.damaged, audit.unfiled, audit.unknown, audit.changed, audit.short) == ((), (), (), (), 0)
    (own,) = gateway.store.audit("own", {"INBOX": make_listing("1:1")})
    assert own.proven
    (mine,) = gateway.store.filings(Viewer(operator="acme", users=("irina",)), Query(account="own"))
    assert (mine.user, mine.queue, len(mine.rivals)) == ("irina", "desk", 2)
    assert not gateway.store.check().faults


def test_offers_get_their_headers_when_somebody_looks(gateway: Gateway) -> None:
    acme = Viewer(operator="acme")
    gateway.visit()
    assert gateway.store.offers(acme, OfferQuery(account="main")) == []
    gateway.task = Task(look=True)
    gateway.visit()
    gateway.visit()
    found = gateway.store.offers(acme, OfferQuery(account="main"))
    assert [(one.key, one.sender, one.decision) for one in found] == [
        ("1:2", "anna@example.com", "offered"),
        ("1:1", "anna@example.com", "offered"),
    ]
    gateway.store.choose(acme, "main", [found[0].id], who="anna")
    gateway.task = Task()
    gateway.visit()
    assert gateway.states()["1:2"] == "filed"
