"""Tests of every store: what users share with each other and follow, and what is withheld from one who came back."""

# ruff: noqa: N802  tests are named after promises and made of expected numbers

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import OfferQuery, PermanentError, Query, Seen, Share, Viewer
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_filing, make_raw, rename

if TYPE_CHECKING:
    from gatewayd import Store

__all__ = ["SubscriptionContract"]

IRINA, TOM, ANN = (Viewer(operator="acme", users=(name,)) for name in ("irina", "tom", "ann"))
_USERS = {"acme": ["irina", "tom", "ann"], "globetrot": ["tom"]}


def _own(store: Store, number: int = 1, *, user: str = "irina", account: str = "own") -> set[int]:
    """File a mail of a personal account, and offer one; return both entries."""
    hand = Custodian.of(store, account)
    filed = hand.file(str(number), make_raw(number), make_filing("acme", user=user))
    offered = hand.offer(f"offer {number}", user=user)
    store.release(hand.lease)
    return {filed, offered}


def _seen(store: Store, viewer: Viewer, account: str = "own") -> set[int]:
    """Return what a viewer is shown of an account: filings and offers."""
    offers = {one.id for one in store.offers(viewer, OfferQuery(account=account))}
    return offers | {one.id for one in store.filings(viewer, Query(account=account))}


class SubscriptionContract:
    """Part of ``StoreContract``."""

    def test_P6_what_is_shared_is_seen_by_that_user_and_nobody_else_while_it_lasts(self, store: Store) -> None:
        store.keep_users(_USERS)
        mine, hers, other = _own(store), _own(store, 2, user="ann", account="anns"), _own(store, 3, account="second")
        assert store.answer_share(IRINA, "own", user="tom", agree=True)
        assert not store.answer_share(IRINA, "own", user="tom", agree=True)
        assert (_seen(store, TOM), _seen(store, ANN), _seen(store, ACME)) == (mine, set(), set())
        assert _seen(store, Viewer(operator="globetrot", users=("tom",))) == set(), "another tom"
        assert (_seen(store, TOM, "anns"), _seen(store, TOM, "second")) == (set(), set()), "the account, not its user"
        assert (_seen(store, ANN, "anns"), _seen(store, IRINA, "second")) == (hers, other)
        # Nobody shares what is somebody else's.
        assert store.answer_share(ANN, "own", user="tom", agree=True)
        assert not store.answer_share(TOM, "own", user="irina", agree=False)
        assert store.answer_share(IRINA, "own", user="tom", agree=False)
        assert not store.answer_share(IRINA, "own", user="tom", agree=False)
        assert _seen(store, TOM) == set()

    def test_P6_a_share_in_the_file_and_one_of_the_owner_end_each_alone(self, store: Store) -> None:
        store.keep_users(_USERS)
        mine = _own(store)
        by_file = replace(TOM, shared=(("own", "irina"),))
        assert _seen(store, by_file) == mine
        store.answer_share(IRINA, "own", user="tom", agree=True)
        assert (_seen(store, by_file), _seen(store, TOM)) == (mine, mine)
        store.answer_share(IRINA, "own", user="tom", agree=False)
        assert (_seen(store, by_file), _seen(store, TOM)) == (mine, set())
        assert _seen(store, replace(TOM, shared=(("own", "ann"), ("other", "irina")))) == set()

    def test_who_is_shared_with_works_on_it_and_chooses_from_it(self, store: Store) -> None:
        store.keep_users(_USERS)
        filed, offered = sorted(_own(store))
        assert (store.mark(TOM, [filed], unread=False), store.choose(TOM, "own", [offered], who="tom")) == (0, 0)
        store.answer_share(IRINA, "own", user="tom", agree=True)
        assert (store.mark(TOM, [filed], unread=False), store.choose(TOM, "own", [offered], who="tom")) == (1, 1)
        assert (store.seen(TOM, "own"), store.seen(IRINA, "own")) == (Seen(mark=offered), Seen())

    def test_a_user_asks_and_the_owner_agrees_or_refuses(self, store: Store) -> None:
        store.keep_users(_USERS)
        mine = _own(store)
        assert store.ask_share(TOM, "own", owner="irina")
        assert not store.ask_share(TOM, "own", owner="irina")
        asked = Share(account="own", owner="irina", user="tom", state="asked")
        assert (store.shares(TOM), store.shares(IRINA), store.shares(ANN)) == ([asked], [asked], [])
        assert _seen(store, TOM) == set(), "to ask shows nothing"
        assert store.answer_share(IRINA, "own", user="tom", agree=False)
        assert store.shares(TOM) == [replace(asked, state="refused")]
        assert store.ask_share(TOM, "own", owner="irina"), "who was refused may ask again"
        assert store.answer_share(IRINA, "own", user="tom", agree=True)
        assert (store.shares(TOM), _seen(store, TOM)) == ([replace(asked, state="agreed")], mine)
        assert not store.ask_share(TOM, "own", owner="irina")
        assert store.shares(TOM) == [replace(asked, state="agreed")]

    def test_a_user_follows_what_was_not_chosen_otherwise_and_what_is_agreed_to(self, store: Store, shared: Custodian) -> None:
        store.keep_users(_USERS)
        general = shared.file("1", make_raw())
        filed = min(_own(store))

        def followed(viewer: Viewer) -> set[int]:
            return {one.id for one in store.filings(viewer, Query(followed=True))}

        assert (followed(TOM), followed(IRINA)) == ({general}, {general, filed})
        assert store.follow(TOM, "shared", followed=False)
        assert not store.follow(TOM, "shared", followed=False)
        assert (followed(TOM), followed(IRINA), followed(ACME)) == (set(), {general, filed}, {general})
        assert {one.id for one in store.filings(TOM, Query())} == {general}, "it narrows only the list"
        assert not store.follow(TOM, "own", followed=True), "to follow shows nothing"
        store.follow(TOM, "own", followed=False)
        assert store.choices(TOM) == {"own": False, "shared": False}
        store.answer_share(IRINA, "own", user="tom", agree=True)
        assert (store.choices(TOM), followed(TOM)) == ({"shared": False}, {filed})
        store.follow(TOM, "own", followed=False)
        assert followed(TOM) == set()
        assert store.choices(IRINA) == {}

    def test_P6_with_a_user_go_shares_and_subscriptions_and_old_mail_waits_for_a_word(self, store: Store) -> None:
        store.keep_users(_USERS)
        mine = _own(store)
        store.answer_share(IRINA, "own", user="tom", agree=True)
        store.ask_share(IRINA, "anns", owner="ann")
        for one in (IRINA, TOM):
            store.follow(one, "other", followed=False)
        store.keep_users({**_USERS, "acme": ["tom", "ann"]})
        assert (_seen(store, TOM), _seen(store, IRINA), store.shares(TOM), store.shares(ANN)) == (set(), set(), [], [])
        assert _seen(store, replace(IRINA, withheld=True)) == mine, "the administrator's"
        with pytest.raises(PermanentError, match="had left"):
            store.answer_share(TOM, "toms", user="irina", agree=True)
        store.keep_users(_USERS)
        assert (_seen(store, IRINA), _seen(store, TOM), store.choices(IRINA)) == (set(), set(), {})
        assert _seen(store, replace(TOM, shared=(("own", "irina"),))) == set(), "nor by the file"
        new = _own(store, 2)
        store.answer_share(IRINA, "own", user="tom", agree=True)
        assert (_seen(store, IRINA), _seen(store, TOM)) == (new, new)
        assert store.give_old_mail("acme", "irina")
        assert (_seen(store, IRINA), _seen(store, TOM)) == (mine | new, mine | new)
        assert store.choices(TOM) == {"other": False}

    def test_P6_who_is_shared_with_leaves_and_comes_back_without_it(self, store: Store) -> None:
        store.keep_users(_USERS)
        _own(store)
        store.answer_share(IRINA, "own", user="tom", agree=True)
        store.keep_users({**_USERS, "acme": ["irina", "ann"]})
        store.keep_users(_USERS)
        assert (_seen(store, TOM), store.shares(TOM), store.shares(IRINA)) == (set(), [], [])

    def test_P6_what_is_renamed_keeps_shares_and_subscriptions_and_the_old_name_none(self, store: Store) -> None:
        store.keep_users(_USERS)
        mine = _own(store)
        store.answer_share(IRINA, "own", user="tom", agree=True)
        store.follow(IRINA, "own", followed=False)
        rename(store, "own", "new")
        assert (_seen(store, TOM, "new"), store.choices(IRINA)) == (mine, {"new": False})
        rename(store, "acme/irina", "acme/irene", "user")
        irene = Viewer(operator="acme", users=("irene",))
        assert [_seen(store, one, "new") for one in (TOM, irene, IRINA)] == [mine, mine, set()]
        assert (store.choices(irene), store.choices(IRINA)) == ({"new": False}, {})
        rename(store, "acme/tom", "acme/tim", "user")
        rename(store, "acme", "apex", "operator")
        tim, tom = (Viewer(operator="apex", users=(name,)) for name in ("tim", "tom"))
        assert [_seen(store, one, "new") for one in (tim, tom, TOM)] == [mine, set(), set()]
        assert store.shares(tim) == [Share(account="new", owner="irene", user="tim", state="agreed")]
