"""What a round of leases means for accounts: they are taken on, given up and given away, without a loop around it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import AccountHealth, Lease, TransientError
from gatewayd.runtime.due_times import DAY
from tests.patience import AT_ONCE
from tests.unit.log import logged
from tests.unit.supervised import House
from tests.unit.unlooped import LEASE, Stand, lines

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged("json") as written:
        yield written


# --- when -------------------------------------------------------------------------------------------------------------


def test_the_next_round_or_the_end_of_the_leases_is_waited_for_whichever_comes_first(house: House) -> None:
    stand = Stand(house)
    ends_at = stand.leases.ends_at
    stand.leases.at = ends_at - 1
    assert stand.handlers.next_lease_round() == ends_at - 1
    stand.leases.at = ends_at + 1
    assert stand.handlers.next_lease_round() == ends_at
    # Once all sessions are dropped, only a round can change anything.
    stand.handlers.work_on_leases(ends_at)
    assert stand.handlers.next_lease_round() == ends_at + 1


def test_a_round_begins_when_it_is_due_with_what_is_held_and_what_is_wanted(house: House) -> None:
    stand = Stand(house, "held", "wanted")
    [held] = stand.own("held")
    stand.leases.at = now = time.monotonic()
    stand.handlers.work_on_leases(now - 1)
    assert stand.leases.at == now
    stand.handlers.work_on_leases(now)
    stand.supervisor._inbox.get(timeout=AT_ONCE)()
    wanted = stand.state("wanted")
    assert held.lease is not None
    assert wanted.lease is not None
    assert (held.lease.epoch, wanted.lease.epoch) == (1, 1)
    assert stand.leases.at > now + LEASE / 4


def test_a_round_that_renewed_all_leases_counts_from_when_it_began(house: House) -> None:
    stand = Stand(house)
    done = stand.done()
    assert stand.leases.good_at == done.began
    stand.done(kept=None, error=TransientError("the database is away"))
    assert stand.leases.good_at == done.began


# --- taking -----------------------------------------------------------------------------------------------------------


def test_what_was_taken_is_due_soon_and_told_of(house: House, log: io.StringIO) -> None:
    stand = Stand(house, "main", "other")
    now = time.monotonic()
    [state] = stand.own("main")
    assert state.lease == Lease(account="main", holder=stand.supervisor._deps.instance.name, epoch=1)
    assert state.due is not None
    # Of one account, within the fiftieth part of a second.
    assert now <= state.due <= time.monotonic() + 0.02
    assert stand.states.next() == state.due
    assert now <= state.compare_at <= time.monotonic() + DAY
    assert lines(log) == [{"event": "account taken", "account": "main", "epoch": 1}]
    stand.tell()
    assert ("main", "new", "", "") in stand.heard
    assert stand.state("other").lease is None


def test_what_was_told_of_an_account_before_is_gone_on_from(house: House) -> None:
    stand = Stand(house, "main")
    before = datetime.now(UTC) - timedelta(hours=1)
    told = AccountHealth(account="main", holder="before", condition="polling", mail_at=before, compared_at=before)
    now = time.monotonic()
    stand.done(stand.lease("main"), healths=(told,))
    state = stand.state("main")
    assert (state.mail_at, state.compared_at) == (before, before)
    # What was compared an hour ago is so again in a day, an hour less, and sooner by a tenth at most.
    assert now + 0.9 * 22.9 * 3600 <= state.compare_at <= time.monotonic() + 23.1 * 3600


def test_an_account_that_comes_back_stays_and_is_new(house: House) -> None:
    stand = Stand(house, "main")
    state = stand.state("main")
    state.leaving, state.condition = True, "paused"
    stand.own("main")
    assert (state.leaving, state.shown) == (False, "new")


def test_an_account_whose_last_visit_goes_on_is_not_due_before_that_ends(house: House) -> None:
    stand = Stand(house, "main")
    [state] = stand.own("main")
    stand.visit(state)
    stand.done(lost=frozenset(filter(None, [state.lease])))
    stand.own("main")
    assert state.lease is not None
    assert state.lease.epoch == 2
    assert state.due is None


def test_the_lease_of_an_account_that_is_not_in_the_config_any_more_is_given_back(house: House) -> None:
    stand = Stand(house)
    stand.done(stand.lease("gone"))
    assert stand.is_given_back("gone")


def test_of_two_leases_of_an_account_the_first_is_kept(house: House) -> None:
    stand = Stand(house, "main")
    [state] = stand.own("main")
    first = state.lease
    stand.done(stand.lease("main"))
    assert state.lease == first
    assert stand.is_given_back("main")


def test_what_comes_while_the_daemon_ends_is_given_back(house: House) -> None:
    stand = Stand(house, "main", "held")
    [held] = stand.own("held")
    stand.states.stopping = True
    stand.heard.clear()
    stand.done(stand.lease("main"), share=0)
    assert stand.state("main").lease is None
    assert held.lease is not None
    assert stand.heard == []
    assert stand.is_given_back("main")


# --- losing -----------------------------------------------------------------------------------------------------------


def test_everything_of_an_account_whose_lease_is_lost_is_dropped_at_once(house: House, log: io.StringIO) -> None:
    stand = Stand(house, "visited", "watched", "kept")
    visited, watched, kept = stand.own("visited", "watched", "kept")
    run = stand.visit(visited)
    stand.watch(watched)
    stand.heard.clear()
    lines(log)
    lost = frozenset(filter(None, [visited.lease, watched.lease]))
    stand.done(kept=frozenset(filter(None, [kept.lease])), lost=lost)
    assert (visited.lease, watched.lease, watched.watched, kept.lease is None) == (None, None, None, False)
    assert run.aborted
    assert house.servers["watched"].steps("abort")
    assert set(stand.heard) == {"visited", "watched"}
    cause = "it ended, or another daemon took it"
    told = sorted(lines(log), key=lambda line: str(line["account"]))
    assert told == [{"event": "lease lost", "account": name, "cause": cause} for name in ("visited", "watched")]


def test_a_lease_that_was_lost_before_it_was_taken_again_does_not_count(house: House) -> None:
    stand = Stand(house, "main")
    old = stand.lease("main")
    [state] = stand.own("main")
    stand.done(lost=frozenset({old}))
    assert state.lease is not None
    assert state.lease.epoch == old.epoch + 1


def test_a_lost_lease_of_an_account_that_is_gone_is_nothing_to_us(house: House, log: io.StringIO) -> None:
    stand = Stand(house)
    stand.done(lost=frozenset({stand.lease("gone")}))
    assert lines(log) == []


# --- giving away ------------------------------------------------------------------------------------------------------


def test_what_is_more_than_our_share_is_given_away_and_of_that_the_idle_accounts_first(house: House, log: io.StringIO) -> None:
    stand = Stand(house, "visited", "watched", "idle", "lazy")
    visited, watched, idle, lazy = stand.own("visited", "watched", "idle", "lazy")
    stand.visit(visited)
    stand.watch(watched)
    lines(log)
    stand.done(share=2)
    assert (idle.lease, lazy.lease) == (None, None)
    assert visited.lease is not None
    assert watched.lease is not None
    told = sorted(str(line["account"]) for line in lines(log) if line["event"] == "account released")
    assert told == ["idle", "lazy"]
    assert stand.is_given_back("idle")


def test_what_is_watched_is_given_away_before_what_is_visited_and_logs_out(house: House) -> None:
    stand = Stand(house, "visited", "watched")
    visited, watched = stand.own("visited", "watched")
    stand.visit(visited)
    stand.watch(watched)
    stand.done(share=1)
    assert (watched.lease, visited.leaving) == (None, False)
    assert not house.servers["watched"].steps("abort")


def test_what_is_visited_leaves_behind_its_visit_and_is_not_counted_again(house: House) -> None:
    stand = Stand(house, "one", "two", "three")
    states = stand.own("one", "two", "three")
    runs = [stand.visit(state) for state in states]
    for _ in range(2):
        stand.done(share=2)
        assert sorted(run.stop for run in runs) == [False, False, True]
    assert [run.state.leaving for run in runs] == [run.stop for run in runs]
    assert all(state.lease for state in states)


@pytest.mark.parametrize("share", [2, 3, None])
def test_what_is_not_more_than_our_share_stays(house: House, share: int | None) -> None:
    stand = Stand(house, "one", "two")
    stand.own("one", "two")
    stand.done(share=share)
    assert len(list(stand.states.held())) == 2


def test_any_of_the_idle_accounts_are_given_away_and_not_the_same_ones_in_every_daemon(house: House) -> None:
    names = [f"account-{number}" for number in range(40)]
    stand = Stand(house, *names)
    stand.done(*[Lease(account=name, holder="made up", epoch=1) for name in names], share=20)
    left = [state.name for state, _ in stand.states.held()]
    assert len(left) == 20
    assert left not in (names[:20], names[20:])
