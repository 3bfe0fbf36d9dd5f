"""Tests of every store: what is offered, and what each operator decided about it."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, Entry, LeaseLost, Listed, Offer, OfferQuery, Retry, Seen, Summary, Viewer
from gatewayd.testing.contracts.custodian import ACME, GLOBETROT, IRINA, NOON, Custodian, make_filing, make_raw, rename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Decision, OfferView, Store

__all__ = ["OfferContract"]

_BOTH: dict[str, Decision] = {"acme": "offered", "globetrot": "offered"}


def _offered(key: str, *, backlog: bool = False) -> Entry:
    return Entry(listed=Listed(key, 7, NOON), state="offered", backlog=backlog, cause="to be chosen")


def _summary(key: str, **said: str) -> Summary:
    given = {"sender": "Anna@example.com", "sender_name": "Anna", "subject": f"Booking {key}", "anchor": f"anchor {key}", **said}
    return Summary(key=key, senders=("anna@example.com",), to=("desk@example.com",), sent_at=NOON, attachments=True, **given)


def _offer(shared: Custodian, *keys: str, user: str | None = None, decisions: dict[str, Decision] = _BOTH) -> None:
    """Enter keys that are offered, and describe them."""
    shared.enter(*(_offered(key) for key in keys))
    found = shared.store.undescribed("shared", "INBOX", limit=99)
    offers = [Offer(entry_id=one, summary=_summary(key), user=user, decisions=decisions) for one, key in found]
    shared.store.describe(shared.lease, offers)


def _list(store: Store, viewer: Viewer = ACME, **asked: object) -> Sequence[OfferView]:
    return store.offers(viewer, replace(OfferQuery(account="shared"), **asked))  # type: ignore[arg-type]  # fields of the query


def _id(store: Store, key: str, viewer: Viewer = ACME) -> int:
    return next(one.id for one in _list(store, viewer) if one.key == key)


class OfferContract:
    """Offers: each operator decides for itself (promise P6)."""

    def test_an_offer_is_described_once_and_shown_with_what_its_headers_say(self, store: Store, shared: Custodian) -> None:
        shared.enter(_offered("1"), _offered("2"), "3")
        found = store.undescribed("shared", "INBOX", limit=1)
        assert [key for _, key in found] == ["1"]
        _offer(shared)
        assert not store.undescribed("shared", "INBOX", limit=9)
        newest, oldest = _list(store)
        assert (newest.key, newest.folder, newest.decision, newest.state) == ("2", "INBOX", "offered", "offered")
        assert (oldest.subject, oldest.sender, oldest.sender_name, oldest.to) == (
            "Booking 1",
            "Anna@example.com",
            "Anna",
            ("desk@example.com",),
        )
        assert (oldest.size, oldest.arrival, oldest.sent_at, oldest.attachments, oldest.mail_id) == (7, NOON, NOON, True, None)
        store.describe(
            shared.lease, [Offer(entry_id=oldest.id, summary=_summary("1", subject="other"), user=None, decisions=_BOTH)]
        )
        assert _list(store)[1].subject == "Booking 1"
        with pytest.raises(LeaseLost):
            store.describe(replace(shared.lease, epoch=shared.lease.epoch - 1), [])

    def test_offers_are_searched_and_paged(self, store: Store, shared: Custodian) -> None:
        _offer(shared, *"123")
        last = _id(store, "3")
        assert [one.key for one in _list(store, limit=2)] == ["3", "2"]
        assert [one.key for one in _list(store, ids=(last, last - 1), limit=1)] == ["3"]
        assert [one.key for one in _list(store, before=last)] == ["2", "1"]
        assert [one.key for one in _list(store, after=last - 1)] == ["3"]
        assert [one.key for one in _list(store, text="KING 2")] == ["2"]
        assert [one.key for one in _list(store, keys=("1", "3"))] == ["3", "1"]
        assert [one.key for one in _list(store, since=NOON + timedelta(seconds=1))] == []
        assert len(_list(store, since=NOON)) == 3
        assert store.offers(ACME, OfferQuery(account="other")) == []

    def test_P6_a_choice_is_the_operators_own_and_ends_with_its_filing(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2")
        ids = [_id(store, "1")]
        assert (store.choose(ACME, "shared", ids, who="anna"), store.choose(ACME, "shared", ids, who="anna")) == (1, 0)
        assert store.choose(ACME, "other", [_id(store, "2")], who="anna") == 0
        assert (shared.states()["1"], [one.listed.key for one in shared.waiting()]) == ("waiting", ["1"])
        assert store.chosen("shared", "INBOX") == {ids[0]: ["acme"]}
        assert store.chosen("shared", "Sent") == {}
        assert not store.at_rest("shared")
        shared.commit(shared.outcome("1", make_raw(), owed=Action(do="seen")))
        (one,) = _list(store, ids=tuple(ids))
        assert (one.decision, one.state, one.mail_id) == ("filed", "filed", ids[0])
        (other,) = _list(store, GLOBETROT, ids=tuple(ids))
        assert (other.decision, other.mail_id) == ("offered", None)
        assert not store.owed("shared", limit=9), "the other operator has not decided"
        assert store.choose(GLOBETROT, "shared", ids, who="otto") == 1
        (left,) = store.chosen_mails("shared", "globetrot", limit=9)
        assert (left.entry_id, left.mail_id, left.backlog) == (ids[0], ids[0], False)
        assert len(store.add_filings(shared.lease, [(ids[0], make_filing("globetrot"))])) == 1
        store.end_choice(shared.lease, "globetrot", ids, otherwise="another's")
        assert not store.chosen_mails("shared", "globetrot", limit=9)
        assert [one.entry_id for one in store.owed("shared", limit=9)] == ids

    def test_a_choice_that_leads_to_no_filing_says_why(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2")
        for viewer in (ACME, GLOBETROT):
            store.choose(viewer, "shared", [_id(store, "1", viewer), _id(store, "2", viewer)], who="anna")
        shared.commit(shared.outcome("1", make_raw(1)), shared.outcome("2", make_raw(2)))
        ids = [one.entry_id for one in store.chosen_mails("shared", "globetrot", limit=9)]
        store.add_filings(shared.lease, [(ids[0], make_filing("globetrot"))])
        store.end_choice(shared.lease, "globetrot", ids, otherwise="another's")
        assert [one.id for one in _list(store, GLOBETROT)] == ids[:1], "what it never gets is not shown to it"

    def test_a_key_is_dismissed_when_all_dismissed_it(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1")
        ids = [_id(store, "1")]
        assert store.dismiss(ACME, "shared", ids, who="anna") == 1
        assert (shared.states()["1"], _list(store, open=True)) == ("offered", [])
        assert store.dismiss(GLOBETROT, "shared", ids, who="otto") == 1
        assert shared.states()["1"] == "dismissed"
        assert store.standing("shared", "INBOX") == {"dismissed": 1}
        assert [one.key for one in store.entries("shared", "dismissed", after=0, limit=9)] == ["1"]
        assert store.dismiss(GLOBETROT, "shared", ids, who="otto", undo=True) == 1
        assert shared.states()["1"] == "offered"
        assert store.dismiss(GLOBETROT, "shared", ids, who="otto", undo=True) == 0
        shared.enter(standing=[])
        assert shared.states()["1"] == "vanished"
        assert (_list(store), store.choose(ACME, "shared", ids, who="anna")) == ([], 0)
        assert [one.state for one in _list(store, keys=("1",))] == ["vanished"]
        shared.enter(_offered("1"), standing=["1"])
        assert [one.decision for one in _list(store)] == ["dismissed"], "what was decided stays when it comes back"

    def test_P6_what_an_operator_does_not_admit_is_not_shown_to_it(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", decisions={"acme": "refused", "globetrot": "undecided"})
        ids = [one.id for one in store.entries("shared", "offered", after=0, limit=9)]
        assert (_list(store), _list(store, GLOBETROT)) == ([], [])
        assert store.choose(ACME, "shared", ids, who="anna") == 0
        assert store.with_offers(["shared", "other"]) == {"shared"}
        assert not store.with_refused(["shared"])
        assert not store.at_rest("shared")
        found = partial(store.senders_of_offers, "shared", user=None, limit=9)
        assert found("acme", decision="refused", after=0) == [(ids[0], ("anna@example.com",))]
        assert found("acme", decision="undecided", after=0) == found("acme", decision="offered", after=0) == []
        assert found("globetrot", decision="undecided", after=ids[0]) == []
        store.judge_offers(shared.lease, "acme", {ids[0]: "offered"})
        store.judge_offers(shared.lease, "globetrot", {ids[0]: "refused"})
        assert [one.decision for one in _list(store)] == ["offered"]
        store.dismiss(ACME, "shared", ids, who="anna")
        store.judge_offers(shared.lease, "acme", {ids[0]: "offered"})
        assert [one.decision for one in _list(store)] == ["dismissed"]
        assert shared.states()["1"] == "dismissed", "only who is offered it counts"

    def test_P6_what_an_operator_admits_no_more_is_taken_back_unless_it_decided(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2", "3")
        first, second, third = (_id(store, key) for key in ("1", "2", "3"))
        store.choose(ACME, "shared", [second], who="anna")
        store.dismiss(ACME, "shared", [third], who="anna")
        found = store.senders_of_offers("shared", "acme", user=None, decision="offered", after=0, limit=9)
        assert found == [(first, ("anna@example.com",))]
        store.judge_offers(shared.lease, "acme", dict.fromkeys((first, second, third), "refused"))
        assert {one.key: one.decision for one in _list(store)} == {"2": "chosen", "3": "dismissed"}
        assert len(_list(store, GLOBETROT)) == 3, "another operator's admission is its own"

    def test_P6_an_operator_that_is_added_is_offered_what_is_not_here_yet(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2", "3", "4", decisions={"acme": "offered"})
        first, second, third, fourth = (_id(store, key) for key in ("1", "2", "3", "4"))
        store.choose(ACME, "shared", [first], who="anna")
        shared.commit(shared.outcome("1", make_raw(), owed=None))
        store.dismiss(ACME, "shared", [second], who="anna")
        shared.enter(standing=["1", "2", "3"])
        found = partial(store.not_offered, "shared", "globetrot", after=0)
        assert [one for one, _ in found(user=None, limit=9)] == [second, third], "not what is here, and not what is gone"
        assert found(user=None, limit=1) == [(second, ("anna@example.com",))]
        assert store.not_offered("shared", "globetrot", user=None, after=second, limit=9) == [(third, ("anna@example.com",))]
        assert found(user="irina", limit=9) == [], "it came to no user"
        assert store.not_offered("shared", "acme", user=None, after=0, limit=9) == []
        store.offer_also(shared.lease, "globetrot", {second: "offered", third: "refused"}, user=None)
        assert [one.key for one in _list(store, GLOBETROT)] == ["2"]
        assert shared.states()["2"] == "offered", "one dismissed it, and the other may want it"
        assert not found(user=None, limit=9)
        assert fourth

    def test_headers_that_could_not_be_had_are_asked_for_again_but_not_at_once(self, store: Store, shared: Custodian) -> None:
        shared.enter(_offered("1"), _offered("2"))
        found = store.undescribed("shared", "INBOX", limit=9)
        (first, _), (second, key) = found
        assert store.undescribed("shared", "INBOX", after=first, limit=9) == [(second, key)]
        store.describe(shared.lease, [], without=[first])
        assert store.undescribed("shared", "INBOX", limit=9) == [(second, key)]
        assert store.undescribed("shared", "INBOX", limit=9, at_once=True) == found
        _offer(shared)
        store.describe(shared.lease, [Offer(entry_id=first, summary=_summary("1"), user=None, decisions=_BOTH)])
        assert [one.key for one in _list(store)] == ["2", "1"]

    def test_an_operator_that_is_served_no_more_is_not_waited_for(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2")
        first, second = _id(store, "1"), _id(store, "2")
        store.choose(ACME, "shared", [first], who="anna")
        shared.commit(shared.outcome("1", make_raw(), owed=Action(do="seen")))
        store.choose(GLOBETROT, "shared", [first, second], who="otto")
        store.withdraw_offers(shared.lease, {"acme", "globetrot"}, user=None)
        assert (shared.states()["2"], store.owed("shared", limit=9)) == ("waiting", [])
        store.withdraw_offers(shared.lease, {"acme"}, user=None)
        assert (shared.states()["2"], _list(store, GLOBETROT)) == ("offered", [])
        assert [one.entry_id for one in store.owed("shared", limit=9)] == [first]
        assert {one.key: one.decision for one in _list(store)} == {"1": "filed", "2": "offered"}

    def test_P6_a_users_offers_are_that_users(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", user="irina", decisions={"acme": "offered"})
        assert (_list(store), len(_list(store, IRINA))) == ([], 1)
        ids = [_id(store, "1", IRINA)]
        assert store.choose(ACME, "shared", ids, who="bob") == store.dismiss(ACME, "shared", ids, who="bob") == 0
        assert store.choose(IRINA, "shared", ids, who="irina") == 1
        store.withdraw_offers(shared.lease, {"acme"}, user="irina")
        assert store.chosen("shared", "INBOX") == {ids[0]: ["acme"]}
        store.withdraw_offers(shared.lease, {"acme"}, user=None)
        assert (store.chosen("shared", "INBOX"), _list(store, IRINA), shared.states()["1"]) == ({}, [], "offered")
        refused = partial(store.senders_of_offers, "shared", "acme", decision="refused", after=0, limit=9)
        assert [len(refused(user=user)) for user in (None, "tom", "irina")] == [0, 0, 1]

    def test_what_could_not_be_had_is_offered_again_with_its_cause(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2")
        shared.enter("3")
        ids = [_id(store, "1")]
        store.choose(ACME, "shared", ids, who="anna")
        waits = [shared.entry("1"), shared.entry("3")]
        shared.commit(*(Retry(entry_id=one, cause="it is garbled", retry_after=60) for one in waits))
        assert shared.states() == {"1": "offered", "2": "offered", "3": "waiting"}
        (one,) = _list(store, ids=tuple(ids))
        assert (one.decision, one.cause) == ("offered", "it is garbled")
        store.choose(ACME, "shared", ids, who="anna")
        assert [one.listed.key for one in shared.waiting()] == ["1"], "it is due at once"
        assert _list(store, ids=tuple(ids))[0].cause == ""

    def test_P1_what_was_decided_goes_over_to_a_new_key(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2", "3")
        store.dismiss(ACME, "shared", [_id(store, "1")], who="anna")
        store.choose(GLOBETROT, "shared", [_id(store, "2")], who="otto")
        anchors = {one.anchor: one.entry_id for one in store.anchors("shared", "INBOX", standing=[])}
        assert sorted(anchors) == ["anchor 1", "anchor 2", "anchor 3"]
        new = [replace(_offered(f"1{key}", backlog=True), same_as=anchors[f"anchor {key}"]) for key in "123"]
        shared.enter(*new[:1], standing=["11"])
        shared.enter(*new[1:])
        assert shared.states("11", "12", "13") == {"11": "offered", "12": "waiting", "13": "offered"}
        assert {one.key: one.decision for one in _list(store)} == {"11": "dismissed", "12": "offered", "13": "offered"}
        assert {one.key: one.decision for one in _list(store, GLOBETROT)} == {"11": "offered", "12": "chosen", "13": "offered"}
        assert [waiting.backlog for waiting in shared.waiting()] == [False], "it is as new as it was"
        assert shared.states()["1"] == shared.states()["2"] == "vanished"
        assert not store.undescribed("shared", "INBOX", limit=9)

    def test_P1_what_was_decided_goes_along_where_keys_span_folders(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2")
        store.dismiss(ACME, "shared", [_id(store, "1")], who="anna")
        store.choose(ACME, "shared", [_id(store, "2")], who="anna")
        moved = [replace(_offered("1"), by_key=True), Entry(listed=Listed("2", 7, NOON), by_key=True)]
        shared.enter(*moved, folder="Team")
        assert shared.states("1", "2") == {"1": "vanished", "2": "vanished"}
        assert shared.states("1", "2", folder="Team") == {"1": "offered", "2": "waiting"}
        assert {(one.key, one.folder): one.decision for one in _list(store)} == {
            ("1", "Team"): "dismissed",
            ("2", "Team"): "chosen",
        }
        assert list(store.chosen("shared", "Team").values()) == [["acme"]]

    def test_the_mark_comes_to_the_newest_that_was_shown_or_chosen(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1", "2", "3")
        first, second, third = (_id(store, key) for key in "123")
        irina = Viewer(operator="acme", users=("irina",))
        store.show(irina, "shared", second)
        store.show(irina, "shared", first)
        assert store.seen(irina, "shared") == Seen(mark=0, shown=second)
        store.choose(irina, "shared", [first], who="irina")
        assert store.seen(irina, "shared") == Seen(mark=second, shown=second)
        store.choose(irina, "shared", [third], who="irina")
        store.choose(irina, "shared", [first], who="irina")
        assert store.seen(irina, "shared").mark == third
        assert store.seen(ACME, "shared") == store.seen(irina, "other") == Seen()

    def test_a_renamed_account_keeps_its_offers(self, store: Store, shared: Custodian) -> None:
        _offer(shared, "1")
        store.choose(ACME, "shared", [_id(store, "1")], who="anna")
        mark = store.seen(ACME, "shared")
        store.release(shared.lease)
        rename(store, "shared", "new")
        (one,) = store.offers(ACME, OfferQuery(account="new"))
        assert (one.account, one.decision, store.seen(ACME, "new")) == ("new", "chosen", mark)
