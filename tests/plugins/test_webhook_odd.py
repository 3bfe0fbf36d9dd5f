"""The forwarder ``webhook`` and servers that say more than one thing, or say it too early."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import TransientError
from tests.plugins.webhook_site import parcel, read_request, scripted, webhook

if TYPE_CHECKING:
    from pathlib import Path

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize("first", [HINTS, b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + HINTS, b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS])
@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_P7_what_a_server_says_before_its_answer_is_not_its_answer(tmp_path: Path, first: bytes, pause: float) -> None:
    """RFC 9110 section 15.2: a client minds 1xx though it did not ask for any. Else what was taken would be sent again and again."""
    heard = []

    def play(connection: socket.socket) -> None:
        for number in range(2):
            heard.append(read_request(connection))
            connection.sendall(first)
            time.sleep(pause)
            said = b"no" if number else b""
            status = b"422 Odd" if number else b"200 OK"
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(said), said))

    with scripted(play) as port, closing(webhook(tmp_path, f"http://localhost:{port}/").open()) as courier:
        receipts = [*courier.deliver([parcel(1), parcel(2)])]
    assert [(one.recipients[0].state, one.recipients[0].words) for one in receipts] == [
        ("delivered", "200 OK"),
        ("refused", "422 Odd: no"),
    ]
    assert len(heard) == 2


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content"])
def test_P7_who_has_not_read_the_request_to_its_end_has_not_taken_it(tmp_path: Path, status: bytes) -> None:
    def play(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        connection.shutdown(socket.SHUT_RD)
        # No reset before the answer was taken from the wire: that one would take it along.
        time.sleep(0.5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    large = parcel(raw=b"x" * 12_000_000)
    with (
        scripted(play) as port,
        closing(webhook(tmp_path, f"http://localhost:{port}/", raw="inline", inline_bytes=1 << 24).open()) as courier,
        pytest.raises(TransientError, match="connection lost"),
    ):
        list(courier.deliver([large]))
