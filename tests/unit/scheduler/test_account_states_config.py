"""What a config changes of the accounts of a supervisor. No loop turns here."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd.config import ImportConfig, SendConfig
from gatewayd.errors import Fault
from tests.patience import LONG
from tests.unit.log import logged
from tests.unit.scheduler_parts import Parts
from tests.unit.supervised import House, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd import AccountHealth
    from gatewayd.api.health import Condition

ADVICE = "Correct its file; `gatewayd check` shows all faults."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def parts(house: House) -> Iterator[Parts]:
    with Parts(house) as made:
        yield made


def sends_only(parts: Parts, name: str) -> None:
    """Let an account send, and import nothing."""
    sends = SendConfig.model_validate({"from": {"address": "desk@acme.example"}})
    parts.house.add(name)
    parts.house.accounts[name] = replace(parts.house.accounts[name], imports=None, sends=sends)


def disabled(parts: Parts, name: str) -> None:
    """Let an account be not imported on purpose."""
    parts.house.add(name)
    parts.house.change(name, imports=ImportConfig(enabled=False))


def imported(parts: Parts, name: str) -> None:
    """Let an account be imported, and send nothing."""
    parts.house.add(name)


def health(parts: Parts, name: str, condition: Condition) -> AccountHealth:
    """What this daemon tells of an account, as soon as it tells that the account is in this condition."""

    def told() -> AccountHealth | None:
        one = parts.house.health(name)
        return one if one and (one.holder, one.condition) == (parts.owner.name, condition) else None

    until(told)
    found = told()
    assert found is not None
    return found


# --- what changes -----------------------------------------------------------------------------------------------------


def test_accounts_that_are_imported_are_taken_in_charge_and_looked_for_at_once(parts: Parts) -> None:
    parts.house.add("main")
    sends_only(parts, "out")
    disabled(parts, "off")
    parts.leases.at = time.monotonic() + LONG
    parts.apply()
    assert parts.states.wanted() == ["main"]
    assert parts.state().config == parts.house.accounts["main"]
    assert parts.leases.at == 0.0
    # Nobody is visited whom we have no lease of.
    assert parts.states.next() is None


def test_an_account_that_did_not_change_never_notices(parts: Parts) -> None:
    state = parts.ours(can_watch=True)
    watched = parts.watched(state)
    state.failures = state.refusals = state.flaps = state.empty = 3
    parts.states.put(state, LONG)
    due = state.due
    # The same as is said anew.
    parts.house.change("main")
    with logged() as log:
        parts.apply()
    assert parts.state() is state
    assert (state.due, state.watched, parts.states.next()) == (due, watched, due)
    assert (state.failures, state.refusals, state.flaps, state.empty) == (3, 3, 3, 3)
    assert log.getvalue() == ""
    assert parts.gone == []
    assert "close" not in parts.closed()


def test_an_account_that_changed_begins_anew_at_once_with_a_session_of_its_own(parts: Parts) -> None:
    state = parts.ours(can_watch=True)
    lease = state.lease
    parts.watched(state)
    state.failures = state.refusals = state.flaps = state.empty = 3
    parts.states.put(state, LONG)
    parts.house.change("main", text="changed")
    with logged() as log:
        parts.apply()
    assert parts.state() is state
    assert state.config == parts.house.accounts["main"]
    assert (state.failures, state.refusals, state.flaps, state.empty) == (0, 0, 0, 0)
    assert "account changed" in log.getvalue()
    assert state.due is not None
    assert state.due <= time.monotonic()
    assert parts.states.next() == state.due
    # It stays ours.
    assert (state.lease, state.watched, parts.gone) == (lease, None, [])
    assert parts.closed()[-2:] == ["end", "close"]


def test_an_account_that_changed_while_it_waited_for_its_turn_is_due_as_it_is_now(parts: Parts) -> None:
    state = parts.ours()
    parts.states.put(state, -1.0)
    parts.house.change("main", text="changed")
    parts.apply()
    assert parts.states.next() == state.due
    parts.work()
    assert state.run is not None
    assert state.run.config.description == "changed"


def test_an_account_that_changed_while_it_waited_for_room_is_visited_when_there_is_some(house: House) -> None:
    with Parts(house, visits=1) as parts:
        busy, waits = parts.ours("busy"), parts.ours("waits")
        parts.states.put(busy, -2.0)
        parts.states.put(waits, -1.0)
        parts.work()
        assert "waits" in parts.pool
        parts.house.change("waits", text="changed")
        parts.apply()
        assert "waits" not in parts.pool
        parts.work()
        assert "waits" in parts.pool
        assert (busy.run in parts.pool.runs, waits.run) == (True, None)


def test_the_visit_of_an_account_that_changed_ends_soon_and_the_next_one_comes_then(parts: Parts) -> None:
    state = parts.ours()
    run = parts.visited(state)
    parts.house.change("main", text="changed")
    parts.apply()
    assert run.stop
    assert 0.0 < run.abort_at - time.monotonic() <= 30.0
    assert not run.aborted
    assert (state.run, state.leaving, state.due) == (run, False, None)


def test_an_account_that_left_the_config_is_given_away_and_forgotten(parts: Parts) -> None:
    parts.ours()
    kept = parts.ours("kept")
    del parts.house.accounts["main"]
    with logged() as log:
        parts.apply()
    assert parts.states.get("main") is None
    assert [state for state, _ in parts.states.held()] == [kept]
    assert parts.gone == ["main"]
    assert "account released" in log.getvalue()


def test_an_account_that_left_the_config_is_forgotten_once_its_visit_has_ended(parts: Parts) -> None:
    state = parts.ours()
    run = parts.visited(state)
    disabled(parts, "main")
    parts.apply()
    assert (run.stop, state.leaving) == (True, True)
    assert parts.state() is state
    state.run = None
    parts.states.release(state)
    assert parts.states.get("main") is None


def test_an_account_that_is_back_before_its_visit_has_ended_stays(parts: Parts) -> None:
    state = parts.ours()
    parts.visited(state)
    before = parts.house.accounts.pop("main")
    parts.apply()
    assert state.leaving
    parts.house.accounts["main"] = before
    parts.apply()
    assert parts.state() is state
    assert not state.leaving


# --- what is told of those that nobody visits -------------------------------------------------------------------------


def test_it_is_told_why_nobody_visits_an_account(parts: Parts) -> None:
    parts.house.add("main")
    sends_only(parts, "sender")
    disabled(parts, "off")
    first, second = Fault(file="accounts/bad.yaml", line=3, what="no host"), Fault(file="accounts/bad.yaml", what="no user")
    others = [
        Fault(file="operators/acme.yaml", what="no records"),
        Fault(file="accounts/main.yaml", what="it runs as last accepted"),
    ]
    parts.apply(first, second, *others)
    told = health(parts, "bad", "faulty")
    # Of all that is wrong with a file, the first will do.
    assert (told.error, told.advice) == (str(first), ADVICE)
    assert [health(parts, "sender", "sending").error, health(parts, "off", "disabled").error] == ["", ""]
    mine = {one.account for one in parts.house.store.healths() if one.holder == parts.owner.name}
    assert mine == {"sender", "off", "bad"}


def test_a_faulty_file_is_an_alarm_and_of_what_is_off_on_purpose_nothing_more_is_said(parts: Parts) -> None:
    sends_only(parts, "out")
    disabled(parts, "off")
    fault = Fault(file="accounts/bad.yaml", what="no host")
    parts.apply(fault)
    assert [(one.kind, one.name, one.error, one.advice) for one in parts.alarms] == [("account", "bad", str(fault), ADVICE)]
    # What the last deliveries of an account showed stands.
    assert (parts.gone, parts.over) == (["off"], [])


def test_of_an_account_without_a_file_nothing_more_is_said_whoever_visited_it(parts: Parts) -> None:
    for name in ("out", "stays", "back"):
        sends_only(parts, name)
    parts.apply(Fault(file="accounts/bad.yaml", what="no host"), Fault(file="accounts/worse.yaml", what="no host"))
    del parts.house.accounts["out"]
    parts.house.add("back")
    parts.apply(Fault(file="accounts/worse.yaml", what="no host"))
    assert sorted(parts.gone) == ["bad", "out"]
    parts.apply()
    assert sorted(parts.gone) == ["bad", "out", "worse"]
    # It is said once.
    parts.apply()
    assert sorted(parts.gone) == ["bad", "out", "worse"]


@pytest.mark.parametrize("mended", [sends_only, disabled, imported])
def test_an_alarm_of_a_faulty_file_is_over_once_it_is_mended_whoever_visits_the_account(
    parts: Parts, mended: Callable[[Parts, str], None]
) -> None:
    sends_only(parts, "out")
    faults = [Fault(file=f"accounts/{name}.yaml", what="no host") for name in ("bad", "worse")]
    parts.apply(*faults)
    assert parts.over == []
    mended(parts, "bad")
    parts.apply(faults[1])
    assert parts.over == [("account", "bad")]
    # It is said once: from here on, whoever visits it or sends by it knows how it is.
    parts.apply(faults[1])
    assert parts.over == [("account", "bad")]


def test_the_last_visit_of_an_account_does_not_have_the_last_word_of_it(parts: Parts) -> None:
    switched_off, faulty = parts.ours("switched off"), parts.ours("faulty")
    for state in (switched_off, faulty):
        parts.visited(state)
    disabled(parts, "switched off")
    del parts.house.accounts["faulty"]
    fault = Fault(file="accounts/faulty.yaml", what="no host")
    parts.apply(fault)
    for state in (switched_off, faulty):
        parts.request_inbox.changed(state)
    assert parts.told() == [], "the config has said already how they are"
    parts.alarms.clear()
    for state in (switched_off, faulty):
        state.run = None
        parts.states.release(state)
    assert health(parts, "switched off", "disabled")
    assert health(parts, "faulty", "faulty").error == str(fault)
    assert parts.gone[-1] == "faulty"
    assert [one.name for one in parts.alarms] == ["faulty"]
