"""Whatever a POP3 server sends, it costs little memory, disk, time and patience."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, GatewaydError, Listed, Spool, TooLarge, TransientError
from tests.patience import LONG
from tests.plugins.pop3_script import Stage, transport
from tests.plugins.scales import scales

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIL = b"Subject: Booking\r\n\r\nhello\r\n"
SOUND = {
    "greeting": b"+OK ready\r\n",
    "CAPA": b"+OK\r\nUIDL\r\nTOP\r\n.\r\n",
    "STAT": b"+OK 1 30\r\n",
    "LIST": b"+OK\r\n1 30\r\n.\r\n",
    "UIDL": b"+OK\r\n1 u1\r\n.\r\n",
    "TOP": b"+OK\r\n" + MAIL + b".\r\n",
    "RETR": b"+OK\r\n" + MAIL + b".\r\n",
}
#: At which step the server misbehaves. The log-in is one step with the greeting.
STEPS = ["greeting", "CAPA", "USER", "PASS", "STAT", "LIST", "UIDL", "TOP", "RETR", "DELE", "QUIT"]
#: What it then sends without end. A line end is none of RFC 1939's in some.
ENDLESS = {
    "one line": b"x" * 65536,
    "lines": b"+OK x\r\n" * 8192,
    "bare line feeds": b"1 1\n" * 16384,
    "numbers": b"".join(b"%d 1\r\n" % number for number in range(10_000)),
    "half an end": b"\r\n.\r" * 16384,
}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


class Hostile:
    """Serves one client after the other; at one step it sends something for ever, or drop by drop."""

    def __init__(self, step: str, endless: bytes, *, pause: float = 0.0) -> None:
        self._step, self._endless, self._pause = step, endless, pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, suppress(OSError):
                    self._talk(peer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _talk(self, peer: socket.socket) -> None:
        word = "greeting"
        lines = peer.makefile("rb")
        while word:
            if word == self._step:
                peer.sendall(SOUND.get(word, b"+OK\r\n")[:6] if word in {"TOP", "RETR", "LIST", "UIDL", "CAPA"} else b"")
                while True:
                    peer.sendall(self._endless)
                    time.sleep(self._pause)
            peer.sendall(SOUND.get(word, b"+OK\r\n"))
            word = lines.readline().decode("latin-1").strip().partition(" ")[0]


@contextmanager
def hostile(step: str, endless: bytes, *, pause: float = 0.0) -> Iterator[int]:
    server = Hostile(step, endless, pause=pause)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.close()


def visit(port: int, folder: Path) -> None:
    """Do at once all that visits do."""
    opened = transport(port, timeout="1s").open()
    try:
        list(opened.listing("INBOX", None))
        list(opened.headers("INBOX", ["u1"]))
        with Spool(folder / "spool") as spool:
            spool.expect([Listed("u1", 30)], 1 << 20)
            list(opened.fetch("INBOX", [Listed("u1", 30)], spool))
        opened.settle("INBOX", ["u1"], Action(do="delete"))
    finally:
        opened.close()


@pytest.mark.parametrize("step", STEPS)
def test_P8_a_server_that_drips_ends_a_step_by_its_deadline(step: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with hostile(step, b"x", pause=0.2) as port, pytest.raises(TransientError, match=r"127\.0\.0\.1:") as caught:
        visit(port, tmp_path)
    assert caught.value.advice
    # A step of one second, the leave of two, and a busy machine.
    assert time.monotonic() - began < LONG


@pytest.mark.parametrize(
    # What comes behind a good answer to QUIT is not read any more.
    ("step", "endless"),
    [(step, endless) for step in STEPS for endless in ENDLESS if (step, endless) != ("QUIT", "lines")],
)
def test_P8_a_server_that_sends_without_end_is_given_up(step: str, endless: str, tmp_path: Path) -> None:
    with hostile(step, ENDLESS[endless]) as port, pytest.raises(GatewaydError, match=r"127\.0\.0\.1:|bytes") as caught:
        visit(port, tmp_path)
    assert caught.value.advice or isinstance(caught.value, TooLarge)


def visit_at(port: int, folder: str) -> None:
    visit(port, Path(folder))


def listed(port: int, *_: str) -> None:
    """List, and take the headers of all one by one, as visits do."""
    with closing(transport(port, timeout="5s").open()) as opened:
        (page,) = opened.listing("INBOX", None)
        for _key, head in opened.headers("INBOX", [one.key for one in page.keys[:1000]]):
            assert len(head) <= 1 << 15


def test_P8_no_server_costs_more_than_64_mib_and_two_seconds_of_the_interpreter(tmp_path: Path) -> None:
    worst = [("LIST", "numbers"), ("UIDL", "one line"), ("UIDL", "bare line feeds"), ("TOP", "half an end"), ("RETR", "lines")]
    with scales("tests.plugins.test_pop3_hostile:visit_at") as scale:
        for step, endless in worst:
            with hostile(step, ENDLESS[endless]) as port:
                scale.weigh(port, str(tmp_path)).is_borne((step, endless))


def numbers(count: int, what: bytes = b"1000") -> bytes:
    return b"+OK\r\n" + b"".join(b"%d %b\r\n" % (number, what) for number in range(1, count + 1)) + b".\r\n"


def names(count: int, length: int) -> bytes:
    return b"+OK\r\n" + b"".join(b"%d %0*d\r\n" % (number, length, number) for number in range(1, count + 1)) + b".\r\n"


MIB_OF_HEADERS = b"+OK\r\n" + b"X: y\r\n" * 170_000 + b".\r\n"
#: What a server answers that keeps to the protocol, and is as large as it may be.
LARGE: dict[str, dict[str, bytes]] = {
    "as many messages as may be, with long names": {
        "STAT": b"+OK 40000 1\r\n",
        "LIST": numbers(40_000),
        "UIDL": names(40_000, 92),
        "TOP": b"+OK\r\n.\r\n",
    },
    "as many as may be, in LIST others than in UIDL": {
        "STAT": b"+OK 1 1\r\n",
        "LIST": numbers(40_000),
        "UIDL": b"+OK\r\n" + b"".join(b"%d u%d\r\n" % (number, number) for number in range(40_001, 80_001)) + b".\r\n",
        "TOP": b"-ERR\r\n",
    },
    "one name for all, and large headers": {"STAT": b"+OK 900 1\r\n", "LIST": numbers(900), "UIDL": numbers(900, b"u")},
    "no names, and large headers": {"STAT": b"+OK 900 1\r\n", "LIST": numbers(900), "UIDL": b"+OK\r\n.\r\n"},
    "large headers": {"STAT": b"+OK 900 1\r\n", "LIST": numbers(900), "UIDL": names(900, 10)},
    "lines that are none": {"LIST": b"+OK\r\n" + b"x\r\n" * 3_500_000 + b".\r\n"},
}


def test_P8_no_listing_of_a_mailbox_costs_more_than_that(stage: Stage) -> None:
    with scales("tests.plugins.test_pop3_hostile:listed") as scale:
        for name, replies in LARGE.items():
            script = stage.play([], replies={"TOP": MIB_OF_HEADERS, **replies}, capa="TOP UIDL PIPELINING")
            scale.weigh(script.port).is_borne(name)


def test_P8_a_session_counts_what_came_also_over_connections_before(stage: Stage, tmp_path: Path) -> None:
    large = MAIL + b"x" * 1_000_000 + b"\r\n"
    script = stage.play([large])
    with closing(transport(script.port).open()) as opened, Spool(tmp_path / "spool") as spool:
        before = opened.came
        assert 0 < before < 1000
        assert len(list(opened.fetch("INBOX", [Listed("u1", len(large))], spool))) == 1
        assert len(large) < opened.came - before < len(large) + 1000
        # QUIT deletes, so what comes next comes over a new connection.
        opened.settle("INBOX", ["u1"], Action(do="delete"))
        list(opened.listing("INBOX", None))
        assert opened.came > 2 * before + len(large)


def test_P8_a_large_mailbox_is_not_listed_anew_for_each_batch(stage: Stage) -> None:
    replies = {"STAT": b"+OK 1001 1\r\n", "LIST": numbers(1001), "UIDL": names(1001, 10)}
    script = stage.play([], replies=replies)
    with closing(transport(script.port).open()) as opened:
        (page,) = opened.listing("INBOX", None)
        for _ in range(5):
            assert [one.size for one in opened.look_up("INBOX", [page.keys[7].key])] == [1000]
    assert script.heard.count("UIDL") == 1
