"""The main job on real servers: nothing lost, nothing doubled, nothing changed on the server (P1, P2, P3, P5)."""

from __future__ import annotations

import hashlib
import poplib
import re
import socket
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.messages.malformed import malformed_messages
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 10_000

#: All that may be sent to a server whose mail is only read.
READING = {
    "imap": {
        b"CAPABILITY",
        b"LOGIN",
        b"AUTHENTICATE",
        b"EXAMINE",
        b"STATUS",
        b"LIST",
        b"UID",
        b"NOOP",
        b"LOGOUT",
        b"UNSELECT",
        b"ENABLE",
    },
    "pop3": {b"USER", b"PASS", b"CAPA", b"STAT", b"UIDL", b"LIST", b"TOP", b"RETR", b"NOOP", b"QUIT"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(pop3_no_flag_updates="yes") as dovecot:
        yield dovecot


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator(
        "acme",
        persons="id,name,email,temporary\nP1,Anna,anna@example.com,no\n",
        reservations="id,code,title\n" + "".join(f"R{n},B-{n},Trip {n}\n" for n in range(1, 1000)),
    )
    return house


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_P1_P3_ten_thousand_mails_are_filed_once_and_the_mailbox_is_untouched(kind: str, server: Dovecot, house: House) -> None:
    user = f"many-{kind}"
    server.user(user, "pass")
    server.deliver(user, booking_messages(MANY))
    before = (server.snapshot(user), uidls(server, user))
    sent = sorted(hashlib.sha256(raw).hexdigest() for raw in server.raw(user).values())
    with FaultProxy("127.0.0.1", server.ports[kind]) as proxy:
        proxy.record = True
        house.account("main", kind, proxy.port, user)
        (report,) = house.good("import", "main", "--json").rows
        commands = {
            line.split()[0 if kind == "pop3" else 1].upper() for line in proxy.sent_by_clients.splitlines() if line.split()[1:]
        }
        assert not re.search(rb"\b(STORE|EXPUNGE|DELE|SELECT|MOVE|COPY|APPEND)\b", proxy.sent_by_clients)
    assert commands <= READING[kind], "only what reads was sent"
    house.account("main", kind, server.ports[kind], user)
    assert (report["listed"], report["filed"], report["duplicate"], report["deferred"]) == (MANY, MANY, 0, 0)
    assert house.stored_digests() == sent

    (folder,) = house.good("audit", "main", "--json").rows
    assert folder["proven"]
    assert folder["states"] == {"filed": MANY}
    assert folder["on_server"] == MANY

    (again,) = house.good("import", "main", "--json").rows
    assert (again["listed"], again["filed"]) == (0, 0)
    (beginning,) = house.good("import", "main", "--from-beginning", "--json").rows
    assert (beginning["listed"], beginning["filed"], beginning["duplicate"]) == (0, 0, 0)

    rows = house.good("mail", "list", "--limit", str(MANY + 1), "--json").rows
    assert len({row["id"] for row in rows}) == len({row["message_id"] for row in rows}) == MANY
    assert sum(1 for row in rows if row["links"]) > MANY / 2
    assert (server.snapshot(user), uidls(server, user)) == before


def uidls(server: Dovecot, user: str) -> tuple[list[bytes], list[bytes]]:
    """UIDLs and sizes as POP3 lists them."""
    client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
    client.user(user)
    client.pass_("pass")
    listed = client.uidl()[1], client.list()[1]
    client.quit()
    return listed


def given_by_pop3(server: Dovecot, user: str) -> list[bytes]:
    """Every message as the POP3 server gives it, read by hand (RFC 1939 section 3)."""
    given = []
    with (
        socket.create_connection((server.host, server.ports["pop3"]), timeout=60) as connection,
        connection.makefile("rwb") as stream,
    ):

        def ask(line: str) -> bytes:
            stream.write(f"{line}\r\n".encode())
            stream.flush()
            return stream.readline()

        stream.readline()
        ask(f"USER {user}")
        ask("PASS pass")
        for number in range(1, int(ask("STAT").split()[1]) + 1):
            assert ask(f"RETR {number}").startswith(b"+OK")
            lines = [b"\r\n"]
            # A terminator behind a lone LF is none: the dot must stand behind CRLF, or be the first line.
            while not (lines[-1] == b".\r\n" and lines[-2].endswith(b"\r\n")):
                lines.append(stream.readline())
            text = b"".join(lines[1:-1])
            given.append(re.sub(rb"(\A|\r\n)\.\.", rb"\1.", text))
    return given


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_P5_malformed_messages_are_filed_with_the_bytes_of_the_server(kind: str, server: Dovecot, house: House) -> None:
    user = f"malformed-{kind}"
    server.user(user, "pass")
    malformed = [raw for _, raw in malformed_messages()]
    assert len(malformed) >= 300
    server.deliver(user, malformed)
    # Dovecot gives lone LFs as CRLF, so what counts is what the server gives; some of them then are the same message.
    given = server.raw(user).values() if kind == "imap" else given_by_pop3(server, user)
    on_server = {hashlib.sha256(raw).hexdigest() for raw in given}
    house.account("main", kind, server.ports[kind], user)
    (report,) = house.run("import", "main", "--json").rows
    assert report["error"] is None
    assert report["filed"] == len(on_server)
    assert report["filed"] + report["duplicate"] == len(malformed)
    assert house.stored_digests() == sorted(on_server)
    assert house.good("audit", "main", "--json").rows[0]["proven"]
    rows = house.good("mail", "list", "--limit", "1000", "--json").rows
    assert len(rows) == len(on_server)
    for row in rows[:: len(rows) // 8]:
        assert house.run("mail", "show", row["id"]).code == 0
