"""Accounts, operators and users get other names: what is kept is the old name's or the new one's, never both nor neither."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import ROOT, House, until
from tests.patience import LONG

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

OUT = """\
kind: smtp
operators: [acme, nord]
host: localhost
port: 1
security: none
insecure: true
send: {from: {address: acme@example.com}}
"""
MORE = """\
targets:
  duty: {kind: smtp, account: out, to: [duty@example.com]}  # at night
forward:
  - {when: {account: sales}, to: duty}
users:
  irina: {name: Irina, email: irina@example.com}
"""


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    return made(tmp_path, dovecot)


def made(tmp_path: Path, dovecot: Dovecot, *, store: str = "") -> House:
    """A house with a shared and a personal account, one that sends, and mail that waits to be forwarded."""
    house = House(tmp_path, store=store)
    for name in ("acme", "nord"):
        house.operator(name, persons="id,name,email\n", more=MORE)
    house.write("accounts/out.yaml", OUT)
    for name, owner in (("sales", "operators: [acme, nord]"), ("irina", "user: acme/irina")):
        dovecot.user(user_of(house, name), "pass")
        dovecot.deliver(user_of(house, name), booking_messages(3))
        house.account(name, "imap", dovecot.ports["imap"], user_of(house, name), more=f"{owner}\n", imports="  every: 1s\n")
    return house


def user_of(house: House, account: str) -> str:
    return f"{house.state.parent.name.lower()}-{account}@example.com"


def ids(house: House, *more: str) -> set[int]:
    return {row["id"] for row in house.good("mail", "list", "--json", *more).rows}


def test_P1_P7_accounts_that_import_and_send_are_renamed_with_what_names_them(house: House, dovecot: Dovecot) -> None:
    house.good("import", "sales")
    # Rules fire for what is new since then.
    dovecot.deliver(user_of(house, "sales"), booking_messages(1, seed=4))
    house.good("import", "sales")
    waiting = house.good("outbox", "list", "--operator", "acme", "--json").rows
    assert [one["account"] for one in waiting] == ["out"]
    (done,) = house.good("account", "rename", "sales", "orders", "--json").rows
    assert (done["kind"], done["old"], done["new"], done["mails"], len(done["files"])) == ("account", "sales", "orders", 4, 3)
    assert "Account out is account post now, with 0 mails." in house.good("account", "rename", "out", "post").out
    text = (house.folder / "operators/acme.yaml").read_text()
    assert "{kind: smtp, account: post, to: [duty@example.com]}  # at night" in text
    assert "{when: {account: orders}, to: duty}" in text
    house.good("check")
    after = house.good("outbox", "list", "--operator", "acme", "--json").rows
    assert [(one["id"], one["account"]) for one in after] == [(one["id"], "post") for one in waiting]
    # Nothing is filed again, and what is new is forwarded by the new names.
    dovecot.deliver(user_of(house, "sales"), booking_messages(1, seed=5))
    assert house.good("import", "orders", "--json").rows[0]["filed"] == 1
    assert house.filed().total() == 10
    assert len(house.good("outbox", "list", "--operator", "acme", "--json").rows) == 2
    assert house.good("audit", "orders")
    # To run it again does no harm.
    assert "Account sales is account orders now, with 5 mails." in house.good("account", "rename", "sales", "orders").out


def test_P6_a_renamed_operator_has_all_of_its_mail_and_nobody_else_any_of_it(house: House) -> None:
    house.good("import")
    general, personal = ids(house, "--operator", "acme"), ids(house, "--operator", "acme", "--user", "irina")
    assert (len(general), len(personal)) == (3, 6)
    (done,) = house.good("operator", "rename", "acme", "alpha", "--json").rows
    assert (done["filings"], len(done["files"])) == (6, 4)
    house.good("check")
    assert ids(house, "--operator", "alpha") == general
    assert ids(house, "--operator", "alpha", "--user", "irina") == personal
    assert house.run("mail", "list", "--operator", "acme").code == 1
    assert ids(house, "--operator", "nord") == general
    assert house.good("import", "--json").rows[0]["filed"] == 0
    for account in ("sales", "irina"):
        house.good("audit", account)
    assert "no longer in the config" not in house.run("status").out


def test_P6_a_renamed_user_has_the_personal_mail_and_the_old_name_sees_nothing(house: House) -> None:
    house.good("import")
    personal = ids(house, "--operator", "acme", "--user", "irina") - ids(house, "--operator", "acme")
    said = house.good("user", "rename", "acme/irina", "nina").out
    assert "User acme/irina is user acme/nina now, with 3 filings." in said
    assert ids(house, "--operator", "acme", "--user", "nina") - ids(house, "--operator", "acme") == personal
    assert house.run("mail", "list", "--operator", "acme", "--user", "irina").code == 1
    # Somebody new of that name begins with nothing.
    file = house.folder / "operators/acme.yaml"
    file.write_text(file.read_text() + "  irina: {name: Irina the second, email: irina2@example.com}\n")
    assert ids(house, "--operator", "acme", "--user", "irina") == ids(house, "--operator", "acme")
    house.good("audit", "irina")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("account", "sales", "irina"), "there is a file accounts/irina.yaml already"),
        (("account", "sales", "Sales"), "no account can be called 'Sales'"),
        (("account", "none", "nothing"), "there is no accounts/none.yaml"),
        (("account", "sales", "gone"), "account 'gone' has mail or a ledger of its own"),
        (("operator", "acme", "nord"), "there is a file operators/nord.yaml already"),
        (("user", "acme/bob", "rob"), "operators/acme.yaml has no user bob"),
    ],
)
def test_a_rename_that_can_not_be_meant_changes_nothing(house: House, arguments: tuple[str, ...], says: str) -> None:
    kind, old, new = arguments
    if new == "gone":
        house.good("import", "irina")
        (house.folder / "accounts/irina.yaml").rename(house.folder / "accounts/gone.yaml")
        house.good("account", "rename", "irina", "gone")
        (house.folder / "accounts/gone.yaml").unlink()
    before = {path: path.read_bytes() for path in house.folder.rglob("*.yaml")}
    done = house.run(kind, "rename", old, new)
    assert (done.code, says in done.err) == (1, True), done.err
    assert {path: path.read_bytes() for path in house.folder.rglob("*.yaml")} == before


# --- under a daemon ---------------------------------------------------------------------------------------------------


def test_P1_P7_a_daemon_goes_on_with_an_account_under_its_new_name(house: House, dovecot: Dovecot) -> None:
    with house.daemon() as daemon:
        until("it is filed", 20, lambda: house.filed().total() == 9)
        dovecot.deliver(user_of(house, "sales"), booking_messages(1, seed=4))
        until("it is forwarded", 20, lambda: house.read("SELECT 1 FROM delivery WHERE lane = 'account out'"))
        house.good("account", "rename", "sales", "orders")
        house.good("account", "rename", "out", "post")
        assert daemon.log.count("renamed kind=account") == 2
        dovecot.deliver(user_of(house, "sales"), booking_messages(2, seed=5))
        until("it goes on", 30, lambda: house.filed("orders").total() == 12)
        until("what is new goes through the new name", 20, lambda: len(lanes(house)) == 6)
        assert set(lanes(house)) == {"account post"}
        assert house.filed().total() == 15
        assert "lease" not in " ".join(line for line in daemon.log.splitlines() if " error " in line)
    house.good("audit", "orders")


def lanes(house: House) -> list[str]:
    return [lane for (lane,) in house.read("SELECT lane FROM delivery")]


def test_P6_a_daemon_files_for_an_operator_and_a_user_under_their_new_names(house: House, dovecot: Dovecot) -> None:
    with house.daemon():
        until("it is filed", 20, lambda: house.filed().total() == 9)
        house.good("operator", "rename", "acme", "alpha")
        house.good("user", "rename", "alpha/irina", "nina")
        for account in ("sales", "irina"):
            dovecot.deliver(user_of(house, account), booking_messages(1, seed=5))
        until("it goes on", 40, lambda: house.filed().total() == 12)
        owners = house.read("SELECT operator, owner, count(*) FROM filing GROUP BY operator, owner")
        assert sorted(owners, key=str) == [("alpha", "nina", 4), ("alpha", None, 4), ("nord", None, 4)]
    for account in ("sales", "irina"):
        house.good("audit", account)
    assert [(name, operator) for name, operator in house.read('SELECT name, operator FROM known_user WHERE NOT "left"')] == [
        ("nina", "alpha"),
        ("irina", "nord"),
    ]


def test_P10_a_rename_that_was_broken_off_is_told_and_finished_by_the_daemon_once_its_files_are_done(house: House) -> None:
    with house.daemon() as daemon:
        until("it is filed", 20, lambda: house.filed().total() == 9)
        # As the command does, until it is killed.
        assert killed(house, "rename", 1, "account", "rename", "sales", "orders")
        assert "Account sales is being renamed to orders since" in house.run("status").out
        assert (house.folder / "accounts/sales.yaml").exists()
        told = house.run("account", "rename", "irina", "nina")
        assert (told.code, "`gatewayd account rename sales orders`" in told.err) == (1, True)
        for file in ("acme", "nord"):
            path = house.folder / f"operators/{file}.yaml"
            path.write_text(path.read_text().replace("account: sales", "account: orders"))
        (house.folder / "accounts/sales.yaml").rename(house.folder / "accounts/orders.yaml")
        until("the daemon finishes it", 30, lambda: "renamed kind=account old=sales new=orders kept=3" in daemon.log)
        until("all is well", 30, lambda: house.run("status").code == 0)


def killed(house: House, kind: str, number: int, *arguments: str) -> bool:
    """Run a command that is killed at the n-th event of a kind; return whether it was."""
    program = str(ROOT / "tests/e2e/killed.py")
    command = [sys.executable, program, kind, str(number), "--config", str(house.folder), *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=LONG, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_root_renames_in_files_that_are_root_s_and_in_a_store_that_is_the_service_s(house: House) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    house.good("import", "sales")
    for path in (house.state, *house.state.rglob("*")):
        os.chown(path, 65534, 65534)
    operator = house.folder / "operators/acme.yaml"
    operator.chmod(0o640)
    os.chown(operator, 0, 65534)
    named = house.folder / "accounts/sales.yaml"
    named.write_text(named.read_text().replace("!file secret", "!file sales/secret"))
    done = house.good("account", "rename", "sales", "orders")
    assert "Account sales is account orders now, with 3 mails." in done.out
    assert "A secret keeps its name: !file" in done.err
    assert "A secret" not in house.good("account", "rename", "irina", "nina").err, "whose secret has another name"
    assert "account: orders" in operator.read_text()
    found = operator.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 65534, 0o640)
    assert {path.stat().st_uid for path in house.state.rglob("*")} == {65534}
    # What can't be done is told, and nothing has changed.
    told = house.run("account", "rename", "orders", "nina")
    assert (told.code, "there is a file accounts/nina.yaml already" in told.err) == (1, True)


def test_a_new_account_of_a_name_that_was_given_up_is_imported_without_any_daemon(house: House) -> None:
    house.good("import", "sales")
    text = (house.folder / "accounts/sales.yaml").read_text()
    house.good("account", "rename", "sales", "orders")
    (house.folder / "accounts/sales.yaml").write_text(text.replace(user_of(house, "sales"), user_of(house, "irina")))
    (house.folder / "accounts/irina.yaml").unlink()
    assert house.good("import", "sales", "--json").rows[0]["filed"] == 3
    assert house.filed("sales").total() == house.filed("orders").total() == 6
