"""What a forwarder gets for a delivery: its account, its recipients and the original's hops; without a way the delivery waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Fault
from gatewayd.config import LimitsConfig, OperatorConfig, TargetConfig
from gatewayd.outgoing.outbox import Outbox

if TYPE_CHECKING:
    from tests.unit.outbound import Post


def test_hops_of_the_original_are_carried_on_five_at_most_and_nothing_else_in_their_guise(post: Post) -> None:
    server = post.account()
    hops = b"".join(b"gatewayd-hop: <%d@x>\r\n" % number for number in range(7))
    raw = b"Gatewayd-Hop: \xff\r\nGatewayd-Hop: " + b"x" * 901 + b"\r\n" + hops + b"\r\nGatewayd-Hop: <body@x>\r\n"
    one = post.enter(mail=post.mail(raw))
    post.deliver()
    own = f"Gatewayd-Hop: {post.view(one).delivery.message_id}"
    assert server.delivered[0].hops == (own, *(f"Gatewayd-Hop: <{number}@x>" for number in range(5)))


def test_what_goes_as_it_is_and_what_is_no_mail_has_no_hops(post: Post) -> None:
    server, hook = post.account(), post.hook()
    raw = b"Gatewayd-Hop: <1@x>\r\n\r\n"
    post.enter(mail=post.mail(raw), mode="as is")
    post.enter_hook()
    post.deliver()
    assert post.deliver("target acme/crm").delivered == 1
    assert server.delivered[0].hops == hook.delivered[0].hops == ()
    assert hook.delivered[0].sender is None
    assert hook.delivered[0].to == ("crm",)


def test_a_personal_mail_goes_out_by_its_users_account_and_by_no_other_users(post: Post) -> None:
    server = post.account(user="irina")
    good = post.enter(mail=post.mail(owner="irina"))
    bad = post.enter(mail=post.mail(owner=None))
    done = post.deliver()
    assert (done.delivered, done.waiting) == (1, 1)
    assert [one.id for one in server.delivered] == [good]
    assert post.view(bad).words == "account out belongs to user irina, who does not have this mail"


def test_filings_are_asked_for_once_for_each_operator(post: Post) -> None:
    post.account()
    for _ in range(5):
        post.enter()
    asked = []
    real = post.store.filings
    post.store.filings = lambda *one: asked.append(one) or real(*one)  # type: ignore[method-assign, func-returns-value]
    assert post.deliver().delivered == 5
    assert len(asked) == 1


def _gone(post: Post) -> None:
    del post.accounts["out"]


def _sends_no_more(post: Post) -> None:
    post.account(sends=None)


def _serves_others(post: Post) -> None:
    post.account(operators=("globetrot",))


def _operator_faulty(post: Post) -> None:
    post.operators["acme"] = OperatorConfig(name="acme", faulty=True)


def _operator_gone(post: Post) -> None:
    del post.operators["acme"]


def _no_target(post: Post) -> None:
    post.operators["acme"] = OperatorConfig(name="acme")


def _no_plugin(post: Post) -> None:
    post.accounts["out"] = replace(post.accounts["out"], kind="carrier-pigeon")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_gone, "accounts/out.yaml is not there any more"),
        (_sends_no_more, "account out sends no more"),
        (_serves_others, "account out does not serve operator acme any more"),
        (_operator_faulty, "operators/acme.yaml is faulty"),
        (_operator_gone, "operators/acme.yaml is not there any more"),
        (_no_target, "operator acme has no target 'duty' any more"),
        (_no_plugin, "no plugin offers the forwarder 'carrier-pigeon'. See `gatewayd plugins list`."),
    ],
)
def test_P7_without_a_way_it_waits_with_the_reason_and_goes_when_there_is_one(post: Post, change: Any, words: str) -> None:
    server = post.account()
    post.target(TargetConfig(name="duty", kind="fake", account="out", to=("duty@example.com",)))
    one = post.enter(target="duty")
    accounts, operators = dict(post.accounts), dict(post.operators)
    change(post)
    done = post.deliver()
    assert (done.waiting, done.error, server.opened) == (1, None, 0)
    assert post.view(one).words == words
    post.limits = LimitsConfig.model_construct(give_up=1e-6)
    post.now(one)
    assert post.deliver().parked == 1
    assert post.view(one).words == f"given up after 0 seconds; last: {words}"
    post.accounts, post.operators = accounts, operators
    post.now(one)
    assert post.deliver().delivered == 1


def test_a_faulty_file_of_an_account_is_said_so(post: Post) -> None:
    post.account()
    one = post.enter()
    del post.accounts["out"]
    config = replace(post.config(), faults=(Fault(file="accounts/out.yaml", line=1, column=1, what="no"),))
    Outbox(config).deliver("account out", post.tools(), failures=0)
    assert post.view(one).words == "accounts/out.yaml is faulty"


def test_a_hook_that_became_mail_needs_an_account(post: Post) -> None:
    post.hook()
    one = post.enter_hook()
    post.target(TargetConfig(name="crm", kind="fake", account="out", to=("crm@example.com",)))
    post.deliver("target acme/crm")
    assert post.view(one).words == "target acme/crm gets mail now, and needs an account"


def test_what_is_no_longer_filed_is_parked(post: Post) -> None:
    post.account()
    one = post.enter()
    post.store.filings = lambda *_: ()  # type: ignore[method-assign]
    assert post.deliver().parked == 1
    assert post.view(one).words == f"operator acme has no mail {post.view(one).mail_id}"
