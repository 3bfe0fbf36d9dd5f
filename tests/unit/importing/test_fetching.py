"""Batches keep their bounds (P8) and lose nothing (P2)."""

from __future__ import annotations

import secrets
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import (
    Came,
    Failed,
    Filed,
    GatewaydError,
    Listed,
    Retry,
    Spool,
    TooLarge,
    TransientError,
    Waiting,
)
from gatewayd.importing.fetching import Batch, UnsizedMessages, cut, fetch
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.batches import Answers, matched, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Fetched

MIB = 1 << 20


@given(st.lists(st.none() | st.integers(0, 5 * MIB), max_size=60), st.integers(1, 10), st.integers(1, 4 * MIB))
def test_P8_batches_are_bounded_by_count_and_bytes_and_lose_nothing(sizes: list[int | None], messages: int, size: int) -> None:
    asked = [waiting(number, one) for number, one in enumerate(sizes)]
    batches = list(cut(asked, messages=messages, size=size))
    assert [one for batch in batches for one in batch] == asked, "lost, doubled or out of order"
    assert all(batches)
    assert all(len(batch) <= messages for batch in batches)

    def weight(batch: Sequence[Waiting]) -> int:
        return sum(MIB if one.listed.size is None else one.listed.size for one in batch)

    assert all(weight(batch) <= size or len(batch) == 1 for batch in batches)
    # And no batch is smaller than it must be.
    for batch, following in pairwise(batches):
        assert len(batch) == messages or weight([*batch, following[0]]) > size


def came_as(folder: Path, asked: Sequence[Waiting], sizes: Sequence[int], error: GatewaydError | None = None) -> Batch:
    with Spool(folder / secrets.token_hex(8)) as spool:
        came = [spool.put(one.listed.key, [b"x" * size]) for one, size in zip(asked, sizes, strict=False)]
        return Batch(asked=asked, came=came, spool=spool, error=error)


def test_P8_messages_of_unknown_size_are_guessed_by_those_that_came(tmp_path: Path) -> None:
    guess = UnsizedMessages()
    asked = [waiting(number, None) for number in range(1000)]

    def lengths() -> list[int]:
        return [len(batch) for batch in cut(asked, messages=200, size=16 * MIB, unsized=guess)]

    assert set(lengths()) == {16, 8}, "nothing is known of them"
    guess.learn(came_as(tmp_path, asked, [10_000] * 16), 0.016)
    assert lengths() == [200] * 5
    # As many as come within five seconds, so that a visit can give way.
    guess.learn(came_as(tmp_path, asked, [10_000] * 16), 7.984)
    assert set(lengths()) == {20}
    guess.learn(came_as(tmp_path, asked, [10_000] * 16), 1000.0)
    assert set(lengths()) == {1}
    # Large ones count as they are, and at most as much as at first.
    guess = UnsizedMessages()
    guess.learn(came_as(tmp_path, asked, [3 * MIB] * 16), 0.1)
    assert set(lengths()) == {16, 8}


def test_P8_after_an_error_the_sizes_are_unknown_again(tmp_path: Path) -> None:
    guess = UnsizedMessages()
    asked = [waiting(number, None) for number in range(100)]
    guess.learn(came_as(tmp_path, asked, [100] * 16), 0.1)
    assert guess.size == 200
    guess.learn(came_as(tmp_path, asked, [100] * 3, TooLarge("all of them")), 0.1)
    assert (guess.size, next(iter(cut(asked, messages=200, size=16 * MIB, unsized=guess)))) == (MIB, asked[:16])


def test_sizes_that_are_listed_are_not_guessed(tmp_path: Path) -> None:
    guess = UnsizedMessages()
    asked = [waiting(number, 10) for number in range(100)]
    guess.learn(came_as(tmp_path, asked, [10] * 16), 60.0)
    assert [len(batch) for batch in cut(asked, messages=50, size=MIB, unsized=guess)] == [50, 50]


@pytest.mark.parametrize("first", [None, TransientError("lost")])
def test_a_disk_that_fills_up_leaves_no_spool_and_masks_no_error(tmp_path: Path, first: GatewaydError | None) -> None:
    class Full(Spool):
        def seal(self) -> None:
            raise TransientError("the spool can't be written")

    session: Any = Answers(*([first] if first else []))
    with pytest.raises(TransientError) as raised:
        fetch(session, "INBOX", [waiting(1)], Full(tmp_path / "spool"))
    assert first is None or raised.value is first
    assert list(tmp_path.iterdir()) == []


def test_a_fetch_of_a_fake_session_is_a_batch(tmp_path: Path) -> None:
    transport = FakeTransport()
    key = transport.deliver(make_raw(1))
    with Spool(tmp_path / "spool") as spool:
        asked = Waiting(entry_id=1, listed=Listed(key), backlog=False, tries=0)
        batch = fetch(transport.open(), "INBOX", [asked], spool)
        assert [one.key for one in batch.came] == [key]


class Endless:
    """A session whose server sends a message without end."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, _folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        self.asked = [one.key for one in listed]
        for one in listed:
            yield spool.put(one.key, iter(lambda: b"x" * MIB, b"") if one.key == "2" else [b"x" * (one.size or 0)])


def test_P4_P8_a_message_without_end_waits_with_its_bound_as_cause_and_what_came_before_is_kept(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        asked = [waiting(number, size=100) for number in (1, 2, 3)]
        batch = fetch(Endless(), "INBOX", asked, spool)  # type: ignore[arg-type]
        assert [type(one) for one in batch.came] == [Came, Failed]
        assert isinstance(batch.error, TooLarge)
        done = matched(batch)
    assert {number: type(one) for number, one in done.items()} == {1: Filed, 2: Retry}
    assert f"more than {200 + MIB} bytes" in done[2].cause


def test_P8_what_is_listed_above_the_largest_message_is_not_asked_for(tmp_path: Path) -> None:
    session = Endless()
    with Spool(tmp_path / "spool") as spool:
        asked = [waiting(1, size=100), waiting(5, size=5 * MIB)]
        batch = fetch(session, "INBOX", asked, spool, 2 * MIB)  # type: ignore[arg-type]
        assert session.asked == ["1"]
        done = matched(batch)
    assert {number: type(one) for number, one in done.items()} == {1: Filed, 5: Retry}
    assert "message_bytes" in done[5].cause
