"""A destination's round can be aborted, and its rest ends when its part of the config changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import DELIVERY_SECONDS, AuthError
from gatewayd.config import OperatorConfig
from gatewayd.outgoing.destinations import DestinationRun
from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.runtime.bounded_pool import BoundedPool
from gatewayd.runtime.threads import WorkerThreads
from gatewayd.testing import FakeServer
from tests.patience import LONG
from tests.unit.outgoing.dispatching import QUICK, Once, posting
from tests.unit.supervised import until

if TYPE_CHECKING:
    from tests.unit.outbound import Post


def test_what_rests_for_a_target_is_tried_when_its_operators_file_changes(post: Post) -> None:
    server = post.hook()
    server.shut = AuthError("crm: wrong secret")
    one = post.enter_hook()
    with posting(post) as made:
        until(lambda: post.view(one).tries == 1)
        server.shut = None
        acme = post.operators.pop("acme")
        made.apply(post.config())
        post.now(one)
        until(lambda: "not there any more" in post.view(one).words)
        post.operators["acme"] = acme
        made.apply(post.config())
        post.now(one)
        until(lambda: post.view(one).state == "delivered")


def test_what_fails_with_a_file_that_has_changed_meanwhile_does_not_rest(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.hangs, server.says = {one}, Once({one: AuthError("out: wrong password")})
    with posting(post) as made:
        until(lambda: server.begun)
        post.account("out", description="with another password")
        made.apply(post.config())
        server.hangs = set()
        until(lambda: post.view(one).state == "delivered")
    assert post.view(one).tries == 2


def test_P7_a_connection_is_aborted_when_others_may_take_what_it_has() -> None:
    server = FakeServer()
    run = DestinationRun("account out")
    pool: BoundedPool[DestinationRun, WorkerThreads, None] = BoundedPool(
        lambda number: WorkerThreads(1, f"pool-{number}"), lambda *_: None, lambda *_: None, limit=lambda: 1, slow=LONG
    )
    pool.runs.add(run)
    began = run.moved
    run.opened(server.courier())
    pool.look(began + DELIVERY_SECONDS - 1)
    assert server.aborted == 0
    # A sign of life does not make the time longer for which the store gave it out.
    run.move()
    pool.look(began + DELIVERY_SECONDS)
    pool.look(began + DELIVERY_SECONDS + 1)
    assert server.aborted == 1
    run.opened(server.courier())
    run.opened(None)
    pool.look(began + DELIVERY_SECONDS + 2)
    assert server.aborted == 1, "what is being closed is left alone"


#: What is put off waits for longer than any test.
SLOW = replace(QUICK, again=QUICK.pause)


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
