"""Tests of every store: an account is forgotten with all that it brought, and with nothing else."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Brought, DeliveryQuery, LeaseLost, Query, Record, Viewer
from gatewayd.testing.contracts.custodian import (
    ACME,
    Custodian,
    make_delivery,
    make_filing,
    make_listing,
    make_raw,
    nobody_is_dead,
    rename,
)
from gatewayd.testing.contracts.posting import post

if TYPE_CHECKING:
    from gatewayd import Store

__all__ = ["ForgettingContract"]

_GLOBETROT = Viewer(operator="globetrot", users=("irina",))


def _forget(store: Store, account: str, *, limit: int = 100) -> int:
    """Forget an account; return in how many pieces."""
    lease, number = Custodian.of(store, account, holder="who forgets").lease, 1
    while store.forget_account(lease, limit=limit):
        number += 1
    return number


class ForgettingContract:
    """Part of ``StoreContract``."""

    def test_P1_an_account_is_forgotten_with_all_that_it_brought_and_may_begin_anew(self, store: Store, shared: Custodian) -> None:
        for number in range(5):
            shared.file(str(number), make_raw(number), make_filing("acme"), make_filing("globetrot", user="irina"))
        shared.enter(*map(str, range(7)))
        (view, *_) = store.filings(ACME, Query())
        store.link(ACME, view.id, [Record(kind="customer", id="C1", label="Nord")], who="anna", because="")
        store.deliver(ACME, view.id, [make_delivery(1, target="duty"), make_delivery(2, target="crm", withheld="no")])
        store.claim(shared.lease, "box", second=False, enter=True)
        size = sum(len(make_raw(number)) for number in range(5))
        counted = Brought(entries=7, mails=5, size=size, filings=10, links=1, undelivered=2)
        assert store.brought("shared") == counted
        store.release(shared.lease)
        assert _forget(store, "shared", limit=3) == 3
        assert store.brought("shared") == Brought()
        assert store.filings(ACME, Query()) == store.filings(_GLOBETROT, Query()) == []
        assert store.deliveries(ACME, DeliveryQuery()) == []
        assert (store.mailboxes(), store.former([]), store.destinations()) == ({}, {}, {})
        again = Custodian.of(store, "shared")
        assert store.folder("shared", "INBOX") is None, "it is listed from the beginning"
        assert again.file("0", make_raw(0)) > view.id
        (audit,) = store.audit("shared", {"INBOX": make_listing("0")})
        assert audit.proven

    def test_P1_what_another_account_brought_too_stays_whole(self, store: Store, shared: Custodian, other: Custodian) -> None:
        for number in range(3):
            shared.file(str(number), make_raw(number))
        mine = [other.file(str(number), make_raw(number)) for number in (1, 2)]
        kept = store.filings(ACME, Query(account="other"))
        found = store.brought("shared")
        assert (found.mails, found.shared, found.size) == (3, 2, len(make_raw(0)))
        store.release(shared.lease)
        _forget(store, "shared")
        assert store.filings(ACME, Query()) == kept
        assert {one.id for one in kept} == set(mine)
        (audit,) = store.audit("other", {"INBOX": make_listing("1", "2")})
        assert audit.proven
        assert store.stored_source(mine[0]).read(0, 9999) == make_raw(1)

    def test_what_people_sent_stays_with_what_went_out_through_the_account(self, store: Store, shared: Custodian) -> None:
        mail_id = shared.file("1", make_raw())
        posted = post(store, answers=mail_id, account="shared")
        found = store.brought("shared")
        assert (found.mails, found.sent, found.undelivered) == (1, 1, 0)
        store.release(shared.lease)
        _forget(store, "shared")
        assert [one.id for one in store.filings(ACME, Query())] == [posted.mail_id]
        assert [one.id for one in store.deliveries(ACME, DeliveryQuery())] == [posted.delivery_id]
        assert list(store.destinations()) == ["account shared"]

    def test_P2_nobody_forgets_what_somebody_else_works_on(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw())
        store.release(shared.lease)
        Custodian.of(store, "shared", holder="two")
        with pytest.raises(LeaseLost):
            store.forget_account(shared.lease, limit=9)
        assert store.brought("shared").mails == 1

    def test_whatever_breaks_it_off_the_account_lists_its_folders_from_the_beginning(self, store: Store, shared: Custodian) -> None:
        for number in range(4):
            shared.file(str(number), make_raw(number))
        assert store.forget_account(shared.lease, limit=2)
        assert store.folder("shared", "INBOX") is None
        assert store.brought("shared").mails == 2
        assert {key: one.state for key, one in store.known("shared", "INBOX", list("0123")).items()} == {"2": "filed", "3": "filed"}
        (audit,) = store.audit("shared", {"INBOX": make_listing("2", "3")})
        assert audit.proven

    def test_names_that_were_given_up_are_free_again(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw())
        store.release(shared.lease)
        rename(store, "shared", "new")
        _forget(store, "new")
        assert store.renames() == []
        assert store.take_lease("shared", "one", dead=nobody_is_dead) is not None
