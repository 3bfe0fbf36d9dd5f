"""Stored bytes of which some are gone are told, and never taken for the message (promises P3, P5)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import CHUNK, Action, PermanentError, Query
from gatewayd.api.ledger import FilingFault
from gatewayd.importing.rematch import retry
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from tests.unit.importing.test_growth import grow, mailbox
from tests.unit.kernel import Gateway
from tests.unit.outbound import Post
from tests.unit.scheduler.test_verdict_correction import ACME, site

if TYPE_CHECKING:
    from pathlib import Path

LARGE = make_raw(1) + b"0" * CHUNK + b"1" * CHUNK


def damage(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "store/gatewayd.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM chunk WHERE number = 0",
        "DELETE FROM chunk WHERE number = 1",
        "DELETE FROM chunk WHERE number = 2",
        "UPDATE chunk SET data = substr(data, 2) WHERE number = 1",
        "UPDATE chunk SET data = data || x'00' WHERE number = 1",
        "DELETE FROM chunk",
    ],
)
def test_P5_no_other_bytes_are_read_in_place_of_those_that_are_gone(tmp_path: Path, statement: str) -> None:
    with Post(tmp_path) as post:
        mail_id = post.mail(LARGE)
        damage(tmp_path, statement)
        source = post.store.source(ACME, mail_id)
        assert source is not None
        with pytest.raises(PermanentError, match=f"mail {mail_id} are missing or damaged") as caught:
            source.read(0, source.size)
        assert "put back a copy" in caught.value.advice


def test_P5_what_is_there_of_damaged_bytes_is_read(tmp_path: Path) -> None:
    with Post(tmp_path) as post:
        mail_id = post.mail(LARGE)
        damage(tmp_path, "DELETE FROM chunk WHERE number = 1")
        source = post.store.source(ACME, mail_id)
        assert source is not None
        assert source.read(0, CHUNK) == LARGE[:CHUNK]
        assert source.read(2 * CHUNK, 2 * CHUNK) == LARGE[2 * CHUNK :]
        with pytest.raises(PermanentError):
            source.read(CHUNK - 1, 2)


@pytest.mark.parametrize("statement", ["DELETE FROM chunk", "UPDATE chunk SET data = substr(data, 2)"])
def test_P7_a_delivery_whose_bytes_are_gone_is_parked_and_the_others_go(tmp_path: Path, statement: str) -> None:
    with Post(tmp_path) as post:
        server = post.account()
        lost, whole = post.mail(make_raw(1)), post.mail(make_raw(2))
        damage(tmp_path, f"{statement} WHERE content_id = {lost}")
        one, other = post.enter(mail=lost), post.enter(mail=whole)
        done = post.deliver()
        assert (done.parked, done.delivered, done.error) == (1, 1, None)
        assert post.view(one).state == "parked"
        assert "missing or damaged" in post.view(one).words
        assert [parcel.id for parcel in server.delivered] == [other]


def test_P4_mail_whose_bytes_are_gone_keeps_its_links_and_no_other_from_being_matched_again(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        ids = []
        for number in (1, 2):
            one.hand.enter(str(number))
            filing = make_filing(faults=[FilingFault("books", "it failed")])
            outcome = one.hand.outcome(str(number), make_raw(number), filing)
            one.hand.commit(outcome)
            ids.append(outcome.entry_id)
        damage(tmp_path, f"DELETE FROM chunk WHERE content_id = {ids[0]}")
        one.records.booking = True
        assert list(retry(one.store, one.gateway.matching, one.spec, ACME, Query(), router=None))
        assert one.linked() == {ids[1]}
        assert [view.id for view in one.store.filings(ACME, Query(faulty=True))] == [ids[0]]


def test_P4_what_was_filed_before_and_is_gone_keeps_no_mail_from_being_filed(tmp_path: Path) -> None:
    transport = mailbox(has_cursor=True)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        damage(tmp_path, "DELETE FROM chunk WHERE content_id = 2")
        grow(transport, b"Status: RO\r\n")
        report = gateway.visit()
        assert (report.error, report.tally.filed, report.tally.duplicate) == (None, 1, 2)


@pytest.mark.parametrize("statement", ["DELETE FROM chunk", "DELETE FROM chunk WHERE number = 1"])
@pytest.mark.parametrize("account", ["main", "other"])
def test_P3_nothing_is_owed_for_bytes_that_are_not_here_whole(tmp_path: Path, statement: str, account: str) -> None:
    """The same bytes come once more: what of them is gone is written anew, before the server may delete its copy."""
    with Post(tmp_path) as post:
        one = Custodian.of(post.store, "main")
        mail_id = one.file("1", LARGE)
        damage(tmp_path, statement)
        two = one if account == "main" else replace(one, lease=Custodian.of(post.store, account).lease)
        two.file("2", LARGE, owed=Action(do="delete"))
        assert [owed.key for owed in post.store.owed(account, limit=9)] == ["2"]
        source = post.store.source(ACME, mail_id)
        assert source is not None
        assert source.read(0, source.size) == LARGE
        (audit,) = post.store.audit(account, {})
        assert audit.damaged == ()
