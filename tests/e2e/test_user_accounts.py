"""Mailboxes that users add without an administrator: at the keyboard, on a real Dovecot with TLS, to the first mail that is chosen."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders, Lease, TransientError
from gatewayd.cli.app import App
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House, until
from tests.e2e.terminal import Terminal
from tests.e2e.test_account_add import answer
from tests.e2e.test_choosing import message
from tests.e2e.test_secrecy import SOMEBODY, found_in, shown_of, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.servers import Dovecot

USERS = "users:\n  irina: {name: Irina Mari, email: irina@acme.example}\n  tom: {name: Tom, email: tom@acme.example}\n"
OUT = """kind: smtp
operators: [acme]
host: localhost
username: desk
password: !file secret
send: {system: true, from: {address: desk@acme.example}}
"""
PASSWORD = "sesame-of-irina-that-nobody-finds"


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> House:
    # Users give no CA file: the server is one that everybody here trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca_file))
    house = House(tmp_path)
    house.operator("acme", more=USERS)
    return house


def allow(house: House, dovecot: Dovecot, *kinds: str) -> None:
    hosts = ", ".join(f'"localhost:{dovecot.ports[kind]}"' for kind in kinds)
    with (house.folder / "gatewayd.yaml").open("a") as file:
        file.write(f"accounts_of_users: {{hosts: [{hosts}]}}\n")


def mailbox(house: House, dovecot: Dovecot, name: str = "irina", number: int = 20) -> str:
    user = f"{house.state.parent.name}-{name}"
    dovecot.user(user, PASSWORD)
    dovecot.deliver(user, [message(one) for one in range(1, number + 1)])
    return user


def add(house: House, dovecot: Dovecot, user: str, kind: str = "imap", who: str = "acme/irina", *, security: str = "tls") -> str:
    """Add a mailbox at the keyboard; return all that the terminal showed."""
    port = dovecot.ports[f"{kind}s" if security == "tls" else kind]
    with Terminal(house, "account", "add", "--user", who) as terminal:
        answer(terminal, ("Mail address", "irina@localhost"), ("Kind", kind), ("Host", "localhost"), ("Security", security))
        answer(terminal, ("Port", str(port)), ("User name", user), ("Password", PASSWORD), ("once more", PASSWORD))
        terminal.wait_for("added", 60)
        assert terminal.ended() == 0
        return terminal.shown


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_user_adds_a_mailbox_sees_what_waits_there_chooses_and_has_it(house: House, dovecot: Dovecot, kind: str) -> None:
    allow(house, dovecot, f"{kind}s")
    user = mailbox(house, dovecot)
    before = dovecot.snapshot(user)
    assert PASSWORD not in add(house, dovecot, user, kind)
    name = "acme/irina/1"
    assert [row["account"] for row in house.good("account", "list", "--json").rows] == [name]
    tried = house.good("account", "test", name)
    assert (tried.out, tried.err) == (f"{name}: ok\n", ""), "no daemon has a word in it"
    assert PASSWORD not in house.good("account", "show", name).out
    assert house.good("check").err.startswith("1 account")
    assert house.good("check", "--only-files").err.startswith("0 accounts")
    rows = house.good("remote", name, "--user", "acme/irina", "--json").rows
    assert [row["subject"] for row in rows] == [f"booking {number}" for number in range(20, 0, -1)]
    wanted = [row["key"] for row in rows[:5]]
    results = house.good("import", name, "--user", "acme/irina", "--json", *(part for key in wanted for part in ("--key", key)))
    assert {row["result"] for row in results.rows} == {"here"}
    listed = house.good("mail", "list", "--user", "acme/irina", "--json").rows
    assert sorted(row["subject"] for row in listed) == sorted(f"booking {number}" for number in range(16, 21))
    assert {(row["account"], row["unread"], row["operator"]) for row in listed} == {(name, True, "acme")}
    # It is the user's own (P6).
    assert house.good("mail", "list", "--operator", "acme", "--json").rows == []
    assert house.good("mail", "list", "--user", "acme/tom", "--json").rows == []
    assert "has no mail of account" in house.run("remote", name, "--user", "acme/tom").err
    house.good("subscriptions", "agree", name, "tom", "--user", "acme/irina")
    assert len(house.good("mail", "list", "--user", "acme/tom", "--json").rows) == 5
    assert len(house.good("remote", name, "--user", "acme/tom", "--from-beginning", "--json").rows) == 20
    house.good("subscriptions", "end", name, "tom", "--user", "acme/irina")
    assert house.good("mail", "list", "--user", "acme/tom", "--json").rows == []
    # It is answered from the user's own address, through the operator's account.
    house.write("accounts/out.yaml", OUT)
    answered = ("mail", "reply", listed[0]["id"], "--text", house.folder / "secret", "--explain", "--json")
    (planned,) = house.good(*answered, "--user", "acme/irina").rows[0]["deliveries"]
    assert (planned["from"], planned["to"]) == ("Irina Mari <irina@acme.example>", ["anna@example.com"])
    assert house.run(*answered, "--operator", "acme").code == 1
    # Dovecot's POP3 marks what is fetched as seen.
    assert kind == "pop3" or dovecot.snapshot(user) == before


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_mailbox_that_speaks_tls_by_starttls_is_chosen_from_by_who_it_is_shared_with(
    house: House, dovecot: Dovecot, kind: str
) -> None:
    allow(house, dovecot, kind)
    assert PASSWORD not in add(house, dovecot, mailbox(house, dovecot), kind, security="starttls")
    name = "acme/irina/1"
    house.good("subscriptions", "ask", name, "--user", "acme/tom")
    assert house.run("remote", name, "--user", "acme/tom").code == 1
    house.good("subscriptions", "agree", name, "tom", "--user", "acme/irina")
    rows = house.good("remote", "--user", "acme/tom", "--json").rows
    assert {row["account"] for row in rows} == {name}
    house.good("import", name, "--user", "acme/tom", "--key", rows[0]["key"])
    for user in ("irina", "tom"):
        (listed,) = house.good("mail", "list", "--user", f"acme/{user}", "--json").rows
        assert (listed["subject"], listed["account"]) == ("booking 20", name)
    assert house.good("mail", "list", "--operator", "acme", "--json").rows == [], "it is Irina's, whoever chose it"


def test_a_daemon_takes_a_mailbox_up_changes_its_password_and_lets_go_of_it_without_a_restart(
    house: House, dovecot: Dovecot
) -> None:
    allow(house, dovecot, "imaps")
    user = mailbox(house, dovecot)
    name = "acme/irina/1"
    with house.daemon() as daemon:
        add(house, dovecot, user)
        until("it is looked at", 60, lambda: house.status().get(name, {}).get("checked_at"))
        assert len(house.good("remote", name, "--user", "acme/irina", "--json").rows) == 20
        assert house.good("account", "test", name).out == f"{name}: ok\n"
        key = house.good("remote", name, "--user", "acme/irina", "--json").rows[0]["key"]
        house.good("import", name, "--user", "acme/irina", "--key", key)
        dovecot.user(user, "another")
        with Terminal(house, "account", "password", name) as terminal:
            answer(terminal, ("Password", "another"), ("once more", "another"))
            terminal.wait_for("has the new password", 60)
            assert terminal.ended() == 0
        until("the daemon has it", 60, lambda: "account changed" in daemon.log)
        tried = house.good("account", "test", name)
        assert tried.out == f"{name}: ok\n", "by a new session"
        assert "Tried by the daemon, which alone opens the password" in tried.err
        house.good("account", "remove", name)
        until("it is let go of", 60, lambda: name not in house.status())
        assert house.good("account", "list", "--json").rows == []
    assert len(house.good("mail", "list", "--user", "acme/irina", "--json").rows) == 1, "its mail stays"
    assert house.read("SELECT count(*) FROM user_account") == [(0,)]
    add_again = house.run("account", "show", name)
    assert add_again.code == 1


def test_who_leaves_the_config_loses_mailbox_and_password_at_once_and_comes_back_with_none(house: House, dovecot: Dovecot) -> None:
    allow(house, dovecot, "imaps")
    user = mailbox(house, dovecot)
    name = "acme/irina/1"
    with house.daemon() as daemon:
        add(house, dovecot, user)
        until("it is looked at", 60, lambda: house.status().get(name, {}).get("checked_at"))
        house.good("import", name, "--user", "acme/irina", "--offered")
        mine = ("mail", "list", "--user", "acme/irina", "--json")
        assert len(house.good(*mine).rows) == 20
        # A faulty file lets nobody leave.
        house.write("operators/acme.yaml", (house.folder / "operators/acme.yaml").read_text().replace("users:", "usres:"))
        until("the fault is seen", 60, lambda: "faults=1" in daemon.log)
        assert house.read("SELECT count(*) FROM user_account") == [(1,)]
        house.operator("acme", more="users:\n  tom: {name: Tom, email: tom@acme.example}\n")
        until("the password is gone", 60, lambda: house.read("SELECT count(*) FROM user_account") == [(0,)])
        until("it is let go of", 60, lambda: name not in house.status())
        house.operator("acme", more=USERS)
        until("irina is back", 60, lambda: house.run("mail", "list", "--user", "acme/irina").code == 0)
        assert name not in house.status()
        until(
            "and known", 60, lambda: house.read("SELECT count(*) FROM known_user WHERE name = 'irina' AND NOT \"left\"") == [(1,)]
        )
        assert house.good(*mine).rows == [], "the old mail waits for an administrator's word"
        assert "acme/irina/2" in add(house, dovecot, user)
        house.good("user", "give-mail", "acme/irina")
        assert len(house.good(*mine).rows) == 20


def test_P10_a_faulty_gatewayd_yaml_is_told_still_when_a_user_changes_something(house: House, dovecot: Dovecot) -> None:
    allow(house, dovecot, "imaps")
    add(house, dovecot, mailbox(house, dovecot, number=1))
    text = (house.folder / "gatewayd.yaml").read_text()
    with (
        house.daemon() as daemon,
        closing(Sql(SqlOptions(url=None), place=Folders(config=house.folder, state=house.state))) as store,
    ):
        store.open()
        house.write("gatewayd.yaml", f"{text}nonsense: 1\n")
        until("it is refused", 60, lambda: "config refused" in daemon.log)
        until("it has the mailbox", 60, lambda: [one.accounts for one in store.daemons()] == [1])
        store.remove_user_account("acme/irina/1")
        until("it is let go of", 60, lambda: [one.accounts for one in store.daemons()] == [0])
        assert any("nonsense" in fault for one in store.daemons() for fault in one.config_faults)


def test_P6_a_mailbox_goes_along_when_its_user_and_operator_get_other_names(house: House, dovecot: Dovecot) -> None:
    allow(house, dovecot, "imaps")
    user = mailbox(house, dovecot, number=3)
    add(house, dovecot, user)
    name = "acme/irina/1"
    house.good("remote", name, "--user", "acme/irina")
    house.good("import", name, "--user", "acme/irina", "--offered")
    house.good("user", "rename", "acme/irina", "ira")
    house.good("operator", "rename", "acme", "nova")
    assert house.good("account", "list", "--json").rows[0]["serves"] == ["nova/ira"]
    assert house.good("account", "test", name).out == f"{name}: ok\n", "the password is for the same mailbox still"
    assert len(house.good("remote", name, "--user", "nova/ira", "--from-beginning", "--json").rows) == 3
    assert len(house.good("mail", "list", "--user", "nova/ira", "--json").rows) == 3
    for words in (("account", "rename", name, "irina"), ("account", "rename", "irina", "acme/irina/7")):
        assert "never changes" in house.run(*words).err
    assert "nova/ira/1" in add(house, dovecot, user, who="nova/ira")
    # Whoever is called so from now on has none of it.
    house.operator("acme", more=USERS)
    assert house.good("mail", "list", "--user", "acme/irina", "--json").rows == []
    assert "has no mail of account" in house.run("remote", name, "--user", "acme/irina").err


def test_P9_a_command_opens_a_password_only_while_it_works_on_the_account(house: House, dovecot: Dovecot) -> None:
    allow(house, dovecot, "imaps")
    add(house, dovecot, mailbox(house, dovecot, number=1))
    app = App(house.folder)
    try:
        (row,) = app.store.user_accounts()
        options = app.config.accounts[row.name].options
        with pytest.raises(TransientError, match="only opened by the process that works on it"):
            options.password.reveal()  # type: ignore[attr-defined]
        lease = app.store.take_lease(row.name, "another process", dead=lambda _: False)
        assert isinstance(lease, Lease)
        with pytest.raises(TransientError, match="only opened by the process that works on it"):
            options.password.reveal()  # type: ignore[attr-defined]
        app.store.release(lease)
        assert isinstance(app.store.take_lease(row.name, app.instance.name, dead=lambda _: False), Lease)
        assert options.password.reveal() == PASSWORD  # type: ignore[attr-defined]
    finally:
        app.close()


def test_an_administrator_stops_all_of_them_and_their_mail_stays(house: House, dovecot: Dovecot) -> None:
    allow(house, dovecot, "imaps")
    user = mailbox(house, dovecot)
    add(house, dovecot, user)
    name = "acme/irina/1"
    house.good("remote", name, "--user", "acme/irina")
    house.good("import", name, "--user", "acme/irina", "--offered")
    text = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", text.partition("accounts_of_users")[0] + "accounts_of_users: false\n")
    assert house.run("import", name).code == 1
    listed = house.good("account", "list", "--json")
    assert listed.rows == []
    assert "1 mailbox that users added: stopped" in listed.err
    assert len(house.good("mail", "list", "--user", "acme/irina", "--json").rows) == 20
    with Terminal(house, "account", "add", "--user", "acme/irina") as terminal:
        terminal.wait_for("users add no mailboxes of their own here")
        assert terminal.ended() == 1
    # An administrator's later allowlist is for those that are there, too.
    house.write("gatewayd.yaml", text.partition("accounts_of_users")[0] + "accounts_of_users: {hosts: [imap.example.com]}\n")
    refused = house.run("import", name)
    assert refused.code == 78
    assert "no mailbox may be at localhost" in refused.err
    assert f"account {name}: no mailbox may be at" in house.run("check").out
    house.write("gatewayd.yaml", text)
    assert house.good("account", "test", name).out == f"{name}: ok\n"
    # Another key opens nothing: it is this account's fault, with what to do.
    (house.state / "sealing.key").write_text("x" * 64)
    refused = house.run("import", name)
    assert refused.code == 1
    assert f"the password of {name} can't be used" in refused.err
    assert f"gatewayd account password {name}" in refused.err


@pytest.mark.parametrize(
    ("host", "port", "refusal"),
    [
        ("localhost", "993", "no public address"),
        ("127.0.0.1", "143", "no public address"),
        ("169.254.169.254", "995", "no public address"),
        ("::ffff:127.0.0.1", "993", "no public address"),
        ("imap.example.com", "25", "no mailbox may be at port 25"),
        ("imap.example.com", "80", "no mailbox may be at port 80"),
        ("imap.example.com/x", "993", "expected a name such as"),
        ("2130706433", "993", "expected a name such as"),
    ],
)
def test_no_password_goes_into_our_own_network_or_to_another_port(house: House, host: str, port: str, refusal: str) -> None:
    with Terminal(house, "account", "add", "--user", "acme/irina") as terminal:
        answer(terminal, ("Mail address", "irina@localhost"), ("Kind", "imap"), ("Host", host), ("Security", "tls"), ("Port", port))
        if host != "localhost":
            answer(terminal, ("is not of localhost", "y"))
        answer(terminal, ("User name", "irina"))
        if refusal.startswith("no public"):
            answer(terminal, ("Password", PASSWORD), ("once more", PASSWORD))
            terminal.wait_for(refusal, 60)
            answer(terminal, ("Try again?", "n"))
            terminal.wait_for("nothing was kept")
            assert terminal.ended() == 1
        else:
            terminal.wait_for(refusal)
            terminal.wait_for("Kind")
    assert house.read("SELECT count(*) FROM user_account") == [(0,)]


def memory(pid: int) -> bytes:
    """Return what a process may write to in its memory, as root sees it."""
    found = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as mem:
        for line in maps:
            place, rights = line.split()[:2]
            if rights.startswith("rw"):
                begin, end = (int(number, 16) for number in place.split("-"))
                mem.seek(begin)
                with suppress(OSError):
                    found.append(mem.read(end - begin))
    return b"".join(found)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can walk into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_P9_a_password_that_a_user_typed_is_opened_by_the_services_user_alone_and_is_found_nowhere(
    open_folder: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: nobody else sees the memory of a process that can't be dumped")
    monkeypatch.setenv("SSL_CERT_FILE", str(shutil.copy(dovecot.ca_file, open_folder / "ca.pem")))
    house = House(open_folder)
    house.operator("acme", more=USERS)
    allow(house, dovecot, "imaps")
    house.state.mkdir(mode=0o700)
    os.chown(house.state, SOMEBODY, SOMEBODY)
    user = mailbox(house, dovecot)
    name, secret = "acme/irina/1", PASSWORD.encode()
    seen: list[bytes] = []
    with house.daemon("-m", "gatewayd") as daemon:
        with Terminal(house, "account", "add", "--user", "acme/irina") as terminal:
            answer(terminal, ("Mail address", "irina@localhost"), ("Kind", "imap"), ("Host", "localhost"), ("Security", "tls"))
            answer(terminal, ("Port", str(dovecot.ports["imaps"])), ("User name", user), ("Password", PASSWORD))
            terminal.wait_for("once more")
            assert secret in memory(terminal.pid), "what is looked for is found where it is"
            assert Path(f"/proc/{terminal.pid}").stat().st_uid in {0, SOMEBODY}
            assert re.search(rf"^Uid:\s+{SOMEBODY}\s", Path(f"/proc/{terminal.pid}/status").read_text(), re.MULTILINE)
            seen.append(shown_of([terminal.pid]))
            terminal.type(PASSWORD)
            terminal.wait_for("added", 60)
            assert terminal.ended() == 0
            seen.append(terminal.shown.encode())
        until("it is looked at", 60, lambda: house.status().get(name, {}).get("checked_at"))
        house.good("import", name, "--user", "acme/irina", "--offered")
        pids = tree(daemon.process.pid)
        workers = [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == "gatewayd.worker"]
        assert workers
        for pid in pids:
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.search(rf"^Uid:\s+{SOMEBODY}\s", status, re.MULTILINE), status
            assert pid == daemon.process.pid or secret not in memory(pid), "the daemon opens it, and nobody else"
        seen.append(shown_of(pids))
        for words in (["status"], ["account", "list"], ["account", "show", name], ["check", "--online"], ["account", "test", name]):
            done = house.run(*words)
            seen.append(f"{done.out}{done.err}".encode())
        seen.append(daemon.log.encode())
    kept = [path.read_bytes() for path in house.state.rglob("*") if path.is_file()]
    assert any(user.encode() in data for data in kept), "the mailbox is kept there"
    assert not any(found_in(data, [PASSWORD]) for data in (*seen, *kept))


def test_P6_a_user_who_is_renamed_keeps_the_mailbox_and_whom_it_is_shared_with(house: House, dovecot: Dovecot) -> None:
    allow(house, dovecot, "imaps")
    user, name = mailbox(house, dovecot), "acme/irina/1"
    add(house, dovecot, user)
    house.good("subscriptions", "agree", name, "tom", "--user", "acme/irina")
    house.good("remote", name, "--user", "acme/irina")
    house.good("import", name, "--user", "acme/irina", "--offered")
    assert len(house.good("mail", "list", "--user", "acme/irina", "--json").rows) == 20
    house.good("user", "rename", "acme/irina", "nina")
    for who in ("nina", "tom"):
        assert len(house.good("mail", "list", "--user", f"acme/{who}", "--json").rows) == 20
    # The password is opened as before, and what is new is the new name's.
    dovecot.deliver(user, [message(21)])
    house.good("remote", name, "--user", "acme/nina")
    house.good("import", name, "--user", "acme/nina", "--offered")
    assert len(house.good("mail", "list", "--user", "acme/nina", "--json").rows) == 21
    # Somebody new of the old name has nothing, and gets a mailbox of another name.
    file = house.folder / "operators/acme.yaml"
    file.write_text(file.read_text() + "  irina: {name: Irina Two, email: irina2@acme.example}\n")
    assert house.good("mail", "list", "--user", "acme/irina", "--json").rows == []
    add(house, dovecot, mailbox(house, dovecot, "second"))
    assert {row["account"] for row in house.good("account", "list", "--json").rows} == {name, "acme/irina/2"}
