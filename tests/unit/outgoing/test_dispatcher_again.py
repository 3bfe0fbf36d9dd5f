"""What the outbox owes once its trouble is over: what was in a destination's way is gone, the store is back, threads can be had again."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import AccountHealth, AuthError, TransientError
from gatewayd.config import OperatorConfig
from gatewayd.outgoing.destination_health import DestinationHealth
from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.outgoing.outbox import DeliveryRound
from tests.patience import LONG
from tests.unit.heard import events
from tests.unit.log import logged
from tests.unit.outbound import Post
from tests.unit.outgoing.test_dispatcher import QUICK, Away, Once
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What is put off waits for longer than any test.
SLOW = replace(QUICK, again=QUICK.pause)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as made:
        yield made


@pytest.mark.parametrize("wrong", ["account", "target", "operator"])
def test_P7_what_waits_for_a_file_of_the_config_goes_at_once_when_that_is_mended(post: Post, wrong: str) -> None:
    post.account()
    post.hook()
    one = post.enter_hook() if wrong == "target" else post.enter()
    sound = dict(post.accounts), dict(post.operators)
    if wrong == "account":
        post.accounts.clear()
    else:
        post.operators["acme"] = OperatorConfig(name="acme", faulty=wrong == "operator")
    made = Dispatcher(post.store, post.owner, policy=SLOW)
    made.apply(post.config())
    until(lambda: post.view(one).tries == 1)
    post.accounts, post.operators = sound
    made.apply(post.config())
    until(lambda: post.view(one).state == "delivered", within=10)
    assert made.stop(LONG) == 0


def test_P7_what_is_put_off_while_its_file_is_mended_goes_at_once_behind_that(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.hangs, server.says = {one}, Once({one: (("waiting", "451 not by this sender"),)})
    made = Dispatcher(post.store, post.owner, policy=SLOW)
    made.apply(post.config())
    until(lambda: server.begun)
    post.account("out", description="by another sender")
    made.apply(post.config())
    until(made._inbox.empty)
    server.hangs = set()
    until(lambda: post.view(one).state == "delivered", within=10)
    assert post.view(one).tries == 2
    assert made.stop(LONG) == 0


@pytest.mark.parametrize("when", ["changed", "started"])
def test_P7_what_is_to_be_tried_at_once_is_tried_when_a_store_that_was_away_is_back(post: Post, when: str) -> None:
    server = post.account()
    server.shut = AuthError("out: wrong password")
    one = post.enter()
    away: Any = Away(post.store)
    made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: post.view(one).tries == 1)
    until(lambda: any(each.condition == "paused" for each in post.store.healths()))
    server.shut = None
    away.fails = dict.fromkeys(["hurry", "healths"], TransientError("the database is away"))
    if when == "changed":
        post.account("out", description="with another password")
    else:
        assert made.stop(LONG) == 0
        made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: made._away)
    away.fails = {}
    until(lambda: post.view(one).state == "delivered", within=10)
    assert made.stop(LONG) == 0


def test_P4_a_destination_for_which_no_thread_can_be_had_is_worked_on_when_one_can(post: Post) -> None:
    server = post.account()
    made = Dispatcher(post.store, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: made._ask_at > 0)
    before = threading.stack_size(1 << 46)
    try:
        with logged() as log:
            post.enter()
            until(lambda: "own fault room=posting error=RuntimeError" in log.getvalue())
    finally:
        threading.stack_size(before)
    until(lambda: len(server.delivered) == 1, within=10)
    assert made.stop(LONG) == 0


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
