"""The demo's servers of mailboxes, as standard clients see them."""

from __future__ import annotations

import base64
import imaplib
import json
import os
import poplib
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from gatewayd import TransientError
from gatewayd_demo.servers import ImapServer, Office365Server, Pop3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIL = b"Message-ID: <1@example.com>\r\nSubject: Booking 1\r\n\r\n.a dot\r\n..\r\nend\r\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("pass word\n")
    return path


@pytest.fixture
def pop3(tmp_path: Path, secret: Path) -> Iterator[Pop3Server]:
    with Pop3Server(tmp_path / "pop3.log", "irina", secret, folder=tmp_path / "mailbox") as server:
        yield server


def client(server: Pop3Server, password: str = "pass word") -> poplib.POP3:
    pop = poplib.POP3("127.0.0.1", server.port, timeout=30)
    try:
        pop.user(server.user)
        pop.pass_(password)
    except poplib.error_proto:
        pop.close()
        raise
    return pop


def test_imap_delivers_unseen_and_shows_what_was_delivered(tmp_path: Path, secret: Path) -> None:
    with ImapServer(tmp_path / "imap.log", "reservations", secret) as server:
        server.deliver(MAIL)
        server.deliver(MAIL.replace(b"1", b"2"))
        with imaplib.IMAP4("127.0.0.1", server.port, timeout=30) as imap:
            imap.login("reservations", "pass word")
            assert imap.select("INBOX", readonly=True) == ("OK", [b"2"])
            _, found = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
            assert imap.uid("SEARCH", "SEEN")[1] == [b""]
        assert [one[1] for one in found if isinstance(one, tuple)] == [MAIL, MAIL.replace(b"1", b"2")]
        with imaplib.IMAP4("127.0.0.1", server.port, timeout=30) as imap, pytest.raises(imaplib.IMAP4.error):
            imap.login("reservations", "wrong")


def test_pop3_serves_what_was_delivered(pop3: Pop3Server) -> None:
    empty = client(pop3)
    assert empty.stat() == (0, 0)
    empty.quit()
    pop3.deliver(MAIL)
    pop3.deliver(MAIL)
    pop = client(pop3)
    assert pop.stat() == (2, 2 * len(MAIL))
    assert pop.uidl()[1] == [b"1 000001", b"2 000002"]
    assert pop.uidl("2") == b"+OK 2 000002"
    assert pop.list()[1] == [b"1 %d" % len(MAIL), b"2 %d" % len(MAIL)]
    assert b"\r\n".join(pop.retr(1)[1]) + b"\r\n" == MAIL
    assert pop.top(1, 0)[1] == [b"Message-ID: <1@example.com>", b"Subject: Booking 1", b""]
    assert pop.top(1, 1)[1][-1] == b".a dot"
    assert "PIPELINING" in pop.capa()
    assert pop.noop() == b"+OK"
    pop.quit()


def test_pop3_deletes_at_quit_only(pop3: Pop3Server) -> None:
    for _ in range(3):
        pop3.deliver(MAIL)
    dropped = client(pop3)
    dropped.dele(1)
    with pytest.raises(poplib.error_proto, match="no such message"):
        dropped.retr(1)
    dropped.close()
    pop = client(pop3)
    pop.dele(1)
    pop.rset()
    pop.dele(2)
    assert pop.stat()[0] == 2
    pop.quit()
    pop = client(pop3)
    assert pop.uidl()[1] == [b"1 000001", b"2 000003"]
    pop.quit()


@pytest.mark.parametrize("command", ["STAT", "RETR 1", "NONSENSE", "DELE 99"])
def test_pop3_refuses_before_the_log_in(pop3: Pop3Server, command: str) -> None:
    pop = poplib.POP3("127.0.0.1", pop3.port, timeout=30)
    with pytest.raises(poplib.error_proto, match="-ERR"):
        pop._shortcmd(command)  # type: ignore[attr-defined]
    pop.quit()


def test_pop3_refuses_a_wrong_password_and_odd_arguments(pop3: Pop3Server) -> None:
    with pytest.raises(poplib.error_proto, match="AUTH"):
        client(pop3, "wrong")
    pop3.deliver(MAIL)
    pop = client(pop3)
    for command in ("RETR", "RETR ²", "RETR 2", "TOP 1", "TOP 1 x", "LIST 5"):
        with pytest.raises(poplib.error_proto, match="-ERR"):
            pop._shortcmd(command)  # type: ignore[attr-defined]
    pop.quit()


def test_office_365_shows_what_was_delivered_and_sends_through_its_own_host(tmp_path: Path, secret: Path) -> None:
    with Office365Server(tmp_path / "log", "sales@acme.example", secret, folder=tmp_path / "office365") as server:
        base = f"https://127.0.0.1:{server.port}"
        context = ssl.create_default_context(cafile=server.ca_file)

        def asked(where: str, data: bytes | None = None, **headers: str) -> Any:
            request = urllib.request.Request(
                f"{base}{where}", data, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            with urllib.request.urlopen(request, timeout=60, context=context) as response:
                return response.read()

        form = {
            "grant_type": "client_credentials",
            "client_id": server.client,
            "client_secret": "pass word",
            "scope": f"{base}/.default",
        }
        token = json.loads(asked("/acme.example/oauth2/v2.0/token", urlencode(form).encode()))["access_token"]
        mailbox, bearer = "/v1.0/users/sales@acme.example", f"Bearer {token}"
        assert json.loads(asked(f"{mailbox}/mailFolders/inbox/messages", Authorization=bearer))["value"] == []
        server.deliver(MAIL)
        server.deliver(MAIL.replace(b"1", b"2"))
        listed = json.loads(asked(f"{mailbox}/mailFolders/inbox/messages?$orderby=receivedDateTime", Authorization=bearer))["value"]
        assert sorted(one["subject"] for one in listed) == ["Booking 1", "Booking 2"]
        assert not any(one["isRead"] for one in listed)
        values = {asked(f"{mailbox}/messages/{one['id']}/$value", Authorization=bearer) for one in listed}
        assert values == {MAIL, MAIL.replace(b"1", b"2")}
        mime = base64.b64encode(b"From: sales@acme.example\r\nTo: a@x.example\r\nCc: b@x.example\r\n" + MAIL)
        for number in range(1, 3):
            asked(f"{mailbox}/sendMail", mime, Authorization=bearer, Content_Type="text/plain")
            # One for all of its recipients.
            assert len(server.taken()) == number
        assert all(one.endswith(MAIL) for one in server.taken())
    assert sorted(path.name for path in (tmp_path / "office365").iterdir()) == ["arriving", "ca.pem", "client", "sent"]


def test_a_server_that_can_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(TransientError, match="No such file"),
        Pop3Server(tmp_path / "log", "irina", tmp_path / "missing", folder=tmp_path / "mailbox"),
    ):
        pass


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_servers_end_with_whoever_started_them(tmp_path: Path, secret: Path, number: signal.Signals) -> None:
    program = (
        "import sys, time; from pathlib import Path; from gatewayd_demo.servers import *\n"
        "secret, log = map(Path, sys.argv[1:])\n"
        "folder = log.with_name('mailbox')\n"
        "mailboxes = Pop3Server(log, 'i', secret, folder=folder), Office365Server(log, 's@x.example', secret, folder=folder)\n"
        "with ImapServer(log, 'r', secret) as imap, mailboxes[0] as pop3, mailboxes[1] as office365:\n"
        "    print(*(one._process.pid for one in (imap, pop3, office365)), flush=True)\n"
        "    time.sleep(100)\n"
    )
    command = [sys.executable, "-c", program, str(secret), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(word) for word in parent.stdout.readline().split()]
        parent.send_signal(number)
    assert len(children) == 3
    assert all(gone(pid) for pid in children)
