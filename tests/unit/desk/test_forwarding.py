"""Forwarding by hand: only to whom the account approves and to the operator's targets, once, and with every warning."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Address, Bounce, Bounced, DeliveryQuery, DeliveryView, PermanentError, Settled, Transport, Viewer
from gatewayd.config import AccountConfig, OperatorConfig, SendConfig, TargetConfig
from gatewayd.desk import Forwarding, PreparedMail
from gatewayd.message.message_ids import HOP, Signer
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = Viewer(operator="acme")
DESK = Address(name="Acme Tours", email="desk@acme.example")
APPROVED = (
    Address(name="Duty manager", email="Duty@acme.example"),
    Address(name="", email="otto@x.de"),
    Address(name="Twins", email="a@x.de"),
    Address(name="Twins", email="b@x.de"),
)
TARGETS = {
    "night": TargetConfig(name="night", kind="smtp", account="night-out", to=("n1@acme.example", "n2@acme.example"), mode="inline"),
    "hook": TargetConfig(name="hook", kind="webhook"),
    "lost": TargetConfig(name="lost", kind="smtp", account="gone", to=("x@x.de",)),
}


def sender(name: str, who: Address = DESK, **changed: Any) -> AccountConfig:
    sends = SendConfig.model_validate({"from": {"name": who.name, "address": who.email}, **changed})
    lines = {"max_bytes": f"accounts/{name}.yaml:9"}
    return AccountConfig(name=name, kind="smtp", operators=("acme",), options=Transport.Options(), sends=sends, sends_lines=lines)


class World:
    def __init__(self, gateway: Gateway) -> None:
        self.desk, self.store = gateway.desk, gateway.store
        self.signer = Signer(b"k" * 32)
        self.main = Custodian.of(gateway.store, "main")
        self.targets = dict(TARGETS)
        self.accounts = {
            "main": AccountConfig(name="main", kind="imap", operators=("acme",), options=Transport.Options(), approved=APPROVED),
            "acme-out": sender("acme-out", system=True),
            "night-out": sender("night-out", Address(name="Night", email="night@acme.example"), max_bytes=1024),
        }
        self.mail_id = self.file(make_raw(1))

    def file(self, raw: bytes, key: str = "1", account: Custodian | None = None, owner: str | None = None) -> int:
        return (account or self.main).file(key, raw, make_filing("acme", user=owner))

    def prepared(self, *to: str, mail_id: int = 0, viewer: Viewer = ACME, who: str = "anna", **how: Any) -> PreparedMail:
        operators = {"acme": OperatorConfig(name="acme", targets=self.targets)}
        forwarding = Forwarding(desk=self.desk, signer=self.signer, operators=operators, accounts=self.accounts)
        return forwarding.forward(viewer, mail_id or self.mail_id, to, who=who, **how)

    def refusal(self, *to: str, **how: Any) -> PermanentError:
        before = self.deliveries()
        with pytest.raises(PermanentError) as caught:
            self.desk.send(self.prepared(*to, **how))
        assert self.deliveries() == before
        return caught.value

    def forward(self, *to: str, **how: Any) -> tuple[int, ...]:
        return self.desk.send(self.prepared(*to, **how)).delivery_ids

    def deliveries(self) -> list[DeliveryView]:
        """Oldest first."""
        return sorted(self.store.deliveries(ACME, DeliveryQuery()), key=lambda one: one.id)


def test_a_mode_that_the_account_can_not_send_is_refused(world: World) -> None:
    world.accounts["acme-out"] = replace(world.accounts["acme-out"], modes=("attached", "as is"))
    refused = world.refusal("otto@x.de", mode="inline")
    assert refused.sentences == "account acme-out, of kind smtp, can't send inline. Forward it attached."
    assert world.forward("otto@x.de")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Gateway(tmp_path) as gateway:
        yield World(gateway)


# --- to whom ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["duty manager", "DUTY@acme.example", "duty@\uff41cme.example", "Duty manager <duty@acme.example>", " Duty Manager "]
)
def test_what_is_approved_is_known_by_name_and_address_in_any_case(world: World, typed: str) -> None:
    (delivery_id,) = world.forward(typed)
    (view,) = world.deliveries()
    assert (view.id, view.mail_id, view.state) == (delivery_id, world.mail_id, "waiting")
    assert view.delivery.to == ("Duty@acme.example",)
    assert (view.delivery.forwarder, view.delivery.account, view.delivery.target) == ("smtp", "acme-out", "")
    assert (view.delivery.mode, view.delivery.cause) == ("attached", "person:anna")
    assert world.signer.purpose(view.delivery.message_id) == "forward"
    assert view.delivery.message_id.endswith("@acme.example>")


def test_targets_are_known_by_name_and_go_their_own_way(world: World) -> None:
    world.forward("Night", "hook", "lost")
    night, hook, lost = (one.delivery for one in world.deliveries())
    assert (night.target, night.account, night.to, night.mode) == ("night", "night-out", TARGETS["night"].to, "inline")
    assert night.message_id.endswith("@acme.example>")
    assert (hook.target, hook.forwarder, hook.account, hook.to) == ("hook", "webhook", "", ("hook",))
    assert world.signer.purpose(hook.message_id) == "forward"
    assert (lost.target, lost.account) == ("lost", "gone")


def test_each_goal_gets_a_delivery_of_its_own_and_each_once(world: World) -> None:
    assert len(world.forward("Duty manager", "duty@acme.example", "otto@x.de", "night", "NIGHT")) == 3
    assert len(world.forward("twins")) == 2
    assert [one.delivery.goal for one in world.deliveries()] == ["Duty@acme.example", "otto@x.de", "night", "a@x.de", "b@x.de"]


@pytest.mark.parametrize("typed", ["evil@x.de", "Duty", "", " ", "acme-out", "duty@acme.example, evil@x.de"])
def test_what_is_not_approved_is_refused_with_what_is_and_where(world: World, typed: str) -> None:
    caught = world.refusal("otto@x.de", typed)
    assert caught.message == f"{typed!r} is not approved to forward this mail to"
    assert "Duty manager <Duty@acme.example>, otto@x.de" in caught.advice
    assert "accounts/main.yaml" in caught.advice
    assert "targets: night, hook, lost" in caught.advice
    assert "operators/acme.yaml" in caught.advice


def test_what_one_account_approves_is_not_approved_for_mail_of_another(world: World) -> None:
    other = world.file(make_raw(2), account=Custodian.of(world.store, "other"))
    caught = world.refusal("Duty manager", mail_id=other)
    assert "Approved are: nobody" in caught.advice
    assert "accounts/other.yaml" in caught.advice
    assert world.forward("night", mail_id=other)


@pytest.mark.parametrize("change", [{"operators": ("globetrot",)}, {"user": "otto"}])
def test_P6_what_an_account_approves_for_others_is_not_approved_for_those_it_served_before(
    world: World, change: dict[str, Any]
) -> None:
    world.accounts["main"] = replace(world.accounts["main"], **change)
    assert "Approved are: nobody" in world.refusal("Duty manager").advice
    assert world.forward("night")


def test_P6_nobody_forwards_what_they_may_not_see(world: World) -> None:
    personal = world.file(make_raw(3), key="3", owner="irina")
    for viewer, mail_id in ((Viewer(operator="globetrot"), world.mail_id), (ACME, personal)):
        assert "has no mail" in world.refusal("night", viewer=viewer, mail_id=mail_id).message
    irina = Viewer(operator="acme", users=("irina",))
    assert world.forward("night", viewer=irina, mail_id=personal)


def test_an_address_needs_an_account_that_sends(world: World) -> None:
    del world.accounts["acme-out"]
    assert "has no account that sends" in world.refusal("otto@x.de").message
    assert world.forward("hook")


# --- how --------------------------------------------------------------------------------------------------------------


def test_inline_is_for_all_that_get_mail(world: World) -> None:
    world.targets["night"] = replace(TARGETS["night"], mode="attached")
    prepared = world.prepared("otto@x.de", "night", "hook", mode="inline")
    assert [one.delivery.mode for one in prepared.planned] == ["inline", "inline", "attached"]
    assert [(one.sender, one.envelope) for one in prepared.planned] == [
        ("", "desk@acme.example"),
        ("", "night@acme.example"),
        ("", ""),
    ]
    attached = world.prepared("otto@x.de", "night").planned
    assert [one.sender for one in attached] == ["Acme Tours <desk@acme.example>", "Night <night@acme.example>"]


def test_a_mail_that_is_too_large_for_one_account_goes_nowhere(world: World) -> None:
    large = world.file(make_raw(4, text="x" * 2000), key="4")
    caught = world.refusal("otto@x.de", "night", mail_id=large)
    assert "account night-out refuses it: it sends at most 1024 bytes" in caught.message
    assert caught.advice == "The rule is `max_bytes`, in accounts/night-out.yaml:9."
    assert world.forward("otto@x.de", "hook", mail_id=large)


# --- once -------------------------------------------------------------------------------------------------------------


def test_P7_the_same_again_is_refused_and_says_which_delivery_it_was(world: World) -> None:
    first, _ = world.forward("otto@x.de", "night")
    for who in ("anna", "irina"):
        caught = world.refusal("otto@x.de", who=who)
        assert caught.message == f"mail {world.mail_id} goes to otto@x.de already: delivery {first}, by person:anna, is waiting"
        assert "--again" in caught.advice
    assert "goes to night already" in world.refusal("hook", "night").message


def test_again_makes_another_delivery_each_time(world: World) -> None:
    made = {*world.forward("otto@x.de"), *world.forward("otto@x.de", again=True), *world.forward("otto@x.de", again=True)}
    assert len(made) == 3
    assert [one.delivery.cause for one in world.deliveries()] == ["person:anna", "person:anna (2)", "person:anna (3)"]
    assert len({one.delivery.message_id for one in world.deliveries()}) == 3


def test_again_without_a_first_time_is_the_first_time(world: World) -> None:
    world.forward("otto@x.de", again=True)
    assert [one.delivery.cause for one in world.deliveries()] == ["person:anna"]


def test_what_was_cancelled_can_be_forwarded_without_more_words(world: World) -> None:
    (first,) = world.forward("otto@x.de")
    assert world.store.cancel(ACME, [first], who="anna") == 1
    assert world.forward("otto@x.de") != (first,)


def test_preparing_writes_nothing(world: World) -> None:
    assert world.prepared("otto@x.de", "night").allowed
    assert world.deliveries() == []


# --- what a person should know ----------------------------------------------------------------------------------------


def test_P7_a_person_is_told_what_a_rule_would_have_withheld_it_for(world: World) -> None:
    assert world.prepared("night").notes == ()
    newsletter = world.file(b"List-Id: <news.example>\r\nAuto-Submitted: auto-generated\r\n" + make_raw(8), key="8")
    assert world.prepared("night", mail_id=newsletter).notes == (), "a rule may forward it"
    ours = world.signer.message_id("forward", "acme.example")
    hop = f"{HOP}: {ours}\r\nResent-Message-ID: {ours}\r\n".encode()
    for number, head in enumerate([hop, b"Auto-Submitted: auto-replied\r\n"], 10):
        mail_id = world.file(head + make_raw(number), key=str(number))
        prepared = world.prepared("otto@x.de", mail_id=mail_id)
        assert [note.partition(":")[0] for note in prepared.notes] == ["no rule would forward it"]
        assert [one.delivery.withheld for one in prepared.planned] == [""]
        assert world.desk.send(prepared).delivery_ids


def test_a_person_is_told_that_a_target_is_suspended(world: World) -> None:
    world.forward("night")
    (view,) = world.deliveries()
    (taken,) = world.store.take("account night-out", "one", limit=1, dead=lambda _: False)
    world.store.settle("one", [Settled(id=taken.id, tries=0, state="delivered")])
    bounced = tuple(Bounced(address=one, hard=True, words="550 no such user") for one in view.delivery.to)
    world.main.enter("9")
    outcome = world.main.outcome("9", make_raw(9))
    world.main.commit(replace(outcome, bounce=Bounce(message_id=view.delivery.message_id, recipients=bounced)))
    (note,) = world.prepared("hook", "night", again=True).notes
    assert note.startswith("target night is suspended (")
    assert note.endswith("it waits until `gatewayd outbox resume night --operator acme`")
    assert world.prepared("hook").notes == ()
