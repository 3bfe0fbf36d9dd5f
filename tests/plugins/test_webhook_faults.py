"""The forwarder ``webhook`` where things go wrong: connections that end at every place, servers that dawdle, flood or lie."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import AuthError, ConfigError, TransientError
from tests.patience import AT_ONCE
from tests.plugins.webhook_site import SECRET, parcel, read_request, scripted, tls_context, webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatewayd import Parcel, Recipient

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answering(*pieces: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    """Read a request, then send these pieces."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return play


def posted(tmp_path: Path, port: int, *, sent: Parcel | None = None, **fields: Any) -> Recipient:
    """Post one parcel without TLS, and return what became of it."""
    with closing(webhook(tmp_path, f"http://localhost:{port}/", **fields).open()) as courier:
        (receipt,) = courier.deliver([sent or parcel()])
    return receipt.recipients[0]


# --- a connection that ends -------------------------------------------------------------------------------------------


def test_P7_an_answer_cut_before_its_status_leaves_the_delivery_undecided(tmp_path: Path) -> None:
    decided = len(b"HTTP/1.1 204")
    for size in range(len(_OK)):
        with scripted(answering(_OK[:size])) as port:
            if size < decided:
                with pytest.raises(TransientError, match=f"localhost:{port}: "):
                    posted(tmp_path, port)
            else:
                assert posted(tmp_path, port).state == "delivered"


@pytest.mark.parametrize("size", [0, 1, 100, 400, 800])
@pytest.mark.parametrize("reset", [False, True])
def test_P7_a_request_that_is_cut_is_undecided_and_not_sent_again(tmp_path: Path, size: int, reset: bool) -> None:  # noqa: FBT001
    heard = []

    def play(connection: socket.socket) -> None:
        heard.append(connection.recv(size) if size else b"")
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    large = parcel(raw=b"Subject: large\r\n\r\n" + b"x" * 2_000_000)
    # A connection that was closed at once is made anew before anything is sent, and once only.
    with scripted(play) as port, pytest.raises(TransientError, match=r"connection lost|closed the connection"):
        posted(tmp_path, port, sent=large, raw="inline", inline_bytes=1 << 22)
    assert len([one for one in heard if one]) <= 1
    assert len(heard) <= 2


def test_a_refusal_before_the_request_was_read_to_its_end_counts(tmp_path: Path) -> None:
    def play(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_RD)
        # No reset before the answer was taken from the wire: that one would take it along.
        time.sleep(0.5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    large = parcel(raw=b"x" * 12_000_000)
    with scripted(play) as port:
        told = posted(tmp_path, port, sent=large, raw="inline", inline_bytes=1 << 24)
    assert (told.state, told.words) == ("refused", "413 Too Large")


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_ended_while_nothing_was_sent_is_made_anew_once(tmp_path: Path, reset: bool) -> None:  # noqa: FBT001
    connections = 0

    def play(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            answering(_OK)(connection)
        elif reset:
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with scripted(play) as port, closing(webhook(tmp_path, f"http://localhost:{port}/").open()) as courier:
        time.sleep(0.2)
        assert [one.recipients[0].state for one in courier.deliver([parcel()])] == ["delivered"]
    assert connections == 2


@pytest.mark.parametrize(
    "head", [b"204 No Content\r\nConnection: close\r\n\r\n", b"200 OK\r\nContent-Length: 100\r\n\r\nunfinished"]
)
def test_a_connection_that_is_not_at_the_end_of_an_answer_gets_no_further_request(tmp_path: Path, head: bytes) -> None:
    heard = []

    def play(connection: socket.socket) -> None:
        answering(b"HTTP/1.1 " + head)(connection)
        heard.append(connection.recv(1000))

    with scripted(play) as port, closing(webhook(tmp_path, f"http://localhost:{port}/", timeout="1s").open()) as courier:
        receipts = list(courier.deliver([parcel(1), parcel(2)]))
    assert [one.recipients[0].state for one in receipts] == ["delivered"] * 2
    assert heard == [b"", b""]


def test_an_answer_to_nothing_is_no_answer_to_the_next_request(tmp_path: Path) -> None:
    connections = 0

    def play(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            connection.sendall(_OK)
        answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")(connection)

    with scripted(play) as port, closing(webhook(tmp_path, f"http://localhost:{port}/").open()) as courier:
        time.sleep(0.1)
        (receipt,) = courier.deliver([parcel()])
    assert (receipt.recipients[0].words, connections) == ("500 No", 2)


# --- servers that dawdle, flood or lie --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"* OK IMAP4rev1 ready\r\n",
        b"\r\n\r\n",
        b"\x00\xff\x80" * 100,
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 600 High\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 ok\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    ],
)
def test_P8_what_is_no_answer_is_tried_again(tmp_path: Path, answer: bytes) -> None:
    with scripted(answering(answer)) as port, pytest.raises(TransientError) as caught:
        posted(tmp_path, port)
    assert f"localhost:{port}: " in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


def test_a_server_that_says_go_on_first_is_waited_for(tmp_path: Path) -> None:
    with scripted(answering(b"HTTP/1.1 100 Continue\r\n\r\n", _OK)) as port:
        assert posted(tmp_path, port).state == "delivered"


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\nshort",
        b"Content-Length: -7\r\n\r\nuntil the end",
        b"Content-Length: seven\r\n\r\nuntil the end",
        b"Content-Length: 99999999999999999999\r\n\r\n" + b"x" * 1_000_000,
        b"\r\nuntil the end",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nwords\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nwo",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nwords",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + b"x" * 1_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nwords",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000 + b"\r\nwords",
    ],
)
def test_P8_a_status_counts_whatever_becomes_of_the_body(tmp_path: Path, rest: bytes) -> None:
    with scripted(answering(b"HTTP/1.1 200 OK\r\n" + rest)) as port:
        assert posted(tmp_path, port).state == "delivered"
    with scripted(answering(b"HTTP/1.1 404 Not Here\r\n" + rest)) as port:
        assert posted(tmp_path, port).words.startswith("404 Not Here")


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 4096),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"x" * 4096),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ],
)
def test_P8_an_endless_answer_is_read_to_64_kib(tmp_path: Path, head: bytes, endless: bytes) -> None:
    def play(connection: socket.socket) -> None:
        answering(head)(connection)
        while True:
            connection.sendall(endless)

    started = time.monotonic()
    with scripted(play) as port:
        if head:
            assert posted(tmp_path, port).state == "delivered"
        else:
            with pytest.raises(TransientError, match="the answer: more than 65536 bytes came"):
                posted(tmp_path, port)
    assert time.monotonic() - started < AT_ONCE


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
def test_P8_a_server_that_is_silent_meets_the_timeout(tmp_path: Path, limit: str) -> None:
    limits: dict[str, Any] = {limit: "1s"}

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.recv(1)

    started = time.monotonic()
    with scripted(play) as port, pytest.raises(TransientError, match="no answer within 1 s"):
        posted(tmp_path, port, **limits)
    assert time.monotonic() - started < AT_ONCE


@pytest.mark.parametrize("tls", [False, True])
def test_P8_a_server_that_drips_meets_the_deadline(tmp_path: Path, tls: bool) -> None:  # noqa: FBT001
    context = tls_context(tmp_path) if tls else None
    drops = [bytes([byte]) for byte in b"HTTP/1.1 200 " + b"." * 1000]
    fields = {"ca_file": str(tmp_path / "ca.pem")} if tls else {}
    started = time.monotonic()
    with scripted(answering(*drops, pause=0.1), context) as port:
        forwarder = webhook(tmp_path, f"{'https' if tls else 'http'}://localhost:{port}/", deadline="1s", **fields)
        with closing(forwarder.open()) as courier, pytest.raises(TransientError, match=r"no (whole )?answer within"):
            list(courier.deliver([parcel()]))
    assert time.monotonic() - started < AT_ONCE


def test_P8_a_body_that_drips_costs_the_deadline_and_changes_nothing(tmp_path: Path) -> None:
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"." for _ in range(1000)]]
    started = time.monotonic()
    with scripted(answering(*drops, pause=0.1)) as port:
        assert posted(tmp_path, port, deadline="1s").state == "delivered"
    assert time.monotonic() - started < AT_ONCE


def test_P8_a_server_that_takes_a_request_by_drops_meets_the_deadline(tmp_path: Path) -> None:
    over = threading.Event()

    def play(connection: socket.socket) -> None:
        while not over.wait(0.05):
            connection.recv(20_000)

    large = parcel(raw=b"x" * 16_000_000)
    started = time.monotonic()
    with scripted(play) as port:
        with pytest.raises(TransientError, match=r"no (whole )?answer within"):
            posted(tmp_path, port, sent=large, deadline="1s", raw="inline", inline_bytes=1 << 24)
        over.set()
    assert time.monotonic() - started < AT_ONCE


# --- connecting -------------------------------------------------------------------------------------------------------


def test_a_port_that_nobody_listens_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TransientError, match=f"^localhost:{port}: connection refused$"):
        webhook(tmp_path, f"http://localhost:{port}/mail?key=hunter2").open()


def test_a_host_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"^nowhere\.invalid:443: host not found"):
        webhook(tmp_path, "https://nowhere.invalid/").open()


def test_P8_a_server_that_takes_no_connection_meets_the_timeout(tmp_path: Path) -> None:
    started = time.monotonic()
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        # Its queue is full: what comes now is not answered.
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(server.getsockname())
        time.sleep(0.05)
        with pytest.raises(TransientError, match="no answer within 1 s"):
            webhook(tmp_path, f"http://localhost:{server.getsockname()[1]}/", timeout="1s").open()
    assert time.monotonic() - started < AT_ONCE


def test_P8_many_addresses_share_one_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("0.0.0.0", 0))
        server.listen(0)
        port = server.getsockname()[1]
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.1", port))
        time.sleep(0.05)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in range(1, 200)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        started = time.monotonic()
        with pytest.raises(TransientError, match="no answer within 1 s"):
            webhook(tmp_path, f"http://localhost:{port}/", timeout="1s", deadline="1s").open()
    assert time.monotonic() - started < AT_ONCE


def test_a_server_that_speaks_no_tls(tmp_path: Path) -> None:
    def play(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(_OK)

    with scripted(play) as port, pytest.raises(TransientError, match="TLS failed: WRONG_VERSION_NUMBER"):
        webhook(tmp_path, f"https://localhost:{port}/").open()


def test_a_handshake_that_is_cut(tmp_path: Path) -> None:
    with (
        scripted(lambda connection: connection.close()) as port,
        pytest.raises(TransientError, match=r"connection lost|TLS failed"),
    ):
        webhook(tmp_path, f"https://localhost:{port}/").open()


@pytest.mark.parametrize(("name", "trusted"), [("localhost", False), ("elsewhere.example", True)])
def test_P9_nothing_is_sent_to_a_server_that_is_not_trusted(tmp_path: Path, name: str, trusted: bool) -> None:  # noqa: FBT001
    heard = []
    context = tls_context(tmp_path, name)
    fields = {"ca_file": str(tmp_path / "ca.pem")} if trusted else {}
    with (
        scripted(lambda connection: heard.append(connection.recv(100)), context) as port,
        pytest.raises(AuthError, match="the server's certificate is not trusted") as caught,
    ):
        webhook(tmp_path, f"https://localhost:{port}/", **fields).open()
    assert heard in ([], [b""])
    assert "url" in caught.value.advice
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    with scripted(answering(_OK)) as port, pytest.raises(ConfigError, match="ca_file"):
        webhook(tmp_path, f"https://localhost:{port}/", ca_file=str(tmp_path / "none")).open()


# --- ending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_an_abort_ends_a_step_that_waits(tmp_path: Path, tls: bool) -> None:  # noqa: FBT001
    came = threading.Event()

    def play(connection: socket.socket) -> None:
        read_request(connection)
        came.set()
        connection.recv(1)

    context = tls_context(tmp_path) if tls else None
    fields = {"ca_file": str(tmp_path / "ca.pem")} if tls else {}
    with scripted(play, context) as port:
        courier = webhook(tmp_path, f"{'https' if tls else 'http'}://localhost:{port}/", **fields).open()

        def abort() -> None:
            came.wait(AT_ONCE)
            courier.abort()

        thread = threading.Thread(target=abort)
        thread.start()
        started = time.monotonic()
        with closing(courier), pytest.raises(TransientError) as caught:
            list(courier.deliver([parcel()]))
        thread.join()
        assert time.monotonic() - started < AT_ONCE
    assert SECRET[6:] not in str(caught.value)


def test_an_abort_ends_a_connection_in_the_making(tmp_path: Path) -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        courier = webhook(tmp_path, f"http://localhost:{server.getsockname()[1]}/").open()
        server.accept()[0].close()
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(server.getsockname())
        timer = threading.Timer(0.3, courier.abort)
        timer.start()
        started = time.monotonic()
        with closing(courier), pytest.raises(TransientError):
            list(courier.deliver([parcel()]))
        timer.join()
    assert time.monotonic() - started < AT_ONCE


def test_after_an_abort_no_connection_is_made_anew(tmp_path: Path) -> None:
    with scripted(answering(_OK)) as port:
        courier = webhook(tmp_path, f"http://localhost:{port}/").open()
        courier.abort()
        courier.abort()
        with pytest.raises(TransientError, match="the connection was aborted"):
            list(courier.deliver([parcel()]))
        courier.close()
        courier.abort()
        courier.close()
