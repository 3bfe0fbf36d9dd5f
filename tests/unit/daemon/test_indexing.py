"""The daemon indexes what is filed, and goes on with it when the store is back or a message does not parse."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders, PermanentError, Query, Source, TransientError, Unindexed, Viewer
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
    """Raises an error when it is asked, or when one of its mails is read."""

    when_asked: Exception | None = None
    when_read: Exception | None = None
    #: How often it did.
    raised = 0

    def unindexed(self, limit: int, *, size: int) -> Sequence[Unindexed]:
        if self.when_asked:
            self.raised += 1
            raise self.when_asked
        found = super().unindexed(limit, size=size)
        return [Unindexed(one.mail_id, Damaged(one.source, self)) for one in found]


class Damaged:
    def __init__(self, source: Source, store: Odd) -> None:
        self._source, self._store = source, store
        self.size = source.size

    def read(self, offset: int, size: int) -> bytes:
        data = self._source.read(offset, size)
        if self._store.when_read and b"damaged" in data:
            self._store.raised += 1
            raise self._store.when_read
        return data


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
@pytest.mark.parametrize("when", ["when_asked", "when_read"])
def test_what_fails_is_tried_again(tmp_path: Path, error: Exception, when: str) -> None:
    with Post(tmp_path) as post, logged() as log:
        store = Odd(post.store.options, place=post.store.place)
        store.open()
        with closing(store), closing(Indexing(store, look=0.01, again=0.01)):
            setattr(store, when, error)
            mail_id = Custodian.of(store).file("1", make_raw(text="damaged"))
            until(lambda: store.raised > 1)
            setattr(store, when, None)
            until(lambda: found(store, "damaged") == [mail_id])
        assert ("own fault room=indexing" in log.getvalue()) == isinstance(error, OSError)


def test_a_mail_whose_bytes_are_damaged_keeps_no_other_from_the_index(tmp_path: Path) -> None:
    store = Odd(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        store.when_read = PermanentError("bytes are missing")
        hand = Custodian.of(store)
        hand.file("1", make_raw(1, text="damaged hello"))
        sound = hand.file("2", make_raw(2))
        with closing(Indexing(store, look=0.01)):
            until(lambda: store.lengths().unindexed == 0)
        assert found(store, "hello") == [sound]
