"""Tests of every store: mailboxes of accounts, former operators, and the store itself."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gatewayd import Lease, LeaseLost
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd import Store

__all__ = ["AccountContract"]

_BOX = "sales at imap.example.com"


def _lease(store: Store, account: str) -> Lease:
    return Custodian.of(store, account).lease


def _claimed_at_once(stores: Sequence[Store], *, second: bool) -> Mapping[str, Sequence[str]]:
    """Let eight accounts claim one mailbox at once; return for each what it was told: who has the mailbox."""
    leases = [_lease(stores[0], f"account{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        claims = [
            threads.submit(stores[number % 4].claim, lease, _BOX, second=second, enter=True) for number, lease in enumerate(leases)
        ]
        return {lease.account: claim.result(60) for lease, claim in zip(leases, claims, strict=True)}


class AccountContract:
    """Part of ``StoreContract``."""

    # --- mailboxes ----------------------------------------------------------------------------------------------------

    def test_a_mailbox_belongs_to_whoever_had_it_first(self, store: Store) -> None:
        first, second = _lease(store, "first"), _lease(store, "second")
        for _ in range(2):
            assert store.claim(first, _BOX, second=False, enter=True) == ["first"]
            assert store.claim(second, _BOX, second=False, enter=True) == ["first"]
        assert store.claim(second, "other", second=False, enter=True) == ["second"]
        # It had it once, and that stays: whoever gets its old mailbox waits.
        assert store.claim(first, "other", second=False, enter=True) == ["second"]
        assert store.mailboxes() == {_BOX: [("first", False)], "other": [("second", False)]}

    def test_a_second_one_needs_the_word_once_and_is_never_the_first(self, store: Store) -> None:
        first, second, third = (_lease(store, name) for name in ("first", "second", "third"))
        assert store.claim(second, _BOX, second=True, enter=True) == ["second"]
        assert store.claim(first, _BOX, second=False, enter=True) == ["first", "second"]
        assert store.claim(second, _BOX, second=False, enter=True) == ["first", "second"]
        assert store.claim(third, _BOX, second=False, enter=True) == ["first", "second"]
        assert store.mailboxes() == {_BOX: [("first", False), ("second", True)]}

    def test_who_has_a_mailbox_can_be_asked_without_a_claim(self, store: Store) -> None:
        first, second = _lease(store, "first"), _lease(store, "second")
        assert store.claim(first, _BOX, second=False, enter=False) == ["first"]
        assert store.claim(second, _BOX, second=False, enter=True) == ["second"]
        assert store.claim(first, _BOX, second=False, enter=False) == ["second"]
        assert store.claim(first, _BOX, second=True, enter=False) == ["second", "first"]
        assert store.mailboxes() == {_BOX: [("second", False)]}

    def test_of_many_that_come_at_once_one_has_the_mailbox(self, open_store: Callable[[], Store]) -> None:
        found = list(_claimed_at_once([open_store() for _ in range(4)], second=False).values())
        assert len({tuple(one) for one in found}) == 1
        assert len(found[0]) == 1

    def test_of_many_that_come_at_once_with_the_word_each_has_the_mailbox(self, open_store: Callable[[], Store]) -> None:
        stores = [open_store() for _ in range(4)]
        assert all(account in having for account, having in _claimed_at_once(stores, second=True).items())
        assert len(stores[0].mailboxes()[_BOX]) == 8

    def test_P2_a_late_claim_is_refused(self, store: Store) -> None:
        lease = _lease(store, "late")
        store.release(lease)
        with pytest.raises(LeaseLost):
            store.claim(lease, _BOX, second=False, enter=True)
        assert store.mailboxes() == {}

    def test_an_account_that_was_listed_before_mailboxes_were_known_goes_on(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        new = _lease(store, "new")
        assert store.claim(new, _BOX, second=False, enter=True) == ["new"]
        assert store.claim(shared.lease, _BOX, second=False, enter=True) == ["new", shared.lease.account]
        # But not with another mailbox that is not its own.
        other = _lease(store, "other")
        assert store.claim(other, "another", second=False, enter=True) == ["other"]
        assert store.claim(shared.lease, "another", second=False, enter=True) == ["other"]

    # --- whose mail there is ------------------------------------------------------------------------------------------

    def test_P6_mail_of_former_operators_and_users_is_counted_and_nobody_else_s(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1), make_filing("acme"), make_filing("gone"))
        shared.file("2", make_raw(2), make_filing("acme", user="irina"))
        shared.file("3", make_raw(3), make_filing("gone", user="ivan"))
        shared.file("4", make_raw(4), make_filing("gone"))
        everybody = [("acme", None), ("acme", "irina"), ("gone", None), ("gone", "ivan")]
        assert store.former(everybody) == {}
        assert store.former([("acme", None), ("acme", "irina"), ("new", None)]) == {("gone", None): 2, ("gone", "ivan"): 1}
        assert store.former([("acme", None), ("gone", None)]) == {("acme", "irina"): 1, ("gone", "ivan"): 1}

    # --- the store itself ---------------------------------------------------------------------------------------------

    def test_a_store_that_was_opened_is_current_and_can_be_written(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        assert store.is_current()
        store.prove_writable()
