"""Tests of every store: mailboxes that users added, their names, and that they end with their users."""

# ruff: noqa: N802  tests are named after promises

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import MOST_USER_ACCOUNTS, NewUserAccount, PermanentError, SealedSecret, Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["UserAccountContract", "make_user_account"]


def make_user_account(number: int = 1) -> NewUserAccount:
    """Return a mailbox as a user adds it."""
    return NewUserAccount(
        mark=f"mark {number}",
        kind="imap",
        host="imap.example.com",
        port=993,
        security="tls",
        address=f"irina{number}@example.com",
        username="irina ü",
        password=SealedSecret("a1", bytes([number]) + b"\x00\xff sealed"),
    )


class UserAccountContract:
    """Part of ``StoreContract``."""

    def test_a_mailbox_of_a_user_is_kept_as_it_was_added(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        store.keep_users({"acme": ["irina", "tom"]})
        assert store.user_accounts() == []
        irina, tom = (store.know_user("acme", name).id for name in ("irina", "tom"))
        assert store.add_user_account(irina, make_user_account(1)) == "acme/irina/1"
        assert store.add_user_account(tom, make_user_account(2)) == "acme/tom/1"
        first, second = open_store().user_accounts()
        assert (first.name, first.operator, first.user) == ("acme/irina/1", "acme", "irina")
        assert (second.name, second.operator, second.user) == ("acme/tom/1", "acme", "tom")
        said = ("mark", "kind", "host", "port", "security", "address", "username", "password")
        assert all(getattr(first, key) == getattr(make_user_account(1), key) for key in said)

    def test_a_name_is_never_given_twice_whoever_has_left_or_removed_it(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"]})
        irina = store.know_user("acme", "irina").id
        assert [store.add_user_account(irina, make_user_account(number)) for number in (1, 2)] == ["acme/irina/1", "acme/irina/2"]
        assert store.remove_user_account("acme/irina/2")
        assert not store.remove_user_account("acme/irina/2")
        assert store.add_user_account(irina, make_user_account(3)) == "acme/irina/3"
        store.keep_users({"acme": []})
        store.keep_users({"acme": ["irina"]})
        again = store.know_user("acme", "irina").id
        assert store.add_user_account(again, make_user_account(4)) == "acme/irina/4"

    def test_P9_with_a_user_go_mailboxes_and_passwords_and_who_comes_back_has_none(self, store: Store) -> None:
        store.keep_users({"acme": ["irina", "tom"]})
        irina, tom = (store.know_user("acme", name).id for name in ("irina", "tom"))
        store.add_user_account(irina, make_user_account(1))
        store.add_user_account(tom, make_user_account(2))
        assert store.sealing_keys() == {"a1": 2}
        store.keep_users({"acme": ["tom"]})
        assert [one.name for one in store.user_accounts()] == ["acme/tom/1"]
        assert store.sealing_keys() == {"a1": 1}
        with pytest.raises(PermanentError, match="left"):
            store.add_user_account(irina, make_user_account(3))
        store.keep_users({"acme": ["irina", "tom"]})
        assert [one.name for one in store.user_accounts()] == ["acme/tom/1"]
        with pytest.raises(PermanentError, match="left"):
            store.add_user_account(irina, make_user_account(3))

    def test_P6_a_mailbox_that_is_removed_is_shared_with_nobody_any_more(self, store: Store) -> None:
        store.keep_users({"acme": ["irina", "tom"]})
        irina = store.know_user("acme", "irina").id
        names = [store.add_user_account(irina, make_user_account(number)) for number in (1, 2)]
        mine, toms = Viewer(operator="acme", users=("irina",)), Viewer(operator="acme", users=("tom",))
        for name in names:
            store.answer_share(mine, name, user="tom", agree=True)
        store.remove_user_account(names[0])
        assert [one.account for one in store.shares(toms)] == [names[1]]

    def test_of_many_that_add_a_mailbox_at_once_as_many_do_as_may(self, open_store: Callable[[], Store]) -> None:
        stores = [open_store() for _ in range(3)]
        stores[0].keep_users({"acme": ["irina"]})
        irina = stores[0].know_user("acme", "irina").id
        with ThreadPoolExecutor(6) as threads:
            tries = [threads.submit(stores[at % 3].add_user_account, irina, make_user_account(at)) for at in range(6)]
        errors = [one.exception(60) for one in tries]
        assert sum(one is None for one in errors) == MOST_USER_ACCOUNTS
        assert all(one is None or "already" in str(one) for one in errors)
        names = sorted(one.result() for one in tries if one.exception() is None)
        assert names == [f"acme/irina/{number}" for number in range(1, MOST_USER_ACCOUNTS + 1)]
        assert [one.name for one in stores[1].user_accounts()] == names

    def test_a_password_takes_the_place_of_the_one_that_was_read_and_of_no_other(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"]})
        store.add_user_account(store.know_user("acme", "irina").id, make_user_account())
        (account,) = store.user_accounts()
        new, other = SealedSecret("b2", b"new"), SealedSecret("b2", b"other")
        assert store.replace_password(account, new)
        assert not store.replace_password(account, other)
        assert store.user_accounts() == [replace(account, password=new)]
        store.remove_user_account(account.name)
        assert not store.replace_password(replace(account, password=new), other)
