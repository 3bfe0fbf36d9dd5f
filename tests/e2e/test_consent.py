"""Persons consent on the command line: what is asked and refused there, and what daemons and checks say before and after."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House, until
from tests.e2e.terminal import Terminal
from tests.unit.sealing import paper_authority
from tests.unit.sealing.paper_authority import PaperConsent, PaperOptions

if TYPE_CHECKING:
    from pathlib import Path

REDIRECT = "http://localhost:53682"


@pytest.fixture
def house(tmp_path: Path) -> House:
    found = House(tmp_path)
    found.operator("acme")
    shutil.copy(paper_authority.__file__, found.folder / "plugins" / "paper.py")
    main = (found.folder / "gatewayd.yaml").read_text()
    found.write("gatewayd.yaml", f"{main}credentials:\n  people: {{kind: paper, folder: {tmp_path}/authority}}\n")
    for name in ("irina", "boss"):
        account(found, name)
    return found


def account(house: House, name: str, credential: str = "people") -> None:
    text = f"kind: papermail\noperators: [acme]\nusername: {name}@paper.example\ncredential: {credential}\nimport: {{}}\n"
    house.write(f"accounts/{name}.yaml", text)


@pytest.fixture
def authority(tmp_path: Path) -> PaperConsent:
    return PaperConsent(PaperOptions(folder=str(tmp_path / "authority")))


def error_of(house: House, name: str) -> str:
    """Return what an account says is wrong; empty before its first visit."""
    return str(house.status()[name]["error"] or "")


def asked(terminal: Terminal) -> dict[str, str]:
    """Return the parameters of the link that is shown."""
    terminal.wait_for("https://paper.example/?")
    return dict(re.findall(r"([a-z]+)=([^&\s]+)", terminal.wait_for("Paste it here: ")))


def connected(house: House, authority: PaperConsent, name: str, person: str = "") -> str:
    """Connect an account as its person does; return what was shown."""
    with Terminal(house, "account", "connect", name) as terminal:
        link = asked(terminal)
        assert link["user"] == f"{name}@paper.example"
        authority.consented("a-code", person or name, link["challenge"])
        terminal.type(f"{REDIRECT}/?code=a-code&state={link['state']}&session_state=1")
        code = terminal.ended()
        assert code == (1 if person else 0), terminal.shown
        return terminal.shown


def test_a_person_consents_and_the_account_gets_its_tokens_over_restarts(house: House, authority: PaperConsent) -> None:
    before = house.run("check", "--online")
    assert (
        "irina: irina@paper.example has not consented to our opening the mailbox. Run `gatewayd account connect irina`."
        in before.out
    )
    assert "boss: boss@paper.example has not consented" in before.out
    assert not [*house.state.glob("*.db"), *house.state.glob("*.key")], "a check makes neither store nor key"
    shown = connected(house, authority, "irina")
    assert "Account irina is connected: irina@paper.example has consented." in shown
    for _ in range(2):
        after = house.run("check", "--online")
        assert "irina: papermail was opened by access" in after.out
        assert "boss: boss@paper.example has not consented" in after.out


def test_what_is_pasted_wrongly_is_pasted_again_however_long_it_is(house: House, authority: PaperConsent) -> None:
    with Terminal(house, "account", "connect", "irina") as terminal:
        link = asked(terminal)
        terminal.type("irina@paper.example")
        terminal.wait_for("no address that begins with http://localhost:53682")
        terminal.wait_for("Paste it here: ")
        authority.consented("a-code", "irina", link["challenge"])
        terminal.type(f"{REDIRECT}/?more={'x' * 9000}&code=a-code&state={link['state']}")
        assert terminal.ended() == 0, terminal.shown


def test_another_persons_consent_and_another_links_address_are_refused(house: House, authority: PaperConsent) -> None:
    shown = connected(house, authority, "boss", person="irina")
    assert "irina@paper.example has consented, and the account's mailbox is boss@paper.example: nothing is kept" in shown
    with Terminal(house, "account", "connect", "boss") as terminal:
        link = asked(terminal)
        for _ in range(3):
            terminal.type(f"{REDIRECT}/?code=a-code&state=another")
            terminal.wait_for("this address belongs to another request")
        assert terminal.ended() == 1
    with Terminal(house, "account", "connect", "boss") as terminal:
        link = asked(terminal)
        # Somebody else began: the code is of another request, and its verifier is not ours.
        authority.consented("a-code", "boss", "another challenge")
        terminal.type(f"{REDIRECT}/?code=a-code&state={link['state']}")
        assert terminal.ended() == 1
        assert "the verifier does not fit" in terminal.shown
    with Terminal(house, "account", "connect", "boss") as terminal:
        link = asked(terminal)
        terminal.type(f"{REDIRECT}/?error=access_denied&error_description=Not+today&state={link['state']}")
        assert terminal.ended() == 1
        assert "boss@paper.example says access_denied Not today" in terminal.shown
    assert "boss@paper.example has not consented" in house.run("check", "--online").out


def test_a_daemon_says_who_has_to_consent_and_goes_on_at_once_when_they_have(house: House, authority: PaperConsent) -> None:
    with house.daemon():
        until("the account is paused", 20, lambda: house.status()["irina"]["condition"] == "paused")
        found = house.status()["irina"]
        assert found["error"].startswith("irina@paper.example has not consented to our opening the mailbox")
        assert found["advice"] == "Run `gatewayd account connect irina`."
        connected(house, authority, "irina")
        until("it has a token", 20, lambda: "papermail was opened by access" in error_of(house, "irina"))
        assert house.status()["boss"]["condition"] == "paused"
    authority.revoke()
    with house.daemon():
        until("the consent is seen to be revoked", 30, lambda: "has revoked" in error_of(house, "irina"))
        assert house.status()["irina"]["advice"] == "The person took it back. Run `gatewayd account connect irina`."


def test_P9_no_token_is_in_the_state_folder_the_log_or_what_is_said(house: House, authority: PaperConsent) -> None:
    shown = connected(house, authority, "irina")
    with house.daemon() as daemon:
        until("it has a token", 20, lambda: "papermail was opened by access" in error_of(house, "irina"))
        said = shown + daemon.log + house.run("status", "--json").out + house.run("check", "--online").out
    kept = b"".join(path.read_bytes() for path in house.state.rglob("*") if path.is_file())
    assert {token.partition("-")[0] for token in authority.given} == {"access", "refresh"}
    assert len(authority.given) > 4
    assert [token for token in authority.given if token in said or token.encode() in kept] == []


def test_a_key_that_is_lost_is_told_and_another_can_take_its_place(house: House, authority: PaperConsent) -> None:
    connected(house, authority, "irina")
    key = house.state / "sealing.key"
    raw = key.read_bytes()
    key.unlink()
    found = house.run("check", "--online")
    assert found.code == 78
    assert f"gatewayd.yaml: {key} is missing, and what the store keeps sealed, 1 in all" in found.out
    assert f"irina: {key} is missing" in found.out
    with Terminal(house, "account", "connect", "irina") as terminal:
        assert terminal.ended() == 1
        assert "is missing" in terminal.shown, "nobody is asked for what can't be kept"
    assert not key.exists()
    # The key moves to the config, and another one takes over from it.
    house.write("old-key", raw.decode())
    house.write("new-key", "n" * 40)
    main = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", f"{main}sealing_key: !file new-key\nold_sealing_keys: [!file old-key]\n")
    found = house.run("check", "--online")
    assert "old-key of `old_sealing_keys` still seals 1 consent" in found.err
    assert "irina: papermail was opened by access" in found.out
    assert "old-key" not in house.run("check").err
    house.write("gatewayd.yaml", f"{main}sealing_key: !file new-key\n")
    assert "irina: papermail was opened by access" in house.run("check", "--online").out


def test_a_device_code_is_only_for_credentials_that_allow_it(house: House, tmp_path: Path) -> None:
    done = house.run("account", "connect", "irina", "--device-code")
    assert (done.code, "the credential allows no device code" in done.err) == (1, True)
    account(house, "irina", f"{{kind: paper, folder: {tmp_path}/authority, device_code: true}}")
    done = house.good("account", "connect", "irina", "--device-code")
    assert "Open https://paper.example/device in a browser, type in the code AB-CD, and log in as irina@paper.example." in done.out
    assert "irina: papermail was opened by access" in house.run("check", "--online").out


def test_a_consent_is_forgotten(house: House, authority: PaperConsent) -> None:
    connected(house, authority, "irina")
    assert "The consent of irina@paper.example is forgotten." in house.good("account", "disconnect", "irina").err
    assert "There is no consent of irina@paper.example." in house.good("account", "disconnect", "irina").err
    assert "irina: irina@paper.example has not consented" in house.run("check", "--online").out


def test_an_account_that_needs_nobodys_consent_is_told_as_that(house: House) -> None:
    house.account("sales", "imap", 1, "sales@acme.example")
    for command in ("connect", "disconnect"):
        done = house.run("account", command, "sales")
        assert done.code == 1
        assert "account sales opens its mailbox without anybody's consent" in done.err


def test_an_old_key_that_is_gone_stops_nobody_and_one_of_no_account_is_told(house: House, authority: PaperConsent) -> None:
    house.write("old-key", "o" * 40)
    house.write("new-key", "n" * 40)
    main = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", f"{main}sealing_key: !file old-key\n")
    connected(house, authority, "boss")
    house.write("gatewayd.yaml", f"{main}sealing_key: !file new-key\nold_sealing_keys: [!file old-key]\n")
    connected(house, authority, "irina")
    (house.folder / "accounts" / "boss.yaml").unlink()
    said = house.run("check").err
    assert "old-key of `old_sealing_keys` still seals 1 consent; 1 of no account of this config" in said
    (house.folder / "old-key").unlink()
    account(house, "boss")
    found = house.run("check", "--online")
    assert "irina: papermail was opened by access" in found.out
    assert re.search("boss: the consent of boss@paper.example can't be used: .*; the secret .*old-key can't be read", found.out)
    assert "can't be looked at" not in found.err


def test_of_an_older_database_a_check_says_that_and_not_that_nobody_consented(house: House, authority: PaperConsent) -> None:
    connected(house, authority, "irina")
    with closing(sqlite3.connect(house.database)) as database, database:
        ((version,),) = database.execute("SELECT version_num FROM gatewayd_sql_version")
        database.execute("UPDATE gatewayd_sql_version SET version_num = '0001'")
    found = house.run("check", "--online")
    assert "irina: what persons consented to can't be read: the database is of an older version" in found.out
    assert "has not consented" not in found.out
    with closing(sqlite3.connect(house.database)) as database, database:
        database.execute("UPDATE gatewayd_sql_version SET version_num = ?", (version,))
    assert "irina: papermail was opened by access" in house.run("check", "--online").out


def test_a_device_code_outlives_an_authority_that_is_away_for_a_moment(house: House, authority: PaperConsent) -> None:
    main = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", main.replace("authority}", "authority, device_code: true}"))
    (authority.folder).mkdir(exist_ok=True)
    (authority.folder / "away").touch()
    with Terminal(house, "account", "connect", "irina", "--device-code") as terminal:
        terminal.wait_for("paper: the authority is away")
        (authority.folder / "away").unlink()
        assert terminal.ended() == 0, terminal.shown


def test_a_consent_of_an_account_that_is_gone_is_forgotten_with_it(house: House, authority: PaperConsent) -> None:
    for name in ("irina", "boss"):
        connected(house, authority, name)
    kept = "SELECT count(*) FROM secret"
    (house.folder / "accounts/irina.yaml").unlink()
    account(house, "other", "nobody")
    assert "consent" not in house.run("account", "forget", "irina", "--yes").err, "a faulty account may have it"
    assert house.read(kept) == [(2,)]
    (house.folder / "accounts/other.yaml").unlink()
    (row,) = house.good("account", "forget", "irina", "--yes", "--json").rows
    assert (row["consents"], house.read(kept)) == (1, [(1,)])
    assert "can't be used" not in house.run("check").err, "the other's is there still"
    assert house.run("account", "forget", "irina", "--yes").code == 1
    assert "boss@paper.example is forgotten" in house.good("account", "disconnect", "boss").err
