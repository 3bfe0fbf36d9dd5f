"""What an administrator does for people who use the pages, at the keyboard and by commands."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Activity, Folders, SealedSecret, config
from gatewayd.access.kept_passwords import KeptPasswords
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House
from tests.e2e.terminal import Terminal
from tests.e2e.test_account_add import answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSWORD = "four words and an ü"
_USERS = (
    "users:\n  irina: {name: Irina Mari, email: irina@acme.example}\n  tom: {name: Tom, email: tom@acme.example, role: manager}\n"
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme", more=_USERS)
    house.operator("globetrot")
    return house


@pytest.fixture
def store(house: House) -> Iterator[Sql]:
    house.state.mkdir(mode=0o700, exist_ok=True)
    made = Sql(SqlOptions(url=None), place=Folders(config=house.folder, state=house.state))
    with closing(made) as found:
        found.open()
        found.keep_users({"acme": ["irina", "tom"], "globetrot": []})
        yield found


def _log_in(store: Sql, number: int) -> None:
    irina = store.know_user("acme", "irina").id
    store.add_web_session(irina, bytes([number]) * 32, address="192.0.2.1", agent=f"Firefox {number}", idle=999.0, longest=999.0)


def test_a_password_is_typed_twice_shown_never_and_logs_the_user_out(house: House, store: Sql) -> None:
    _log_in(store, 1)
    with Terminal(house, "user", "password", "acme/irina") as terminal:
        answer(terminal, ("Password", "too short"), ("once more", "too short"))
        terminal.wait_for("at least 12 characters")
        answer(terminal, ("Password", _PASSWORD), ("once more", _PASSWORD))
        terminal.wait_for("logged out everywhere")
        assert terminal.ended() == 0
        assert _PASSWORD not in terminal.shown
        assert "too short" not in terminal.shown
    found = store.user_secrets("acme", "irina")
    assert found
    assert KeptPasswords(store).fits(config.current(house.folder), found, _PASSWORD)
    kept = b"".join(one.read_bytes() for one in house.state.rglob("*") if one.is_file())
    assert found.password
    assert found.password.sealed in kept
    assert _PASSWORD.encode() not in kept
    assert b"argon2" not in kept
    assert store.web_session(bytes([1]) * 32, idle=999.0, longest=999.0) is None
    (row,) = house.good("activity", "--operator", "acme", "--json").rows
    assert (row["who"], row["what"], row["detail"].partition(",")[0]) == ("irina", "changed", "password")


def test_without_a_terminal_or_such_a_user_nothing_is_asked(house: House) -> None:
    done = house.run("user", "password", "acme/irina")
    assert done.code == 2
    assert "terminal" in done.err
    with Terminal(house, "user", "password", "acme/nobody") as terminal:
        terminal.wait_for("has no user 'nobody'")
        assert terminal.ended() == 1


def test_web_sessions_are_listed_and_ended(house: House, store: Sql) -> None:
    _log_in(store, 1)
    _log_in(store, 2)
    rows = house.good("user", "web-sessions", "acme/irina", "--json").rows
    assert [(one["agent"], one["address"]) for one in rows] == [("Firefox 2", "192.0.2.1"), ("Firefox 1", "192.0.2.1")]
    assert "Firefox 2" in house.good("user", "web-sessions", "acme/irina").out
    assert house.good("user", "web-sessions", "acme/tom", "--json").rows == []
    assert "2 web sessions ended" in house.good("user", "web-sessions", "acme/irina", "--end").err
    assert house.good("user", "web-sessions", "acme/irina", "--json").rows == []


def test_a_lost_second_factor_is_ended(house: House, store: Sql) -> None:
    assert "has no second factor" in house.good("user", "end-second-factor", "acme/irina").err
    store.begin_second_factor(store.know_user("acme", "irina").id, SealedSecret("a1", b"sealed"))
    assert "any more" in house.good("user", "end-second-factor", "acme/irina").err
    found = store.user_secrets("acme", "irina")
    assert found
    assert found.factor is None


def test_the_activity_log_is_each_operators_own(house: House, store: Sql) -> None:
    store.note_activities(
        [
            Activity(operator="acme", who="irina", what="logged in", address="192.0.2.1"),
            Activity(operator="globetrot", who="ivan", what="opened", mail_id=7),
            Activity(operator="", who="", what="log-in refused", address="203.0.113.9"),
            Activity(operator="acme", who="tom", what="linked", mail_id=7, detail="customer C-1"),
        ]
    )
    rows = house.good("activity", "--operator", "acme", "--json").rows
    assert [(one["operator"], one["who"], one["what"], one["mail_id"]) for one in rows] == [
        ("acme", "tom", "linked", 7),
        ("acme", "irina", "logged in", None),
    ]
    assert house.good("activity", "--operator", "acme", "--before", rows[0]["id"], "--json").rows == [rows[1]]
    assert house.good("activity", "--operator", "acme", "--who", "tom", "--json").rows == [rows[0]]
    assert house.good("activity", "--operator", "acme", "--mail", 7, "--json").rows == [rows[0]]
    everybody = house.good("activity", "--all-operators", "--json").rows
    assert [one["who"] for one in everybody] == ["tom", "", "ivan", "irina"]
    shown = house.good("activity", "--all-operators", "--limit", 3).out
    assert "acme/tom" in shown
    assert "customer C-1" in shown
    assert "irina" not in shown
    assert house.run("activity").code == 2
