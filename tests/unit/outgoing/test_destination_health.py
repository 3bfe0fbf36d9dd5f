"""How a sending account is (P10), as its deliveries showed: told to the store and to the administrators."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import AccountHealth, AuthError, TransientError
from gatewayd.outgoing.destination_health import DestinationHealth
from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.outgoing.outbox import DeliveryRound
from gatewayd.runtime.backoff import Backoff
from tests.patience import LONG
from tests.unit.heard import events
from tests.unit.log import logged
from tests.unit.outbound import ACME
from tests.unit.outgoing.dispatching import QUICK, Away, posting
from tests.unit.supervised import until

if TYPE_CHECKING:
    from tests.unit.outbound import Post


def test_P10_an_account_that_sends_says_how_it_is(post: Post) -> None:
    def health() -> AccountHealth:
        (found,) = post.store.healths() or [AccountHealth(account="out", holder="", condition="new")]
        return found

    server = post.account()
    one = post.enter()
    server.shut = AuthError("out: wrong password", advice="Correct it.")
    with posting(post, policy=replace(QUICK, pause=Backoff(first=0.1, longest=0.2))):
        until(lambda: health().condition == "paused")
        assert (health().error, health().advice, health().failures) == ("out: wrong password", "Correct it.", 1)
        assert health().due_at is not None
        server.shut = TransientError("out: connection refused")
        until(lambda: health().condition == "backing off")
        server.shut = None
        until(lambda: health().condition == "sending")
        until(lambda: post.view(one).state == "delivered")
    assert (health().error, health().failures) == ("", 0)
    assert health().checked_at is not None
    assert health().mail_at is not None


def test_P10_how_an_account_is_that_sends_is_told_when_a_store_that_was_away_is_back(post: Post) -> None:
    server = post.account()
    server.shut = TransientError("out: connection refused")
    one = post.enter()
    away: Any = Away(post.store)
    made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: any(each.condition == "backing off" for each in post.store.healths()))
    away.fails = {"tell": TransientError("the database is away")}
    server.shut = None
    until(lambda: post.view(one).state == "delivered")
    until(lambda: made._away)
    away.fails = {}
    until(lambda: [each.condition for each in post.store.healths()] == ["sending"], within=10)
    assert made.stop(LONG) == 0


def test_P10_an_account_that_was_refused_is_not_said_to_be_well_because_a_try_was_stopped(post: Post) -> None:
    server = post.account()
    server.shut = AuthError("out: wrong password")
    one = post.enter()
    over: list[str] = []
    made = Dispatcher(post.store, post.owner, events(alarm_over=lambda _, name: over.append(name)), policy=QUICK)
    made.apply(post.config())
    until(lambda: any(each.condition == "paused" for each in post.store.healths()))
    server.shut, server.hangs = None, {one}
    made.retry(["accounts/out.yaml"])
    until(lambda: server.begun)
    with logged() as log:
        assert made.stop(LONG) == 0
    assert [each.condition for each in post.store.healths()] == ["paused"]
    assert over == []
    assert "destination well again" not in log.getvalue()
    assert post.view(one).tries == 1


@pytest.mark.parametrize("left", [0, 1])
def test_P10_an_account_whose_failing_deliveries_are_all_cancelled_raises_no_alarm_any_more(post: Post, left: int) -> None:
    post.account().shut = AuthError("out: wrong password")
    ids = [post.enter(), post.enter()]
    alarms: list[str] = []
    heard = events(
        alarm_raised=lambda alarm: alarms.append(f"{alarm.name} fails"), alarm_over=lambda _, name: alarms.append(f"{name} is well")
    )
    made = Dispatcher(post.store, post.owner, heard, policy=QUICK)
    made.apply(post.config())
    until(lambda: any(each.condition == "paused" for each in post.store.healths()))
    post.store.cancel(ACME, ids[left:], who="anna")
    until(lambda: post.view(ids[1]).state == "cancelled")
    if left:
        asked = made._ask_at
        until(lambda: made._ask_at > asked)
        assert set(alarms) == {"out fails"}
    else:
        until(lambda: [each.condition for each in post.store.healths()] == ["sending"], within=LONG)
        assert alarms[-1] == "out is well"
    assert made.stop(LONG) == 0


def test_P10_what_is_wrong_is_told_each_time_for_others_may_have_said_meanwhile_that_all_is_well(post: Post) -> None:
    raised: list[str] = []
    tells = DestinationHealth(post.store, post.owner, events(alarm_raised=lambda alarm: raised.append(alarm.name)))
    refused = DeliveryRound(
        destination="account out", taken=1, waiting=1, error=AuthError("out: wrong password"), rest=900, failures=1
    )
    tells.tell(refused, failures=1)
    # As a changed file of the account has it.
    post.store.tell([AccountHealth(account="out", holder="me", condition="sending")])
    tells.tell(refused, failures=1)
    assert [each.condition for each in post.store.healths()] == ["paused"]
    assert raised == ["out", "out"]
