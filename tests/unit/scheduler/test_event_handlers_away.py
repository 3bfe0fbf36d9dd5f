"""A store that can't be reached: it is told, sessions are dropped before their leases can end, and all goes on when it is back."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import Alarm, PluginError, StoreReplaced, TransientError
from tests.unit.log import logged
from tests.unit.supervised import House
from tests.unit.unlooped import LEASE, Stand, lines

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

AWAY = TransientError("the database is away", advice="See to it.")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged("json") as written:
        yield written


# --- what is told -----------------------------------------------------------------------------------------------------


def test_a_store_that_fails_is_an_alarm_each_time_and_is_over_with_the_next_good_round(house: House) -> None:
    stand = Stand(house)
    alarm = Alarm(kind="store", error="the database is away", advice="See to it.")
    stand.done(kept=None, error=AWAY)
    stand.done(kept=None, error=AWAY)
    assert stand.heard == [alarm, alarm]
    stand.done()
    assert stand.heard == [alarm, alarm, ("store", "")]


def test_the_log_tells_once_that_the_store_is_away_and_once_that_it_is_back(house: House, log: io.StringIO) -> None:
    stand = Stand(house)
    stand.done()
    assert lines(log) == []
    stand.done(kept=None, error=AWAY)
    error = {"error": "TransientError", "cause": "the database is away", "advice": "See to it."}
    assert lines(log) == [{"event": "store away", **error}]
    stand.done(kept=None, error=AWAY)
    assert lines(log) == []
    stand.leases.good_at = time.monotonic() - 100.0
    stand.done()
    [back] = lines(log)
    assert back["event"] == "store back"
    assert 100.0 <= back["seconds"] < 160.0
    stand.done()
    assert lines(log) == []


def test_another_database_in_the_place_of_ours_ends_the_process_and_no_other_fault_does(house: House) -> None:
    stand = Stand(house)
    for error in (AWAY, PluginError("a bug"), None):
        stand.done(kept=None, error=error)
        assert stand.supervisor.replaced is None
    replaced = StoreReplaced("another database lies there")
    stand.done(kept=None, error=replaced)
    assert stand.supervisor.replaced is replaced


# --- leases that may end ----------------------------------------------------------------------------------------------


def test_sessions_go_on_until_leases_may_end_and_are_dropped_then(house: House, log: io.StringIO) -> None:
    stand = Stand(house, "visited", "watched", "free")
    visited, watched = stand.own("visited", "watched")
    run = stand.visit(visited)
    stand.watch(watched)
    lines(log)
    stand.leases.at = math.inf
    stand.handlers.work_on_leases(stand.leases.ends_at - 0.1)
    assert (run.aborted, watched.watched is None, lines(log)) == (False, False, [])
    # Twice: what is dropped is not dropped again.
    for _ in range(2):
        stand.handlers.work_on_leases(stand.leases.ends_at)
    assert (run.aborted, watched.watched) == (True, None)
    assert house.servers["watched"].steps("abort")
    cause = "it could not be renewed in time: the store can't be reached"
    assert lines(log) == [{"event": "lease lost", "account": name, "cause": cause} for name in ("visited", "watched")]


def test_an_account_whose_session_was_dropped_is_not_due_and_says_why(house: House) -> None:
    stand = Stand(house, "main")
    [state] = stand.own("main")
    stand.tell()
    stand.heard.clear()
    stand.leases.at = math.inf
    stand.handlers.work_on_leases(stand.leases.ends_at)
    assert stand.states.next() is None
    # The lease stands as long as nobody else takes it.
    assert state.lease is not None
    stand.states.hurry(state)
    assert stand.states.next() is None
    stand.tell()
    advice = "See to the database; all accounts go on by themselves when it is back."
    assert stand.heard == [("main", "backing off", "the store can't be reached", advice)]


def test_only_a_round_that_renewed_leases_lets_accounts_go_on(house: House) -> None:
    stand = Stand(house, "idle", "visited")
    idle, visited = stand.own("idle", "visited")
    stand.visit(visited)
    leases = frozenset(lease for _, lease in stand.states.held())
    stand.leases.at = math.inf
    stand.handlers.work_on_leases(stand.leases.ends_at)
    stand.done(kept=None, error=AWAY)
    assert (stand.states.suspended, stand.states.next()) == (True, None)
    now = time.monotonic()
    stand.done(kept=leases)
    assert not stand.states.suspended
    assert idle.due is not None
    assert now <= idle.due <= time.monotonic() + 0.02
    assert stand.states.next() == idle.due
    # It is due when its visit ends.
    assert visited.due is None
    assert stand.leases.ends_at >= now + 0.8 * LEASE


def test_a_good_round_changes_nothing_of_accounts_that_go_on(house: House) -> None:
    stand = Stand(house, "main")
    [state] = stand.own("main")
    assert state.lease is not None
    stand.states.put(state, 3600.0)
    due = state.due
    stand.done(kept=frozenset({state.lease}))
    assert state.due == due
