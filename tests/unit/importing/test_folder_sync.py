"""What a listing means for the ledger; re-anchoring never takes one message for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.config import AccountConfig, ImportConfig
from gatewayd.importing.folder_sync import preview
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from pathlib import Path


def test_preview_says_what_a_visit_would_list_and_writes_nothing(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        old = gateway.transport.deliver(make_raw(1))
        account = AccountConfig(
            name="main", kind="fake", operators=("acme",), options=gateway.transport.options, imports=ImportConfig()
        )
        for _ in range(2):
            found = list(preview(account, gateway.transport.open(), gateway.store))
            assert [(folder, one.key) for folder, one in found] == [("INBOX", old)]
        assert gateway.store.folder("main", "INBOX") is None
        gateway.transport.sessions = 0
        gateway.good()
        new = gateway.transport.deliver(make_raw(2))
        assert [one.key for _, one in preview(account, gateway.transport.open(), gateway.store)] == [new]
        nothing = AccountConfig(name="main", kind="fake", operators=("acme",), options=gateway.transport.options)
        assert list(preview(nothing, gateway.transport.open(), gateway.store)) == []


def test_a_listing_that_names_a_key_twice_enters_it_once(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.transport.deliver(make_raw(1))
        there = gateway.transport.folder("INBOX")
        there.messages.append(there.messages[0])
        report = gateway.visit()
        assert (report.listed, report.tally.filed) == (1, 1)
        assert "2 messages are listed under the one key 1:1" in report.problems[0]
        assert not gateway.audit().proven, "only one of the two can be had"
