"""Tests of every store: people list, retry and cancel deliveries."""

# ruff: noqa: PLR2004  tests are made of expected numbers and named after promises

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import DELIVERY_SECONDS, DeliveryQuery, Recipient, Viewer
from gatewayd.testing.contracts.custodian import ACME, GLOBETROT, IRINA, Custodian, make_delivery, make_filing, make_raw
from gatewayd.testing.contracts.outbox import entered, settled, take, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["SendingContract"]


class SendingContract:
    """List, deliver again, cancel."""

    def test_what_would_go_round_in_a_circle_is_kept_and_never_tried(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(withheld="our own hop"))
        seen = view(store, delivery_id)
        assert (seen.state, seen.words, seen.delivery.withheld, seen.due_at) == ("withheld", "our own hop", "our own hop", None)
        assert seen.ended_at is not None
        assert (store.destinations(), take(store), store.overdue(-60)) == ({}, [], [])
        assert store.redeliver(ACME, [delivery_id]) == 1
        ((taken),) = take(store)
        assert taken.delivery == make_delivery(), "a person says so"

    def test_deliveries_are_listed_for_those_who_may_see_them(self, store: Store, shared: Custodian) -> None:
        mine = make_filing(user="irina"), make_filing("globetrot")
        first = shared.file("1", make_raw(1))
        second = shared.file("2", make_raw(2), *mine)
        (general,) = store.deliver(ACME, first, [make_delivery(1)])
        targets = [make_delivery(number, target=name) for number, name in ((2, "duty"), (3, "desk"))]
        hers = list(store.deliver(IRINA, second, targets))
        (theirs,) = store.deliver(GLOBETROT, second, [make_delivery(4, target="duty")])

        def ids(query: DeliveryQuery, viewer: Viewer = IRINA) -> list[int]:
            return [each.id for each in store.deliveries(viewer, query)]

        assert ids(DeliveryQuery()) == [*reversed(hers), general]
        assert ids(DeliveryQuery(), ACME) == ids(DeliveryQuery(ids=(*hers, general, theirs)), ACME) == [general]
        assert ids(DeliveryQuery(), GLOBETROT) == [theirs]
        assert ids(DeliveryQuery(mail_id=second)) == [*reversed(hers)]
        assert ids(DeliveryQuery(target="duty")) == hers[:1]
        assert ids(DeliveryQuery(before=hers[1], limit=1)) == hers[:1]
        assert ids(DeliveryQuery(limit=2)) == [*reversed(hers)]
        assert ids(DeliveryQuery(ids=())) == ids(DeliveryQuery(states=())) == []
        store.cancel(IRINA, hers[:1], who="irina")
        assert ids(DeliveryQuery(states=("cancelled", "parked"))) == hers[:1]
        assert ids(DeliveryQuery(states=("waiting",), ids=tuple(hers))) == hers[1:]
        assert store.deliveries(IRINA, DeliveryQuery(ids=(hers[0],)))[0].user == "irina"
        assert store.redeliver(GLOBETROT, [*hers, general]) == store.cancel(ACME, hers, who="x") == 0

    def test_what_a_person_delivers_again_is_due_at_once(self, store: Store, later: Callable[[float], None]) -> None:
        ids = entered(store, *(make_delivery(number, f"{number}@x.de", "b@x.de", "c@x.de") for number in range(6)))
        later(100)
        cancelled, waits, parked, done, back, tried = take(store)
        has, lost = Recipient(address="b@x.de", state="delivered"), Recipient(address="c@x.de", state="refused", words="550 no")
        later(DELIVERY_SECONDS)
        assert store.cancel(ACME, [cancelled.id], who="anna") == 1
        words = [
            settled(waits, "waiting", due_in=999, words="busy"),
            settled(parked, "parked", has, lost, words="550 no"),
            settled(done, "delivered"),
            settled(back, "delivered"),
        ]
        assert len(store.settle("one", words)) == 4
        store.give_back("one", [tried.id])
        assert [each.id for each in take(store, taker="two")] == [tried.id]
        before = view(store, parked.id).entered_at
        assert store.redeliver(ACME, [*ids, ids[0], 10**9]) == 3, "what is delivered stays so, and what is tried is left alone"
        found = {each.id: each for each in take(store)}
        assert set(found) == {cancelled.id, waits.id, parked.id}
        assert {each.address: each.state for each in found[parked.id].recipients} == {
            parked.delivery.to[0]: "waiting",
            "b@x.de": "delivered",
            "c@x.de": "waiting",
        }
        assert (found[waits.id].tries, found[cancelled.id].tries) == (1, 0)
        assert store.settle("one", [settled(waits, "parked")]) == frozenset(), "a late word stays late"
        seen = view(store, parked.id)
        assert (seen.state, seen.words, seen.ended_at) == ("waiting", "", None)
        assert seen.entered_at > before

    def test_destinations_that_are_hurried_have_all_that_waits_due_now(self, store: Store) -> None:
        entered(store, *(make_delivery(number, f"{number}@x.de", account=f"out{number // 2}") for number in range(6)))
        for destination in ("account out0", "account out1"):
            store.settle("one", [settled(each, "waiting", due_in=3600) for each in take(store, destination)])
        store.settle("one", [settled(each, "parked") for each in take(store, "account out2", limit=1)])
        (tried,) = take(store, "account out2")
        store.hurry([])
        store.hurry(["account out0", "account out2", "account none"])
        assert len(take(store, "account out0")) == 2
        assert take(store, "account out1") == take(store, "account out2") == [], "nobody else's, and not what is being tried"
        assert store.settle("one", [settled(tried, "delivered")]) == {tried.id}

    def test_what_a_person_cancels_is_tried_no_more(self, store: Store) -> None:
        ids = entered(
            store, *(make_delivery(number, f"{number}@x.de") for number in range(4)), make_delivery(4, "4@x.de", withheld="own hop")
        )
        parked, done, tried = take(store, limit=3)
        store.settle("one", [settled(parked, "parked", words="no"), settled(done, "delivered")])
        assert store.cancel(ACME, [*ids, 10**9], who="an\0na") == 3
        assert store.cancel(ACME, ids, who="bob") == 0
        states = {each.id: each.state for each in store.deliveries(ACME, DeliveryQuery())}
        expected = ["cancelled", "delivered", "waiting", "cancelled", "cancelled"]
        assert states == dict(zip([parked.id, done.id, tried.id, *ids[3:]], expected, strict=True))
        seen = view(store, parked.id)
        assert (seen.words, seen.due_at) == ("cancelled by an\ufffdna", None)
        assert take(store) == []
        assert store.settle("one", [settled(tried, "delivered")]) == {tried.id}

    def test_lengths_count_what_waits_to_go_out_and_what_needs_a_person(self, store: Store) -> None:
        deliveries = [make_delivery(number, f"{number}@x.de") for number in range(5)]
        mail_id = Custodian.of(store).file("1", make_raw(), make_filing(), make_filing("globetrot"))
        store.deliver(ACME, mail_id, [*deliveries, make_delivery(9, withheld="own hop")])
        store.deliver(GLOBETROT, mail_id, deliveries[:1])
        parked, done, cancelled, *_ = take(store, limit=4)
        store.settle("one", [settled(parked, "parked"), settled(done, "delivered"), settled(cancelled, "cancelled")])
        lengths = store.lengths()
        assert (lengths.undelivered, lengths.stuck) == ({"acme": 2, "globetrot": 1}, {"acme": 1}), "what is withheld needs nobody"
