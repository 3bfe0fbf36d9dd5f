"""Forwarded originals are at the receiver what they were, byte for byte (promise P5)."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.messages.malformed import malformed_messages
from gatewayd.testing.servers.smtp import SmtpServer
from gatewayd_smtp.client import stuffed
from tests.patience import LONG
from tests.plugins.smtp_site import courier, parcel
from tests.unit.outgoing.forwards import original

if TYPE_CHECKING:
    from collections.abc import Sequence

ORIGINALS = [raw for _, raw in malformed_messages()] + list(booking_messages(100))


@pytest.mark.parametrize("hidden", [[], ["8BITMIME"]], ids=["8bitmime", "7bit"])
def test_P5_attached_originals_are_identical_at_the_receiver(hidden: Sequence[str]) -> None:
    with SmtpServer(hidden=hidden) as server, courier(server) as opened:
        for receipt in opened.deliver([parcel(raw, number=number) for number, raw in enumerate(ORIGINALS)]):
            assert receipt.recipients[0].state == "delivered", receipt
        received = [original(message.data) for message in server.messages]
        assert [raw for _, raw in received] == ORIGINALS
        # Raw UTF-8 in a header goes as message/global where the server takes 8-bit, all that no server carries as base64.
        assert {kind for kind, _ in received} == {"message/rfc822", "application/octet-stream original.eml"} | (
            set() if hidden else {"message/global"}
        )
        assert all(not hidden or message.data.isascii() for message in server.messages)
        assert all(("BODY=8BITMIME" in message.options) == (not message.data.isascii()) for message in server.messages)


def without_return_path(raw: bytes) -> bytes:
    """Return the original as it is resent (RFC 5321 section 4.4), made in another way than the code does."""
    head, end, body = raw.partition(b"\r\n\r\n")
    kept = list[bytes]()
    for line in head.split(b"\r\n"):
        if line[:1] in b" \t" and kept and kept[-1] == b"":
            continue
        kept.append(b"" if line.lower().startswith(b"return-path:") else line)
    return b"\r\n".join(line for line in kept if line) + (end or b"\r\n") + body


def carries(raw: bytes) -> bool:
    """Whether SMTP can carry it as it is, said in another way than the code does."""
    lines = raw.split(b"\r\n")
    return lines[-1] == b"" and all(len(line) <= 998 and not set(line) & set(b"\r\n\0") for line in lines)


def test_P5_inline_originals_are_identical_at_the_receiver_or_refused() -> None:
    with SmtpServer() as server, courier(server) as opened:
        parcels = [parcel(raw, number=number, mode="inline") for number, raw in enumerate(ORIGINALS)]
        states = {receipt.id: receipt.recipients[0] for receipt in opened.deliver(parcels)}
        received = {message.data.split(b"\r\n")[3]: message.data for message in server.messages}
    sent = [one for one in parcels if states[one.id].state == "delivered"]
    for one in sent:
        data = received[b"Resent-Message-ID: " + one.message_id.encode()]
        ours, _, rest = data.partition(f"\r\n{one.hops[0]}\r\n".encode())
        assert ours.startswith(b"Resent-From: ")
        assert rest == without_return_path(ORIGINALS[one.id])
    assert 100 < len(sent) == len(received)
    for one in parcels:
        recipient = states[one.id]
        if not carries(ORIGINALS[one.id]):
            assert recipient.state == "refused"
            assert "can't be sent as it is" in recipient.words
        elif recipient.state == "refused":
            assert "does not begin with a header" in recipient.words


@given(st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"x", b"..", b"", b"\r\n.\r\n"]), max_size=25))
def test_P5_dots_are_doubled_wherever_the_pieces_begin(pieces: list[bytes]) -> None:
    whole = b"".join(pieces) + b"\r\n"
    wire = b"".join(stuffed([*pieces, b"\r\n"]))
    # What a receiver does (RFC 5321 section 4.5.2): the first dot of a line that has others goes, and a lone one is the end.
    lines = wire.split(b"\r\n")
    assert b"." not in lines
    assert b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines) == whole


class Sink(threading.Thread):
    """Takes one mail of any size and keeps nothing of it but its length."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.came = 0

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with self.listener, connection:
            connection.sendall(b"220 x\r\n")
            for answer in (b"250-x\r\n250 8BITMIME\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                connection.recv(1000)
                connection.sendall(answer)
            end = b""
            while end != b"\r\n.\r\n":
                piece = connection.recv(1 << 20)
                self.came += len(piece)
                end = (end + piece)[-5:]
            connection.sendall(b"250 ok\r\n")
            connection.recv(1000)
            connection.sendall(b"221 bye\r\n")


_CHILD = """
import re, sys
from dataclasses import dataclass
from pathlib import Path
from tests.plugins.smtp_site import courier, parcel

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

@dataclass
class Large:
    size: int
    line: bytes
    def read(self, offset, size):
        size = min(size, self.size - offset)
        start = offset % len(self.line)
        return (self.line * (size // len(self.line) + 2))[start : start + size]

class Server:
    host, port, security, ca_file = "127.0.0.1", int(sys.argv[1]), "none", None

with courier(Server()) as opened:
    before = peak()
    (receipt,) = opened.deliver([parcel(Large(200 << 20, b"." + b"x" * 75 + sys.argv[2].encode().decode("unicode_escape").encode("latin-1")))])
    print(receipt.recipients[0].state, peak() - before)
"""


@pytest.mark.parametrize(("end", "grown"), [("\\r\\n", 200 << 20), ("\\0\\r\\n", 270 << 20)], ids=["as it is", "base64"])
def test_P8_a_mail_of_200_megabytes_takes_less_than_50_of_memory(end: str, grown: int) -> None:
    sink = Sink()
    sink.start()
    command = [sys.executable, "-c", _CHILD, str(sink.port), end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    sink.join(LONG)
    state, taken = done.stdout.split()
    assert state == "delivered"
    assert sink.came > grown
    assert int(taken) < 50 << 20, f"{int(taken) >> 20} MB"
