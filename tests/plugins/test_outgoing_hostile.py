"""Whatever a server says that we send to, it costs little memory, time and patience, by SMTP and by webhook (P6, P8)."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gatewayd import Secret, TransientError
from gatewayd_smtp.forwarder import Smtp
from gatewayd_webhook.forwarder import Webhook
from tests.plugins import smtp_site, webhook_site
from tests.plugins.scales import scales

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Play = Callable[[socket.socket], None]

#: The steps of SMTP by the first word of their command, and what is answered.
SMTP = {
    "greeting": b"220 ready\r\n",
    "EHLO": b"250-x\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE\r\n",
    "AUTH": b"235 in\r\n",
    "MAIL": b"250 ok\r\n",
    "RCPT": b"250 ok\r\n",
    "DATA": b"354 go on\r\n",
    ".": b"250 taken\r\n",
    "QUIT": b"221 bye\r\n",
}
#: What is sent at one of them: a beginning, and what comes behind it for ever. Where that is empty, the beginning is all.
SAID: dict[str, tuple[bytes, bytes]] = {
    "a line without end": (b"250-", b"x" * 65536),
    "lines without end": (b"", b"250-ENHANCED\r\n" * 4096),
    "long lines without end": (b"", b"250-" + b"x" * 8000 + b"\r\n"),
    "short lines without end": (b"", b"250-\n" * 8192),
    "half a line end": (b"250-", b"\r" * 65536),
    "bytes of nothing": (b"", b"\0" * 65536),
    "keywords": (b"".join(b"250-AUTH=%b %b\r\n" % (b"A B" * 300, b"PLAIN " * 1000) for _ in range(99)) + b"250 SIZE\r\n", b""),
    "numbers": (b"250-SIZE " + b"9" * 8000 + b"\r\n250 AUTH PLAIN\r\n", b""),
    "what was not asked for": (b"", b"250 ok\r\n" * 8192),
    "much at once, and then nothing": (b"250-x\r\n" * 90, b""),
}


def smtp(step: str, said: tuple[bytes, bytes], *, pause: float = 0.0) -> Play:
    """Be sound but for one step; with a pause, what is said there comes byte by byte."""

    def play(peer: socket.socket) -> None:
        lines = peer.makefile("rb")
        within = False
        word = "greeting"
        while word:
            if word == step:
                misbehave(peer, *said, pause=pause)
            else:
                peer.sendall(SMTP.get(word, b"250 ok\r\n"))
            within = word == "DATA"
            line = lines.readline()
            while within and line not in (b".\r\n", b""):
                line = lines.readline()
            word = "." if line == b".\r\n" else line.decode("latin-1").partition(" ")[0].strip().upper()

    return play


def misbehave(peer: socket.socket, first: bytes, more: bytes, *, pause: float) -> None:
    if pause:
        for byte in (first + more)[:2000]:
            peer.sendall(bytes([byte]))
            time.sleep(pause)
    peer.sendall(first)
    while more:
        peer.sendall(more)
    # It waits until it is left.
    while peer.recv(1 << 16):
        pass


HEAD = b"HTTP/1.1 200 OK\r\n"
#: What is answered to a request: a beginning, and what comes behind it for ever.
ANSWERED: dict[str, tuple[bytes, bytes]] = {
    "a status without end": (b"HTTP/1.1 200 ", b"x" * 65536),
    "headers without end": (HEAD, b"X: y\r\n" * 8192),
    "one header without end": (HEAD + b"X: ", b"y" * 65536),
    "a header that is folded for ever": (HEAD + b"X: y\r\n", b" y\r\n" * 8192),
    "a hundred headers of the largest size": (HEAD, b"X: " + b"y" * 600 + b"\r\n"),
    "a body without end": (HEAD + b"\r\n", b"x" * 65536),
    "a body of any length": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", b"x" * 65536),
    "chunks of a byte": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 8192),
    "a chunk of any size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n", b"x" * 65536),
    "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 65536),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 8192),
    "nothing but go on": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4096),
    "headers that are none": (HEAD, b":\r\n" * 8192),
    "a redirect to much": (b"HTTP/1.1 302 Found\r\nLocation: http://" + b"x" * 60_000 + b"\r\n\r\n", b""),
    "a redirect in parentheses": (b"HTTP/1.1 302 Found\r\nRetry-After: " + b"(" * 60_000 + b"\r\n\r\n", b""),
    "to wait for ever": (b"HTTP/1.1 503 No\r\nRetry-After: " + b"9" * 60_000 + b"\r\n\r\n", b""),
    "another version": (b"HTTP/0.9 200 OK\r\n\r\n", b"x" * 65536),
    "no HTTP": (b"220 ready\r\n", b"x" * 65536),
}


def http(said: tuple[bytes, bytes], *, pause: float = 0.0) -> Play:
    def play(peer: socket.socket) -> None:
        webhook_site.read_request(peer)
        misbehave(peer, *said, pause=pause)

    return play


@contextmanager
def serving(play: Play) -> Iterator[int]:
    """Play to one client after the other."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, suppress(OSError):
                    play(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


def send(port: int, timeout: float = 0.2) -> None:
    """Send two mails by SMTP."""
    os.environ["SMTP_TEST_PASSWORD"] = "correct horse"
    given = {"host": "127.0.0.1", "port": port, "security": "none", "insecure": True, "timeout": timeout}
    given |= {"username": "anna", "password": Secret("env", "SMTP_TEST_PASSWORD")}
    with closing(Smtp(Smtp.Options.model_validate(given), name="out").open()) as courier:
        list(courier.deliver([smtp_site.parcel(number=1), smtp_site.parcel(number=2)]))


def post(port: int) -> None:
    """Post a filing."""
    os.environ["WEBHOOK_TEST_SECRET"] = webhook_site.SECRET
    given = {
        "url": f"http://localhost:{port}/",
        "insecure": True,
        "allow_private": ["localhost"],
        "timeout": "1s",
        "deadline": "2s",
    }
    options = Webhook.Options.model_validate({**given, "secret": Secret("env", "WEBHOOK_TEST_SECRET")})
    with closing(Webhook(options, name="acme/crm").open()) as courier:
        list(courier.deliver([webhook_site.parcel()]))


def test_P8_no_smtp_server_costs_more_than_64_mib_and_two_seconds_of_the_interpreter() -> None:
    with scales("tests.plugins.test_outgoing_hostile:send") as scale:
        # Each way at some step, and each step in some way.
        ways = [(step, name) for at, step in enumerate(SMTP) for name in list(SAID)[at % 2 :: 2]]
        for step, name in ways:
            with serving(smtp(step, SAID[name])) as port:
                scale.weigh(port).is_borne((step, name))


def test_P8_no_receiver_of_a_webhook_costs_more_than_that() -> None:
    with scales("tests.plugins.test_outgoing_hostile:post") as scale:
        for name, said in ANSWERED.items():
            with serving(http(said)) as port:
                scale.weigh(port).is_borne(name)


@pytest.mark.parametrize("step", SMTP)
def test_P6_an_smtp_server_that_drips_ends_each_step_by_its_deadline(step: str) -> None:
    with serving(smtp(step, (SMTP[step][:3] + b"-x\r\n", b"250-x\r\n" * 1000), pause=0.1)) as port:
        if step == "QUIT":
            # Nobody waits for a goodbye.
            send(port, 20.0)
        else:
            with pytest.raises(TransientError, match=r"127\.0\.0\.1:\d+: .*within") as caught:
                send(port)
            assert caught.value.advice
