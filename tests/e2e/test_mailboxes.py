"""One mailbox, one account: a second one waits for a word, and a renamed one keeps what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers.proxy import FaultProxy
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


def user_of(house: House) -> str:
    """A mailbox of the test's own at the server that all tests share."""
    return f"{house.state.parent.name.lower()}@example.com"


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.operator("acme", persons="id,name,email\n")
    return made


def account(house: House, dovecot: Dovecot, name: str, user: str = "", *, more: str = "", host: str = "localhost") -> None:
    user = user or user_of(house)
    dovecot.user(user, "pass")
    house.account(name, "imap", dovecot.ports["imap"], user, more=f"operators: [acme]\n{more}", imports="  every: 1s\n", host=host)


#: What an administrator does to an account's file, or beside it; and how the account is called then.
MISTAKES: dict[str, Callable[[House, Dovecot], object]] = {
    "renamed": lambda house, _: (house.folder / "accounts/sales.yaml").rename(house.folder / "accounts/b.yaml"),
    "copied": lambda house, _: house.write("accounts/b.yaml", (house.folder / "accounts/sales.yaml").read_text()),
    "copied, and comes first": lambda house, _: house.write("accounts/a.yaml", (house.folder / "accounts/sales.yaml").read_text()),
    "user name pasted in": lambda house, dovecot: account(house, dovecot, "b"),
    "upper case": lambda house, dovecot: account(house, dovecot, "b", user_of(house).upper()),
    "host by its address": lambda house, dovecot: account(house, dovecot, "b", host="127.0.0.1"),
}


@pytest.mark.parametrize(("how", "by"), [*((how, "command") for how in MISTAKES), ("renamed", "daemon"), ("copied", "daemon")])
def test_P1_a_mailbox_is_not_imported_once_more_without_a_word(house: House, dovecot: Dovecot, how: str, by: str) -> None:
    user = user_of(house)
    dovecot.user(user, "pass")
    dovecot.deliver(user, booking_messages(3))
    account(house, dovecot, "sales")
    account(house, dovecot, "b", f"b-{user}")
    house.good("import")
    if how != "user name pasted in":
        (house.folder / "accounts/b.yaml").unlink()
    filed = house.filed()
    MISTAKES[how](house, dovecot)
    name = "a" if how.endswith("first") else "b"
    # Before the first visit.
    checked = house.run("check")
    assert checked.code == 78
    assert (
        f"accounts/{name}.yaml: its mailbox, {user} at localhost port {dovecot.ports['imap']}, was imported by account sales"
        in (checked.out)
    )
    assert "`second: true`" in checked.out
    assert house.run("status").code == 1
    assert house.status()[name]["condition"] == "paused"
    assert "was imported by account sales" in house.status()[name]["error"]
    if by == "command":
        done = house.run("import", name)
        assert done.code == 1
        assert "was imported by account sales" in done.err
    else:
        with house.daemon() as daemon:
            until("the log says so", 20, lambda: f"account paused account={name}" in daemon.log)
            assert "was imported by account sales" in daemon.log
            dovecot.deliver(user, booking_messages(2, seed=7))
            if how != "renamed":
                until("the first one goes on", 20, lambda: house.filed().total() == filed.total() + 2)
                filed = house.filed()
    assert house.filed() == filed


def test_a_second_account_is_given_the_word(house: House, dovecot: Dovecot) -> None:
    user = user_of(house)
    dovecot.user(user, "pass")
    dovecot.deliver(user, booking_messages(3))
    account(house, dovecot, "sales")
    account(house, dovecot, "other", more="second: true\n")
    house.good("check")
    with house.daemon():
        until("both have it", 20, lambda: house.filed("sales").total() == house.filed("other").total() == 3)
        until("all is well", 20, lambda: house.run("status").code == 0)


def test_of_two_new_accounts_on_one_mailbox_one_waits(house: House, dovecot: Dovecot) -> None:
    user = user_of(house)
    dovecot.user(user, "pass")
    dovecot.deliver(user, booking_messages(3))
    for name in ("one", "two"):
        account(house, dovecot, name)
    checked = house.run("check")
    assert checked.code == 78
    assert "accounts/two.yaml:6:11: accounts 'one' and 'two' have one mailbox" in checked.out
    with house.daemon() as daemon:
        until("one waits", 20, lambda: "account paused" in daemon.log)
        until("one has it", 20, lambda: house.filed().total() == 3)
    assert house.run("import").code == 78
    assert house.filed().total() == 3


def test_P1_an_account_whose_file_was_renamed_keeps_what_it_has_and_goes_on_at_once(house: House, dovecot: Dovecot) -> None:
    user = user_of(house)
    dovecot.user(user, "pass")
    dovecot.deliver(user, booking_messages(3))
    account(house, dovecot, "sales")
    with house.daemon() as daemon:
        until("it is filed", 20, lambda: house.filed("sales").total() == 3)
        (house.folder / "accounts/sales.yaml").rename(house.folder / "accounts/orders.yaml")
        until("it waits", 20, lambda: "account paused account=orders" in daemon.log)
        done = house.good("account", "rename", "sales", "orders")
        assert "Account sales is account orders now, with 3 mails." in done.out
        dovecot.deliver(user, booking_messages(2, seed=7))
        until("it goes on", 20, lambda: house.filed("orders").total() == 5)
        assert house.filed().total() == 5
        until("all is well", 20, lambda: house.run("status").code == 0)
    assert house.good("audit", "orders")


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_P1_two_names_of_one_host_are_known_by_the_messages_that_are_there(house: House, dovecot: Dovecot, kind: str) -> None:
    user, other = user_of(house), f"{user_of(house).partition('@')[0]}@globetrot.example"
    for name, seed in ((user, 1), (other, 2)):
        dovecot.user(name, "pass")
        dovecot.deliver(name, booking_messages(5, seed=seed))
    house.account("sales", kind, dovecot.ports[kind], user)
    with FaultProxy("127.0.0.1", dovecot.ports[kind], address="127.0.0.1") as proxy:
        house.account("b", kind, proxy.port, user)
        assert house.run("check", "--online").code == 0, "nobody has imported it yet"
        assert house.good("import", "sales", "--json").rows[0]["filed"] == 5
        told = house.status()["sales"]
        assert told["checked_at"]
        assert told["mail_at"], "no daemon has it, and status knows all the same"
        # Another user of that name, at another domain, has a mailbox of its own.
        house.account("c", kind, dovecot.ports[kind], other)
        assert house.good("import", "c", "--json").rows[0]["filed"] == 5
        said = "was under another name, with the same messages in INBOX, imported by account sales"
        checked = house.run("check", "--online")
        assert (checked.code, said in checked.out) == (1, True), checked
        assert [line for line in checked.out.splitlines() if line.startswith(("sales: ", "c: "))] == ["c: ok", "sales: ok"]
        done = house.run("import", "b", "--json")
        assert done.code == 1
        assert said in done.rows[0]["error"]
        assert "`second: true`" in done.rows[0]["advice"]
        assert len(house.filed()) == 10
        assert house.good("import", "sales", "c", "--json").rows[0]["error"] is None
        house.write("accounts/b.yaml", f"second: true\n{(house.folder / 'accounts/b.yaml').read_text()}")
        assert house.good("import", "b", "--json").rows[0]["filed"] == 5
