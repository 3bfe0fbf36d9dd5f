"""Tests of every store: bounces of our deliveries, and targets that are suspended because of them."""

# ruff: noqa: N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import DELIVERY_SECONDS, Bounce, Bounced, DeliveryQuery, Recipient, Viewer
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_delivery, make_filing, make_raw
from gatewayd.testing.contracts.outbox import entered, settled, take, view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd import Commit, Store
    from gatewayd.api.delivery import Evidence

__all__ = ["BounceContract"]

_DESTINATION = "account out"


class BounceContract:
    """Part of ``StoreContract``."""

    def bounce(
        self,
        store: Store,
        number: int,
        *recipients: Bounced,
        nth: int = 1,
        operators: Sequence[str] = ("acme",),
        evidence: Evidence = "report",
    ) -> Commit:
        """File the bounce of the delivery ``number`` as the ``nth`` mail, for ``operators``."""
        one = Custodian.of(store, f"bounces {nth}")
        one.enter("1")
        outcome = one.outcome("1", make_raw(5000 + nth), *(make_filing(each) for each in operators))
        came = Bounce(message_id=make_delivery(number).message_id, recipients=recipients, evidence=evidence)
        return store.file(one.lease, [replace(outcome, bounce=came)])

    def test_a_bounce_is_kept_with_its_delivery(self, store: Store) -> None:
        ids = entered(store, make_delivery(1, "a@x.de", "B@x.de", "c@x.de"), make_delivery(2, "a@x.de"))
        store.settle("one", [settled(each, "delivered", *_delivered(*each.delivery.to)) for each in take(store)])
        came = (_hard("b@X.de"), Bounced(address="c@x.de", hard=False, words="4.4.7 exp\0ired"), _hard("other@x.de"))
        assert self.bounce(store, 1, *came).suspended == ()
        seen = view(store, ids[0])
        assert (seen.state, seen.words) == ("bounced", "B@x.de: 5.1.1 unknown; c@x.de: 4.4.7 exp\ufffdired")
        assert [(each.state, each.words) for each in seen.recipients] == [
            ("delivered", ""),
            ("bounced", "5.1.1 unknown"),
            ("bounced", "4.4.7 exp\ufffdired"),
        ]
        assert view(store, ids[1]).state == "delivered"
        assert store.lengths().stuck == {"acme": 1}
        assert store.redeliver(ACME, ids) == 1
        (again,) = take(store)
        assert [each.state for each in again.recipients] == ["delivered", "waiting", "waiting"]

    def test_a_recipient_is_known_in_either_spelling_of_its_domain(self, store: Store) -> None:
        ids = entered(store, make_delivery(1, "a@xn--mller-kva.example", "b@müller.example", "c@muller.example"))
        store.settle("one", [settled(each, "delivered", *_delivered(*each.delivery.to)) for each in take(store)])
        self.bounce(store, 1, _hard("a@MÜLLER.example"), _hard("b@xn--mller-kva.example"))
        assert [each.state for each in view(store, ids[0]).recipients] == ["bounced", "bounced", "delivered"]

    def test_a_bounce_of_what_we_never_sent_changes_nothing(self, store: Store) -> None:
        ids = entered(store, make_delivery(1, target="duty"))
        assert self.bounce(store, 2, _hard("duty@example.com")).suspended == ()
        assert self.bounce(store, 1, _hard("else@example.com"), nth=2).suspended == ()
        assert view(store, ids[0]).state == "waiting"

    def test_P7_whom_it_never_reached_it_can_not_come_back_from(self, store: Store) -> None:
        ids = entered(
            store,
            *(make_delivery(number, "a@x.de", "b@x.de", target=f"t{number}") for number in range(4)),
            make_delivery(4, "b@x.de", target="t4", withheld="own hop"),
        )
        parked, cancelled, waits, _ = take(store)
        lost = Recipient(address="b@x.de", state="refused", words="550 no")
        store.settle("one", [settled(parked, "parked", *_delivered("a@x.de"), lost, words="550 no")])
        for each in (cancelled, waits):
            store.settle("one", [settled(each, "waiting", *_delivered("a@x.de"), words="busy")])
        store.give_back("one", ids[3:])
        store.cancel(ACME, [cancelled.id], who="anna")
        before = [view(store, one) for one in ids]
        assert [each.state for each in before] == ["parked", "cancelled", "waiting", "waiting", "withheld"]
        for number in range(5):
            assert self.bounce(store, number, _hard("b@x.de"), _hard("else@x.de"), nth=number + 1).suspended == ()
        after = [view(store, one) for one in ids]
        assert [(each.state, each.words, each.recipients) for each in after] == [
            (each.state, each.words, each.recipients) for each in before
        ]
        assert {each.id for each in take(store)} == {waits.id, ids[3]}, "who has not got it yet still gets it"

    def test_a_bounce_that_comes_again_does_not_end_another_try(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(1))
        store.settle("one", [settled(each, "delivered", *_delivered("duty@example.com")) for each in take(store)])
        self.bounce(store, 1, _hard("duty@example.com"))
        assert store.redeliver(ACME, [delivery_id]) == 1
        self.bounce(store, 1, _hard("duty@example.com"), nth=2)
        assert [each.id for each in take(store)] == [delivery_id]

    def test_a_bounce_is_kept_whichever_account_of_the_operator_it_came_by(self, store: Store, shared: Custodian) -> None:
        hers = shared.file("1", make_raw(1), make_filing(user="irina"))
        irina = Viewer(operator="acme", users=("irina",))
        (delivery_id,) = store.deliver(irina, hers, [make_delivery(1)])
        store.settle("one", [settled(each, "delivered", *_delivered("duty@example.com")) for each in take(store)])
        self.bounce(store, 1, _hard("duty@example.com"))
        assert [each.id for each in store.deliveries(irina, DeliveryQuery(states=("bounced",)))] == [delivery_id]
        assert store.deliveries(ACME, DeliveryQuery()) == [], "and shown to her alone"

    def test_P6_a_bounce_is_only_for_operators_that_the_mail_is_filed_for(self, store: Store) -> None:
        ids = entered(store, make_delivery(1, target="duty"))
        store.settle("one", [settled(each, "delivered") for each in take(store)])
        commit = self.bounce(store, 1, _hard("duty@example.com"), operators=["globetrot", "third"])
        assert (commit.suspended, len(commit.filed)) == ((), 1)
        assert view(store, ids[0]).state == "delivered"
        again = self.bounce(store, 1, _hard("duty@example.com"), operators=["globetrot", "acme"], nth=2)
        assert [(each.operator, each.target) for each in again.suspended] == [("acme", "duty")]

    def test_a_bounce_while_others_wait_is_kept_until_they_have_it(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(1, "a@x.de", "b@x.de"))
        (taken,) = take(store)
        store.settle("one", [settled(taken, "waiting", *_delivered("a@x.de"))])
        (taken,) = take(store)
        self.bounce(store, 1, _hard("a@x.de"))
        assert view(store, delivery_id).state == "waiting"
        store.settle("one", [settled(taken, "waiting")])
        assert view(store, delivery_id).state == "waiting"
        (taken,) = take(store)
        assert store.settle("one", [settled(taken, "delivered", *_delivered("b@x.de", "a@x.de"))]) == {delivery_id}
        seen = view(store, delivery_id)
        assert (seen.state, [each.state for each in seen.recipients]) == ("bounced", ["bounced", "delivered"])

    def test_a_bounce_of_all_ends_a_try_whose_answer_was_lost(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(1))
        (taken,) = take(store)
        self.bounce(store, 1, _hard("duty@example.com"))
        assert (view(store, delivery_id).state, store.destinations()) == ("bounced", {})
        assert store.settle("one", [settled(taken, "delivered", *_delivered("duty@example.com"))]) == frozenset()
        assert view(store, delivery_id).state == "bounced"

    def test_a_hard_bounce_of_all_recipients_suspends_the_target(self, store: Store) -> None:
        for_duty = make_delivery(1, "a@x.de", "b@x.de", target="duty"), make_delivery(2, "a@x.de", target="duty", cause="rule 9")
        ids = entered(store, *for_duty, make_delivery(3, "a@x.de"), make_delivery(4, target="desk"))
        first, *_ = take(store, limit=1)
        lost = Recipient(address="b@x.de", state="refused", words="550 no")
        store.settle("one", [settled(first, "parked", *_delivered("a@x.de"), lost)])
        (found,) = self.bounce(store, 1, _hard("a@x.de")).suspended
        assert (found.operator, found.target) == ("acme", "duty")
        assert found.cause == f"delivery {first.id} came back: a@x.de: 5.1.1 unknown"
        assert store.suspensions() == [found]
        assert self.bounce(store, 1, _hard("a@x.de"), nth=2).suspended == (), "it is suspended already"
        assert [each.id for each in take(store)] == ids[2:]
        waits = view(store, ids[1])
        assert (waits.state, waits.due_at, waits.suspended) == ("waiting", None, found.cause)
        assert [view(store, one).suspended for one in (ids[0], ids[2])] == ["", ""]

    @pytest.mark.parametrize(("hard", "target", "others"), [(False, "duty", ()), (True, "", ()), (True, "duty", ("b@x.de",))])
    def test_what_reached_somebody_or_may_yet_suspends_nothing(
        self, store: Store, *, hard: bool, target: str, others: tuple[str, ...]
    ) -> None:
        (delivery_id,) = entered(store, make_delivery(1, "a@x.de", *others, target=target))
        store.settle("one", [settled(each, "delivered", *_delivered(*each.delivery.to)) for each in take(store)])
        assert self.bounce(store, 1, Bounced(address="a@x.de", hard=hard, words="no")).suspended == ()
        assert (view(store, delivery_id).state, store.suspensions()) == ("bounced", [])

    @pytest.mark.parametrize("address", ["a@x.de", ""])
    def test_what_a_letter_says_is_kept_with_its_delivery_and_suspends_nothing(self, store: Store, address: str) -> None:
        (delivery_id,) = entered(store, make_delivery(1, "a@x.de", target="duty"))
        store.settle("one", [settled(each, "delivered", *_delivered("a@x.de")) for each in take(store)])
        assert self.bounce(store, 1, _hard(address), evidence="text").suspended == ()
        seen = view(store, delivery_id)
        assert (seen.state, seen.words, store.suspensions()) == ("bounced", "a@x.de: 5.1.1 unknown (as a letter says)", [])

    def test_what_a_letter_says_ends_nothing_that_may_still_reach_somebody(self, store: Store) -> None:
        tried, several = entered(store, make_delivery(1, "a@x.de"), make_delivery(2, "a@x.de", "b@x.de"))
        take(store)
        self.bounce(store, 1, _hard("a@x.de"), evidence="text")
        self.bounce(store, 2, _hard(""), evidence="text", nth=2)
        assert [view(store, one).state for one in (tried, several)] == ["waiting", "waiting"]

    def test_a_letter_that_names_nobody_is_about_nobody_where_several_got_the_mail(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(1, "a@x.de", "b@x.de"))
        store.settle("one", [settled(each, "delivered", *_delivered("a@x.de", "b@x.de")) for each in take(store)])
        self.bounce(store, 1, _hard(""), evidence="text")
        assert view(store, delivery_id).state == "delivered"

    def suspend(self, store: Store) -> None:
        """Suspend the target ``duty`` of ``acme``."""
        mail_id = Custodian.of(store, "sender").file("1", make_raw(9))
        (sent,) = store.deliver(ACME, mail_id, [make_delivery(99, "s@x.de", target="duty", account="other")])
        (taken,) = take(store, "account other")
        assert store.settle("one", [settled(taken, "delivered", *_delivered("s@x.de"))]) == {sent}
        assert self.bounce(store, 99, _hard("s@x.de"), nth=99).suspended

    def test_a_suspended_target_gets_nothing_until_a_person_says_so(self, store: Store, later: Callable[[float], None]) -> None:
        self.suspend(store)
        ids = entered(store, make_delivery(1, target="duty"), make_delivery(2, target="duty", cause="rule 2"))
        assert (store.destinations(), take(store), store.resume("globetrot", "duty"), store.resume("acme", "x")) == (
            {},
            [],
            False,
            False,
        )
        assert store.redeliver(ACME, ids[:1]) == 0
        assert view(store, ids[0]).due_at is None
        later(61)
        assert {each.id for each in store.overdue(60)} == set(ids)
        assert store.cancel(ACME, ids[1:], who="anna") == 1
        assert store.resume("acme", "duty")
        assert not store.resume("acme", "duty")
        assert store.suspensions() == []
        assert store.destinations()[_DESTINATION] <= 0
        assert [each.id for each in take(store)] == ids[:1]
        assert view(store, ids[0]).suspended == ""

    def test_what_is_tried_while_its_target_is_suspended_waits_afterwards(
        self, store: Store, later: Callable[[float], None]
    ) -> None:
        ids = entered(store, *(make_delivery(number, target="duty", cause=f"rule {number}") for number in range(4)))
        done, again, back, _ = take(store)
        self.suspend(store)
        assert store.settle("one", [settled(done, "delivered"), settled(again, "waiting", due_in=5)]) == {done.id, again.id}
        assert view(store, again.id).due_at is None
        store.give_back("one", [back.id])
        later(DELIVERY_SECONDS + 1)
        assert (take(store, taker="two"), store.destinations()) == ([], {})
        assert store.resume("acme", "duty")
        assert {each.id for each in take(store)} == {*ids} - {done.id}


def _hard(address: str) -> Bounced:
    return Bounced(address=address, hard=True, words="5.1.1 unknown")


def _delivered(*addresses: str) -> list[Recipient]:
    return [Recipient(address=address, state="delivered") for address in addresses]
