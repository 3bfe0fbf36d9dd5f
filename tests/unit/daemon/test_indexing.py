"""The daemon indexes what is filed, and goes on with it when the store is back or a message does not parse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders, Query, TransientError, Unindexed, Viewer
from gatewayd.daemon.indexing import Indexing
from gatewayd.testing.contracts.custodian import Custodian, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.log import logged
from tests.unit.outbound import Post
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd import Store

ACME = Viewer(operator="acme")


class Odd(Sql):
    """Raises an error when it is asked."""

    error: Exception | None = None
    #: How often it did.
    raised = 0

    def unindexed(self, limit: int, *, size: int) -> Sequence[Unindexed]:
        if self.error:
            self.raised += 1
            raise self.error
        return super().unindexed(limit, size=size)


def found(store: Store, words: str) -> list[int]:
    return [one.id for one in store.filings(ACME, Query(words=words))]


def test_old_mail_and_new_is_found_while_the_daemon_runs(tmp_path: Path) -> None:
    with Post(tmp_path) as post:
        hand = Custodian.of(post.store)
        old = [hand.file(str(number), make_raw(number)) for number in range(1, 4)]
        with closing(Indexing(post.store, look=0.01)):
            until(lambda: found(post.store, "hello") == old[::-1])
            new = hand.file("4", make_raw(4, text="Voucher"))
            until(lambda: found(post.store, "voucher") == [new])
        assert post.store.lengths().unindexed == 0


@pytest.mark.parametrize("error", [TransientError("it is away"), OSError("a bug")])
def test_what_fails_is_tried_again(tmp_path: Path, error: Exception) -> None:
    with Post(tmp_path) as post, logged() as log:
        store = Odd(post.store.options, place=post.store.place)
        store.open()
        store.error = error
        with closing(store), closing(Indexing(store, look=0.01, again=0.01)):
            mail_id = Custodian.of(store).file("1", make_raw(text="Voucher"))
            until(lambda: store.raised > 1)
            store.error = None
            until(lambda: found(store, "voucher") == [mail_id])
        assert ("own fault room=indexing" in log.getvalue()) == isinstance(error, OSError)


def test_a_mail_whose_bytes_are_damaged_keeps_no_other_from_the_index(tmp_path: Path) -> None:
    store = Sql(SqlOptions(url=f"sqlite:///{tmp_path}/gatewayd.db"), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        hand = Custodian.of(store)
        damaged, sound = (hand.file(str(number), make_raw(number)) for number in (1, 2))
        with closing(sqlite3.connect(tmp_path / "gatewayd.db")) as database, database:
            database.execute("DELETE FROM chunk WHERE content_id = ?", [damaged])
        with closing(Indexing(store, look=0.01)):
            until(lambda: store.lengths().unindexed == 0)
        assert found(store, "hello") == [sound]
