"""The daemon takes up what users add while it runs, and goes on with what it has while the store is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders, TransientError, config
from gatewayd.daemon.user_accounts import UserAccounts
from gatewayd.testing.contracts.user_accounts import make_user_account
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import UserAccount


class Away(Sql):
    """A store that can be away."""

    wrong: Exception | None = None

    def user_accounts(self) -> Sequence[UserAccount]:
        if self.wrong is not None:
            raise self.wrong
        return super().user_accounts()


@pytest.fixture
def loaded(tmp_path: Path) -> config.Config:
    for name in ("accounts", "operators", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "operators/acme.yaml").write_text("users: {irina: {name: Irina, email: irina@acme.example}}\n")
    (tmp_path / "gatewayd.yaml").write_text("state: state\n")
    return config.load(tmp_path)


@pytest.fixture
def store(loaded: config.Config) -> Iterator[Away]:
    made = Away(SqlOptions(url=None), place=Folders(config=loaded.folder, state=loaded.state))
    made.open()
    made.keep_users({"acme": ["irina"]})
    yield made
    made.close()


@pytest.fixture
def accounts(store: Away) -> Iterator[UserAccounts]:
    found = UserAccounts(store)
    yield found
    found.close()


def add(store: Away, number: int) -> str:
    return store.add_user_account(store.know_user("acme", "irina").id, make_user_account(number))


def test_what_is_added_changed_and_removed_is_seen_once(loaded: config.Config, store: Away, accounts: UserAccounts) -> None:
    assert accounts.added(loaded).accounts == {}
    name = add(store, 1)
    until("it is seen", 30, accounts.look)
    first = accounts.added(loaded)
    assert list(first.accounts) == [name]
    assert not accounts.look()
    (row,) = store.user_accounts()
    store.replace_password(row, make_user_account(2).password)
    until("the password is another one", 30, accounts.look)
    assert accounts.added(loaded).accounts != first.accounts
    store.remove_user_account(name)
    until("it is gone", 30, accounts.look)
    assert accounts.added(loaded).accounts == {}


@pytest.mark.parametrize("wrong", [TransientError("the database is away"), KeyError("a bug of the store")])
def test_P4_while_the_store_is_away_those_go_on_that_are_there(
    loaded: config.Config, store: Away, accounts: UserAccounts, wrong: Exception
) -> None:
    name = add(store, 1)
    assert list(accounts.added(loaded).accounts) == [name]
    store.wrong = wrong
    assert list(accounts.added(loaded).accounts) == [name]
    add(store, 2)
    assert not any(accounts.look() for _ in range(50))
    store.wrong = None
    until("it is back", 30, accounts.look)
    assert len(accounts.added(loaded).accounts) == 2
