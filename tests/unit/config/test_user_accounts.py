"""Mailboxes that users added: what they may be, what runs of them, and who opens their passwords."""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, Folders, HostAddress, SealedSecret, Secret, Server, TransientError, UserAccount, config
from gatewayd.config.user_accounts import KeptPassword, account_of, is_of_user, with_user_accounts
from gatewayd.config.user_passwords import UserPasswords
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW = UserAccount(
    mark="m",
    kind="imap",
    host="imap.example.com",
    port=993,
    security="tls",
    address="irina@example.com",
    username="irina",
    password=SealedSecret("k", b"sealed"),
    name="acme/irina/1",
    operator="acme",
    user="irina",
)
PRIVATE, PUBLIC = HostAddress(2, ("10.0.0.1", 993)), HostAddress(2, ("8.8.8.8", 993))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    folder = tmp_path_factory.mktemp("config")
    for name in ("accounts", "operators"):
        (folder / name).mkdir()
    (folder / "operators/acme.yaml").write_text("users: {irina: {name: Irina, email: irina@acme.example}}\n")
    (folder / "operators/broken.yaml").write_text("nonsense: 1\n")
    (folder / "gatewayd.yaml").write_text("state: state\n")
    (folder / "state").mkdir()
    return config.load(folder)


def hosts(loaded: config.Config, *allowed: str, enabled: bool = True) -> config.Config:
    return replace(loaded, accounts_of_users=loaded.accounts_of_users.model_copy(update={"hosts": allowed, "enabled": enabled}))


def running(loaded: config.Config, *rows: UserAccount) -> config.Config:
    return with_user_accounts(loaded, rows, lambda row: f"password of {row.name}")


def server(found: config.Config, name: str = ROW.name) -> Server:
    options = found.accounts[name].options
    assert isinstance(options, Server)
    return options


def test_a_mailbox_of_a_user_is_chosen_from_by_one_connection_over_verified_tls(loaded: config.Config) -> None:
    found = running(loaded, ROW)
    account = found.accounts[ROW.name]
    assert (account.operators, account.user, account.connections, account.second, account.sends) == (
        ("acme",),
        "irina",
        1,
        True,
        None,
    )
    assert account.imports
    assert (account.imports.take, account.imports.folders, account.imports.after) == ("chosen", ("INBOX",), None)
    options = server(found)
    assert (options.security, options.insecure, options.ca_file) == ("tls", False, None)
    assert account.options.password.reveal() == "password of acme/irina/1"  # type: ignore[attr-defined]
    assert found.faults == loaded.faults


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"port": 25}, "no mailbox may be at port 25"),
        ({"port": 65536}, "port"),
        ({"port": 0}, "port"),
        ({"security": "none"}, "with TLS"),
        ({"kind": "office365"}, "imap or pop3"),
        ({"kind": "smtp"}, "imap or pop3"),
        ({"host": "imap.example.com\r\nX: y"}, "can be printed"),
        ({"host": "user@imap.example.com"}, "expected a name such as"),
        ({"host": "2130706433"}, "expected a name such as"),
        ({"host": ""}, "1 to 320"),
        ({"username": "irina\nA1 LOGOUT"}, "can be printed"),
        ({"username": "x" * 400}, "1 to 320"),
        ({"address": "a\x1b[2J@b"}, "can be printed"),
        ({"name": "main"}, "a name that no file has"),
        ({"name": "../../etc/1"}, "a name that no file has"),
    ],
)
def test_P4_a_mailbox_that_can_not_be_is_its_own_fault_and_no_other_ones(
    loaded: config.Config, changed: dict[str, object], says: str
) -> None:
    other = replace(ROW, name="acme/irina/2")
    found = running(loaded, replace(ROW, **changed), other)  # type: ignore[arg-type]
    assert list(found.accounts) == [other.name]
    (fault,) = set(found.faults) - set(loaded.faults)
    assert account_of(fault.file) == changed.get("name", ROW.name)
    assert says in fault.what


def test_P6_nobody_elses_and_nobodys_mailbox_runs(loaded: config.Config) -> None:
    gone = [replace(ROW, user="tom"), replace(ROW, operator="globetrot")]
    assert running(loaded, *gone) == loaded
    # Of a faulty file the users are not known: nobody has left by that.
    assert list(running(loaded, replace(ROW, operator="broken", user="tom")).accounts) == [ROW.name]
    assert running(hosts(loaded, enabled=False), ROW).accounts == {}


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_P8_a_mailbox_of_a_user_lists_no_more_than_the_config_says(loaded: config.Config, kind: str) -> None:
    row = replace(ROW, kind=kind, port=993 if kind == "imap" else 995)
    for most in (loaded.accounts_of_users.max_messages, 7):
        rules = loaded.accounts_of_users.model_copy(update={"max_messages": most, "day_messages": most})
        account = running(replace(loaded, accounts_of_users=rules), row).accounts[row.name]
        assert (getattr(account.options, "max_messages", None), account.day_messages) == (most, most)


def test_without_named_hosts_only_public_addresses_are_connected_to(loaded: config.Config) -> None:
    assert server(running(loaded, ROW)).permitted([PRIVATE, PUBLIC]) == [PUBLIC]
    with pytest.raises(AuthError, match="no public address"):
        server(running(loaded, ROW)).permitted([PRIVATE])


@pytest.mark.parametrize(
    ("allowed", "host", "port", "may"),
    [
        ("imap.example.com", "imap.example.com", 993, True),
        ("imap.example.com", "IMAP.example.com.", 143, True),
        ("imap.example.com", "imap.example.com", 1993, False),
        ("imap.example.com", "other.example.com", 993, False),
        ("imap.example.com", "imap.example.com.evil.example", 993, False),
        ("imap.example.com:1993", "imap.example.com", 1993, True),
        ("imap.example.com:1993", "imap.example.com", 993, False),
        ("xn--mller-kva.example", "müller.example", 993, True),
        ("127.0.0.1:1993", "127.0.0.1", 1993, True),
        ("127.0.0.1:1993", "localhost", 1993, False),
        ("[::1]:1993", "::1", 1993, True),
        ("[::1]", "0:0:0:0:0:0:0:1", 993, True),
    ],
)
def test_an_administrator_names_the_hosts_that_may_be_also_inside(
    loaded: config.Config, allowed: str, host: str, port: int, *, may: bool
) -> None:
    found = running(hosts(loaded, allowed), replace(ROW, host=host, port=port))
    assert bool(found.accounts) == may
    if may:
        assert server(found).permitted([PRIVATE, PUBLIC]) == [PRIVATE, PUBLIC]
    else:
        assert "no mailbox may be at" in found.faults[-1].what or "no mailbox may be at" in found.faults[0].what


@given(name=st.text(max_size=80), operator=st.text(max_size=80), host=st.text(max_size=80), username=st.text(max_size=80))
def test_P4_whatever_the_store_holds_nothing_is_raised(
    loaded: config.Config, name: str, operator: str, host: str, username: str
) -> None:
    found = running(loaded, replace(ROW, name=name), replace(ROW, host=host), replace(ROW, username=username))
    found = running(found, replace(ROW, operator=operator, name="acme/irina/2"))
    assert {one.operators for one in found.accounts.values()} <= {("acme",), ("broken",)}
    assert all(one.user == "irina" for one in found.accounts.values())


def test_no_file_has_the_name_of_a_users_mailbox() -> None:
    assert is_of_user("acme/irina/1")
    assert not is_of_user("acme.irina.1")
    assert account_of("accounts/sales.yaml") == "sales"
    assert [account_of(file) for file in ("accounts", "accounts/notes.txt", "operators/acme.yaml", "gatewayd.yaml")] == [""] * 4


# --- passwords --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(loaded: config.Config) -> Iterator[Sql]:
    made = Sql(SqlOptions(url=None), place=Folders(config=loaded.folder, state=loaded.state))
    made.open()
    yield made
    made.close()


def added(store: Sql, passwords: UserPasswords, password: str = "sesame ü") -> UserAccount:
    store.keep_users({"acme": ["irina"]})
    store.add_user_account(store.know_user("acme", "irina").id, replace(ROW, password=passwords.seal(ROW, password)))
    return store.user_accounts()[-1]


def test_P9_a_password_is_opened_for_its_own_mailbox_at_its_own_server_alone(loaded: config.Config, store: Sql) -> None:
    passwords = UserPasswords(loaded, store)
    account = added(store, passwords)
    assert passwords.opened(account) == "sesame ü"
    # A rename changes neither of these.
    assert passwords.opened(replace(account, name="x", operator="o", user="u", address="a")) == "sesame ü"
    evil = {"host": "evil.example", "port": 143, "security": "starttls", "username": "boss", "mark": "another", "kind": "pop3"}
    for field, value in evil.items():
        with pytest.raises(AuthError, match="can't be used") as caught:
            passwords.opened(replace(account, **{field: value}))  # type: ignore[arg-type]
        assert f"gatewayd account password {account.name}" in caught.value.advice
    store.remove_user_account(account.name)


def test_P9_who_is_not_the_services_user_or_has_no_lease_opens_no_password(loaded: config.Config, store: Sql) -> None:
    account = added(store, UserPasswords(loaded, store))

    def refuse(name: str) -> None:
        raise TransientError(f"{name} is somebody else's")

    with pytest.raises(TransientError, match="acme/irina/"):
        UserPasswords(loaded, store, refuse).opened(account)
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to give the state folder to")
    os.chown(loaded.state, 62846, 62846)
    try:
        for attempt in (lambda: UserPasswords(loaded, store).opened(account), UserPasswords(loaded, store).prove):
            with pytest.raises(AuthError, match="service's own user"):
                attempt()
    finally:
        os.chown(loaded.state, 0, 0)
        store.remove_user_account(account.name)


def test_a_password_gets_the_new_key_once_it_is_opened(loaded: config.Config, store: Sql, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("o" * 40)
    new.write_text("n" * 40)
    before = replace(loaded, sealing_key=Secret("file", str(old)))
    after = replace(loaded, sealing_key=Secret("file", str(new)), old_sealing_keys=(Secret("file", str(old)),))
    account = added(store, UserPasswords(before, store))
    assert UserPasswords(after, store).opened(account) == "sesame ü"
    (kept,) = store.user_accounts()
    assert kept.password.key_id != account.password.key_id
    assert UserPasswords(replace(after, old_sealing_keys=()), store).opened(kept) == "sesame ü"
    with pytest.raises(AuthError, match="can't be used"):
        UserPasswords(before, store).opened(kept)
    store.remove_user_account(account.name)


def test_P9_a_kept_password_shows_nothing_and_leaves_the_process_by_no_way(loaded: config.Config) -> None:
    found = running(loaded, ROW)
    secret = found.accounts[ROW.name].options.password  # type: ignore[attr-defined]
    assert isinstance(secret, KeptPassword)
    assert "password of" not in f"{secret} {secret!r} {found!r} {found.accounts[ROW.name].options}"
    for leaving in (secret, found.accounts[ROW.name]):
        with pytest.raises(TypeError, match="no other process"):
            pickle.dumps(leaving)
    with pytest.raises(TypeError, match="no other process"):
        copy.deepcopy(secret)
    # A new password is another account, which is started anew; the same one is the same.
    changed = replace(ROW, password=SealedSecret("k", b"other"))
    assert running(loaded, ROW).accounts == found.accounts
    assert running(loaded, changed).accounts != found.accounts


def test_an_account_is_shown_with_what_its_user_typed(loaded: config.Config) -> None:
    found = running(loaded, ROW)
    shown = {one.name: (one.value, one.where) for one in config.settings(found, found.accounts[ROW.name])}
    assert shown["user"] == ("acme/irina", "typed by the user")
    assert shown["host"] == ("imap.example.com", "typed by the user")
    assert shown["password"] == ("sealed in the store for acme/irina/1", "typed by the user")
    assert shown["import.take"] == ("chosen", "")
    assert shown["connections"] == ("1", "")
