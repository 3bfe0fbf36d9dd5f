"""Access tokens in the daemon and on the command line: a token that ends costs no mail, and nobody shows one."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.contracts.transport import message
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A credential as another distribution may have it: tokens come from files, and each that is asked for is counted.
PLUGIN = """
from gatewayd import AuthError, ConfigPath, Credential, Token, hookimpl

class Stamp(Credential):
    kind = "stamp"

    class Options(Credential.Options):
        folder: ConfigPath

    def obtain(self, user, resource):
        folder = self.options.folder
        with (folder / "asked").open("a") as asked:
            asked.write(f"{user}\\n")
        try:
            # It is due for renewal at once, so that each session has a new one.
            return Token((folder / user).read_text(), lasts=0.0)
        except FileNotFoundError:
            raise AuthError(f"the app's secret has expired", advice="Make a new one at App registrations.") from None

    def advice(self, protocol):
        return f"Let the app open this mailbox by {protocol}."

@hookimpl
def gatewayd_credentials():
    return [Stamp]
"""
USER = "sales@acme.example"


class Site:
    """A Dovecot that takes tokens, before it a proxy for IMAP, and a config whose credential has tokens for it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.sink = stack.enter_context(SmtpServer())
        self.dovecot = stack.enter_context(Dovecot(tokens=True, relay=self.sink.port, mailbox_idle_check_interval="1 secs"))
        self.proxy = stack.enter_context(FaultProxy("127.0.0.1", self.dovecot.ports["imap"]))
        self.proxy.record = True
        self.house = house = House(folder)
        house.operator("acme")
        house.write("plugins/stamp.py", PLUGIN)
        main = (house.folder / "gatewayd.yaml").read_text()
        house.write("gatewayd.yaml", f"{main}credentials:\n  app: {{kind: stamp, folder: tokens}}\n")
        self.tokens: list[str] = []

    def token(self, user: str, *, lasts: float = 3600.0) -> None:
        """Make a token for a user."""
        self.tokens.append(self.dovecot.token(user, lasts=lasts))
        self.house.write(f"tokens/{user}", self.tokens[-1])

    def account(self, name: str, kind: str, port: int, user: str, more: str) -> None:
        fields = f"host: localhost\nport: {port}\nsecurity: none\ninsecure: true\nusername: {user}\ncredential: app\ntimeout: 60s\n"
        self.house.write(f"accounts/{name}.yaml", f"kind: {kind}\noperators: [acme]\n{fields}{more}")

    @property
    def asked(self) -> list[str]:
        """For whom tokens were asked for."""
        return (self.house.folder / "tokens/asked").read_text().split()

    @property
    def log_ins(self) -> int:
        """How often somebody has logged in by IMAP."""
        return len(re.findall(rb"(?i)\bAUTHENTICATE\b", self.proxy.sent_by_clients))

    def watched(self) -> bool:
        return self.house.status().get("sales", {}).get("condition") == "watching"

    def filed(self, count: int) -> bool:
        return sum(self.house.filed().values()) == count

    def expect_no_token_in(self, *texts: str) -> None:
        """No part of a token, as it is or in the messages of SASL, is in these texts or in the state folder."""
        stored = [path.read_bytes().decode("latin-1") for path in self.house.state.rglob("*") if path.is_file()]
        for token in self.tokens:
            encoded = [b64encode(b" " * shift + token.encode()).decode()[4:-4] for shift in range(3)]
            for form in (token, *encoded):
                pieces = [form[at : at + 60] for at in range(0, len(form) - 60, 60)]
                assert not [text for text in (*texts, *stored) if any(piece in text for piece in pieces)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def test_P1_a_token_that_ends_within_IDLE_costs_no_mail_one_token_and_one_connection(site: Site) -> None:
    site.token(USER)
    site.account("sales", "imap", site.proxy.port, USER, "import:\n  folders: [INBOX]\n")
    site.dovecot.deliver(USER, [message(number) for number in range(3)])
    with site.house.daemon() as daemon:
        until("three are filed", 30, lambda: site.filed(3) and site.watched())
        assert (site.asked, site.log_ins) == ([USER], 1)
        site.token(USER)
        site.dovecot.kick(USER)
        site.dovecot.deliver(USER, [message(number) for number in range(3, 5)])
        until("all are filed", 60, lambda: site.filed(5) and site.watched())
        status = site.house.run("status", "--json").out
        log = daemon.log
    assert "watch lost" in log
    assert (site.asked, site.log_ins) == ([USER] * 2, 2)
    assert set(site.house.filed().values()) == {1}
    site.expect_no_token_in(log, daemon.log, status)


def test_check_online_walks_token_and_log_in(site: Site) -> None:
    for user in ("imap@acme.example", "pop@acme.example", "out@acme.example"):
        site.token(user)
    site.token("old@acme.example", lasts=-60)
    inbox = "import:\n  folders: [INBOX]\n"
    site.account("imap", "imap", site.proxy.port, "imap@acme.example", inbox)
    site.account("pop", "pop3", site.dovecot.ports["pop3"], "pop@acme.example", inbox)
    send = "send:\n  from: {name: Acme, address: out@acme.example}\n"
    site.account("out", "smtp", site.dovecot.ports["submission"], "out@acme.example", send)
    site.account("late", "imap", site.proxy.port, "old@acme.example", inbox)
    site.account("lost", "imap", site.proxy.port, "lost@acme.example", inbox)
    done = site.house.run("check", "--online")
    said = dict(line.split(": ", 1) for line in done.out.splitlines())
    assert done.code == 1, done
    assert {name: said[name] for name in ("imap", "pop", "out")} == dict.fromkeys(("imap", "pop", "out"), "ok")
    assert "log-in as 'old@acme.example' with an access token was refused" in said["late"]
    assert said["late"].endswith("Let the app open this mailbox by IMAP.")
    assert said["lost"] == "the app's secret has expired. Make a new one at App registrations."
    site.expect_no_token_in(done.out, done.err, json.dumps(site.house.status()))
