"""Each step on the network has one deadline as a whole and a bound in bytes, whatever library is at work (P6, P8)."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
import trustme

from gatewayd import Connection, GatewaydError, Server, TransientError, socket_errors, tls_context
from gatewayd.api.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Play = Callable[[socket.socket], object]

#: Far more than any step here may take, and far less than the drips below would.
PATIENCE = 20.0


class Place(Server, Options):
    """A server as a plugin has it."""


def place(port: int, **fields: Any) -> Place:
    given = {"host": "localhost", "port": port, "security": "none", "insecure": True, "timeout": "1s"} | fields
    return Place.model_validate(given)


@contextmanager
def server(play: Play, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Play to one client, in TLS if there is a context."""

    def serve() -> None:
        try:
            peer, _ = listener.accept()
            peer.settimeout(PATIENCE)
            with peer if context is None else context.wrap_socket(peer, server_side=True) as line:
                play(line)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with ExitStack() as stack:
                stack.callback(thread.join)
                stack.callback(listener.shutdown, socket.SHUT_RDWR)


def drip(first: bytes = b"") -> Play:
    """Send a byte now and then, as long as somebody listens."""

    def play(line: socket.socket) -> None:
        line.sendall(first)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            line.sendall(b"x")
            time.sleep(0.05)

    return play


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return context, path


# --- the deadline ---------------------------------------------------------------------------------------------------------


def by_recv(connection: Connection) -> None:
    while connection.recv(1000):
        pass


def by_file(connection: Connection) -> None:
    connection.makefile("rb").readline()


def by_imaplib(connection: Connection) -> None:
    class Client(imaplib.IMAP4):
        def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
            del host, port, timeout
            self.sock = cast("socket.socket", connection)
            self.file = connection.makefile("rb")

    Client()


def by_poplib(connection: Connection) -> None:
    class Client(poplib.POP3):
        def _create_socket(self, _timeout: float) -> socket.socket:
            return cast("socket.socket", connection)

    Client("localhost")


def by_smtplib(connection: Connection) -> None:
    client = smtplib.SMTP()
    client.sock = cast("socket.socket", connection)
    client.getreply()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("read", [by_recv, by_file, by_imaplib, by_poplib, by_smtplib])
def test_P6_a_server_that_drips_meets_the_deadline_of_the_step(
    read: Callable[[Connection], None], authority: tuple[ssl.SSLContext, Path], *, secure: bool
) -> None:
    with server(drip(), authority[0] if secure else None) as port:
        began = time.monotonic()
        connection = Connection(place(port), port, tls_context(authority[1]) if secure else None)
        with pytest.raises(TransientError, match=rf"localhost:{port}: connect: no whole answer within 1 s, only \d+ bytes"):
            read(connection)
        connection.close()
        assert time.monotonic() - began < PATIENCE / 2


def chat(connection: Connection) -> None:
    file = connection.makefile()
    for _ in range(100):
        file.readline()
        connection.sendall(b"NOOP\r\n")


def push(connection: Connection) -> None:
    while True:
        connection.sendall(b"x" * (1 << 20))


def test_P6_greeting_and_log_in_have_one_deadline_together() -> None:
    def play(line: socket.socket) -> None:
        for _ in range(100):
            line.sendall(b"+OK\r\n")
            line.recv(100)
            time.sleep(0.2)

    with server(play) as port:
        connection = Connection(place(port), port)
        with pytest.raises(TransientError, match="within 1 s"):
            chat(connection)
        connection.close()


def test_a_step_that_was_begun_anew_has_its_whole_time_again() -> None:
    def play(line: socket.socket) -> None:
        for _ in range(4):
            time.sleep(1.2)
            line.sendall(b"x")

    with server(play) as port:
        connection = Connection(place(port, timeout="4s"), port)
        for _ in range(4):
            assert connection.recv(1) == b"x"
            connection.step("more")
        connection.close()


def test_P6_what_moves_lengthens_a_long_step_and_no_more_than_that() -> None:
    def play(line: socket.socket) -> None:
        # 40 KB a second, for ever.
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            line.sendall(b"x" * 2000)
            time.sleep(0.05)

    with server(play) as port:
        connection = Connection(place(port), port)
        began = time.monotonic()
        connection.step("fast enough", seconds=0.5, rate=1000, limit=50_000)
        with pytest.raises(TransientError, match="fast enough: more than 50000 bytes"):
            by_recv(connection)
        # Twice and more the time that a step has in which nothing moves.
        assert time.monotonic() - began > 1.0
        connection.step("too slow", seconds=0.2, rate=1_000_000, limit=1 << 30)
        with pytest.raises(TransientError, match="too slow: no whole answer within"):
            by_recv(connection)
        connection.close()


def test_P6_a_server_that_sends_much_and_then_stalls_meets_the_deadline() -> None:
    done = threading.Event()

    def play(line: socket.socket) -> None:
        line.sendall(b"x" * 200_000)
        done.wait(PATIENCE)

    with server(play) as port:
        connection = Connection(place(port), port)
        began = time.monotonic()
        connection.step("a burst", seconds=1, rate=1000, limit=1 << 20)
        with pytest.raises(TransientError, match=r"a burst: no whole answer within 1 s .*1000 bytes, only 200000 bytes"):
            by_recv(connection)
        assert time.monotonic() - began < PATIENCE / 2
        connection.close()
        done.set()


def test_P6_a_server_that_takes_nothing_meets_the_deadline() -> None:
    done = threading.Event()
    with server(lambda _line: done.wait(PATIENCE)) as port:
        connection = Connection(place(port), port)
        connection.step("send", seconds=0.5, rate=1 << 30)
        with pytest.raises(TransientError, match=r"send: no answer within 0\.5 s"):
            push(connection)
        connection.close()
        done.set()


def test_P6_a_handshake_that_drips_meets_the_deadline(authority: tuple[ssl.SSLContext, Path]) -> None:
    # The beginning of a TLS record of 16 KiB.
    with (
        server(drip(b"\x16\x03\x03\x40\x00")) as port,
        socket_errors(place(port, security="tls", insecure=False), port),
        pytest.raises(TransientError, match="within 1 s"),
    ):
        Connection(place(port, security="tls", insecure=False), port, tls_context(authority[1]))


def test_a_silent_port_is_told_with_what_it_may_be() -> None:
    done = threading.Event()
    with server(lambda _line: done.wait(PATIENCE)) as port:
        connection = Connection(place(port), port)
        with pytest.raises(TransientError, match="no answer within 1 s") as told:
            connection.recv(1)
        connection.close()
        done.set()
    assert "security: tls" in told.value.advice


# --- the bound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [by_recv, by_file])
def test_P8_no_more_bytes_come_than_the_step_allows(read: Callable[[Connection], None]) -> None:
    def play(line: socket.socket) -> None:
        while True:
            line.sendall(b"x" * 65536)

    with server(play) as port:
        connection = Connection(place(port, timeout="10s"), port)
        connection.step("listing", limit=100_000)
        with pytest.raises(TransientError, match=rf"localhost:{port}: listing: more than 100000 bytes"):
            read(connection)
        connection.step("what fits")
        assert connection.recv(10)
        connection.close()


def test_P8_what_comes_in_tiny_pieces_costs_little_of_the_interpreter(authority: tuple[ssl.SSLContext, Path]) -> None:
    """TLS hands each record on by itself, and one may hold a single byte."""

    def play(line: socket.socket) -> None:
        # Written at once, so that we never wait for the next.
        for _ in range(400_000):
            line.sendall(b"x")

    with server(play, authority[0]) as port:
        connection = Connection(place(port, timeout="60s"), port, tls_context(authority[1]))
        connection.step("listing")
        began = time.thread_time()
        with pytest.raises(TransientError, match=rf"localhost:{port}: listing: \d+ bytes came in \d+ pieces"):
            by_file(connection)
        assert time.thread_time() - began < 2
        connection.close()


def test_lines_that_come_one_by_one_are_no_tiny_pieces(authority: tuple[ssl.SSLContext, Path]) -> None:
    lines = [b"* %d FETCH (UID %d RFC822.SIZE 1000)\r\n" % (number, number) for number in range(30_000)]

    def play(line: socket.socket) -> None:
        for one in lines:
            line.sendall(one)

    with server(play, authority[0]) as port:
        connection = Connection(place(port, timeout="60s"), port, tls_context(authority[1]))
        connection.step("listing")
        assert connection.makefile().read() == b"".join(lines)
        connection.close()


def test_an_answer_that_just_fits_is_read() -> None:
    with server(lambda line: line.sendall(b"x" * 999 + b"\n")) as port:
        connection = Connection(place(port), port)
        connection.step("exact", limit=1000)
        assert len(connection.makefile().readline()) == 1000
        connection.close()


# --- the connection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_bytes_go_both_ways_as_they_are(authority: tuple[ssl.SSLContext, Path], *, secure: bool) -> None:
    sent = bytes(range(256)) * 3000

    def play(line: socket.socket) -> None:
        left = len(sent)
        while left:
            piece = line.recv(1 << 16)
            left -= len(piece)
            line.sendall(piece)

    with server(play, authority[0] if secure else None) as port:
        connection = Connection(place(port, timeout="20s"), port, tls_context(authority[1]) if secure else None)
        reader = connection.makefile()
        # In turn: one TLS connection is no two threads' at a time before Python 3.13.
        for start in range(0, len(sent), 1 << 16):
            connection.sendall(sent[start : start + (1 << 16)])
            assert reader.read(len(sent[start : start + (1 << 16)])) == sent[start : start + (1 << 16)]
        connection.close()


def test_without_waiting_what_has_not_come_is_told_at_once() -> None:
    go = threading.Event()

    def play(line: socket.socket) -> None:
        go.wait(PATIENCE)
        line.sendall(b"news")
        line.recv(1)

    with server(play) as port:
        connection = Connection(place(port, timeout="20s"), port)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(10)
        assert connection.makefile().read1(10) in (None, b"")
        go.set()
        connection.step("now it waits")
        assert connection.recv(10) == b"news"
        connection.close()


def test_P7_a_cut_ends_the_step_of_another_thread_at_once() -> None:
    with server(lambda line: line.recv(1)) as port:
        connection = Connection(place(port, timeout="60s"), port)
        timer = threading.Timer(0.2, connection.cut)
        timer.start()
        began = time.monotonic()
        assert connection.recv(1) == b""
        assert time.monotonic() - began < PATIENCE
        with pytest.raises(ConnectionAbortedError):
            connection.recv(1)
        timer.join()
        connection.close()
        connection.cut()


def test_a_host_whose_first_addresses_are_dead_is_reached_by_the_next() -> None:
    # localhost is ::1 and 127.0.0.1 on most machines, and nobody listens on ::1.
    with server(lambda line: line.sendall(b"here")) as port:
        connection = Connection(place(port), port)
        assert connection.recv(4) == b"here"
        connection.close()
        with pytest.raises(BrokenPipeError):
            connection.recv(1)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1"])
def test_what_can_not_be_reached_is_a_transient_error(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(GatewaydError, match=r"host not found|refused") as told, socket_errors(place(port, host=host), port):
        Connection(place(port, host=host), port)
    assert isinstance(told.value, TransientError)


def test_plain_text_at_a_tls_port_is_told_as_that(authority: tuple[ssl.SSLContext, Path]) -> None:
    with server(lambda line: line.sendall(b"* OK ready\r\n") or (line.recv(1) and None)) as port:  # type: ignore[func-returns-value]
        there = place(port, security="tls", insecure=False)
        with pytest.raises(TransientError, match="speaks no TLS at once") as told, socket_errors(there, port):
            Connection(there, port, tls_context(authority[1]))
    assert "starttls" in told.value.advice
