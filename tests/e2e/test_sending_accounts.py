"""Accounts that only send: proven by ``check --online``, and left alone by all that looks after incoming mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OUT = """\
kind: smtp
operators: [acme]
host: localhost
port: %d
security: starttls
ca_file: %s
timeout: 20s
username: %s
password: !file secret
send:
  system: true
  from: {name: Acme Tours, address: out@acme.example}
"""
_CRASHING = """
from gatewayd import Forwarder, hookimpl

class Broken(Forwarder):
    kind = "broken"
    sends_mail = True

    def open(self):
        raise KeyError("hunter2")

@hookimpl
def gatewayd_forwarders():
    return [Broken]
"""


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer("starttls", users={"anna": "pass"}) as server:
        yield server


@pytest.fixture
def house(tmp_path: Path, server: SmtpServer) -> House:
    house = House(tmp_path)
    house.operator(
        "acme", more="targets: {duty: {kind: smtp, account: out, to: [duty@example.com]}}\nforward: [{when: {}, to: duty}]\n"
    )
    house.write("accounts/out.yaml", _OUT % (server.port, server.ca_file, "anna"))
    return house


def test_a_log_in_is_proven_and_nothing_is_sent(house: House, server: SmtpServer) -> None:
    checked = house.good("check", "--online")
    assert checked.out == "out: ok\n"
    assert "1 account, 1 operator, 0 faults. Nothing failed online." in checked.err
    assert server.connections == 1
    assert not [line for line in server.commands if line.upper().startswith(("MAIL", "RCPT", "DATA"))]


def test_P10_what_is_wrong_with_each_account_is_told_with_what_to_do(house: House, server: SmtpServer) -> None:
    house.write("accounts/later.yaml", _OUT.replace("system: true", "system: false") % (server.port, server.ca_file, "bert"))
    house.write("plugins/broken.py", _CRASHING)
    house.write("accounts/broken.yaml", "kind: broken\noperators: [acme]\nsend: {from: {address: a@acme.example}}\n")
    checked = house.run("check", "--online")
    assert checked.code == 1
    lines = dict(line.split(": ", 1) for line in checked.out.splitlines())
    assert lines["out"] == "ok"
    assert "535" in lines["later"]
    assert "the forwarder of account broken failed: KeyError" in lines["broken"]
    assert "pass" not in lines["later"].replace("password", "")
    assert "2 failed online: broken, later." in checked.err


@pytest.mark.parametrize("command", [("import", "out"), ("import", "--dry-run", "out"), ("audit", "out")])
def test_no_mail_is_looked_for_in_an_account_that_only_sends(house: House, command: tuple[str, ...]) -> None:
    done = house.run(*command)
    assert done.code == 1
    assert "only sends" in done.err or "has no import block" in done.err
    assert "Traceback" not in done.err


def test_an_import_of_all_accounts_passes_it_over(house: House) -> None:
    done = house.run("import")
    assert done.code == 1
    assert "no account imports anything" in done.err


def test_a_second_system_account_is_told_and_both_go_on(house: House, server: SmtpServer) -> None:
    house.write("accounts/zweitens.yaml", _OUT % (server.port, server.ca_file, "anna"))
    checked = house.run("check", "--online")
    assert checked.code == 78
    assert (
        "accounts/zweitens.yaml:11:11: send.system: operator 'acme' has a system account already, in accounts/out.yaml:11"
        in checked.out
    )
    assert "zweitens: ok" in checked.out


def test_a_signing_key_that_is_too_short_is_told(house: House) -> None:
    text = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", f"{text}signing_key: !file secret\n")
    checked = house.run("check")
    assert checked.code == 78
    assert "gatewayd.yaml:3:14: " in checked.out
    assert "expected a key of at least 32" in checked.out
