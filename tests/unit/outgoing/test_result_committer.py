"""What became of deliveries is committed in groups, by another thread."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gatewayd import Settled, TransientError
from gatewayd.outgoing import result_committer
from gatewayd.outgoing.result_committer import ResultCommitter
from tests.patience import AT_ONCE
from tests.unit.outbound import Post

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Taken


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as made:
        made.account()
        yield made


def _taken(post: Post) -> Taken:
    post.enter()
    (taken,) = post.store.take("account out", "me", limit=1, dead=lambda _: False)
    return taken


def _settled(taken: Taken) -> Settled:
    return Settled(id=taken.id, tries=taken.tries, state="delivered")


def test_a_single_result_waits_a_moment_for_others_and_is_told_once_it_is_on_the_disk(post: Post) -> None:
    taken, told = _taken(post), list[int]()
    commits: list[float] = []
    real = post.store.settle

    def settle(taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        commits.append(time.monotonic())
        return real(taker, settled)

    post.store.settle = settle  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        kept = ResultCommitter(post.store, "me", pool, told=lambda one, _: told.append(one.id), wait=lambda: True)
        began = time.monotonic()
        kept.add(taken, _settled(taken))
        while not commits:
            time.sleep(0.001)
        kept.close()
    assert commits[0] - began >= result_committer._MOMENT
    assert told == [taken.id]


@pytest.mark.parametrize("goes_on", [1, 0])
def test_told_to_stop_while_the_store_is_away_it_gives_up_and_says_so_each_time(post: Post, goes_on: int) -> None:
    taken, tries, added = _taken(post), list[int](), threading.Event()

    def settle(*_: object) -> frozenset[int]:
        # Else it may have given up already, and whoever adds is told.
        assert added.wait(AT_ONCE)
        tries.append(len(tries))
        raise TransientError("the database is locked")

    post.store.settle = settle  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(1) as pool:
        kept = ResultCommitter(post.store, "me", pool, told=lambda *_: None, wait=lambda: len(tries) <= goes_on)
        kept.add(taken, _settled(taken))
        added.set()
        for _ in range(2):
            with pytest.raises(TransientError, match="locked"):
                kept.close()
    assert len(tries) == 1 + goes_on
