"""An IMAP server that is sound but for one step, and a visit that takes every step."""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import Action, Listed, Secret, Spool
from gatewayd_imap.transport import Imap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    #: Is given the sound answer, without the tagged line, and the tag; sends what it likes. True: it goes on from there.
    Misdeed = Callable[[socket.socket, bytes, bytes], bool]

PASSWORD = "correct horse"
MAIL = b"Message-ID: <1@example.com>\r\nSubject: Booking\r\n\r\nhello\r\n"
OPENED = b"* 3 EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT 4] next\r\n"
LISTED = [Listed(f"7:{uid}", len(MAIL)) for uid in (1, 2)]
LARGE = Listed("7:3", 5 << 20)
SIZES = b"".join(
    b'* %d FETCH (UID %d RFC822.SIZE %d INTERNALDATE " 5-Jan-2026 10:00:00 +0100")\r\n' % (uid, uid, len(MAIL)) for uid in (1, 2, 3)
)
HEADERS = b"".join(
    b"* %d FETCH (UID %d BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] {%d}\r\n%b)\r\n" % (uid, uid, len(MAIL[:31]), MAIL[:31])
    for uid in (1, 2)
)
BODIES = b"".join(b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(MAIL), MAIL) for uid in (1, 2))
PIECE = b"* 3 FETCH (UID 3 BODY[]<%d> {%d}\r\n%b)\r\n"

#: The steps by name, with how their command begins and what is answered. The first that fits is it.
STEPS: dict[str, tuple[str, bytes]] = {
    "greeting": ("greeting", b"* OK ready\r\n"),
    "CAPABILITY": ("CAPABILITY", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE IDLE\r\n"),
    "LOGIN": ("LOGIN", b""),
    "EXAMINE": ("EXAMINE", OPENED),
    "SELECT": ("SELECT", OPENED),
    "SEARCH": ("UID SEARCH", b"* SEARCH 1 2 3\r\n"),
    "sizes": (r"UID FETCH \S+ \(UID RFC822.SIZE", SIZES),
    "highest": (r"UID FETCH \S+ \(UID\)", b"* 3 FETCH (UID 3)\r\n"),
    "by number": (r"FETCH", b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n"),
    "headers": (r"UID FETCH \S+ \(UID BODY.PEEK\[H", HEADERS),
    "bodies": (r"UID FETCH \S+ \(UID BODY.PEEK\[\]\)", BODIES),
    "pieces": (r"UID FETCH \S+ \(UID BODY.PEEK\[\]<", b""),
    "STORE": ("UID STORE", b""),
    "MOVE": ("UID MOVE", b""),
    "EXPUNGE": ("UID EXPUNGE", b""),
    "LIST": ("LIST", b'* LIST (\\HasNoChildren) "/" INBOX\r\n'),
    "IDLE": ("IDLE", b"+ idling\r\n"),
    "DONE": ("DONE", b""),
    "LOGOUT": ("LOGOUT", b"* BYE\r\n"),
}


@dataclass
class Hostile:
    """Serves one client after the other; what it does at one step is the test's."""

    step: str
    misdeed: Misdeed

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.ended = threading.Event()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, suppress(OSError):
                    self._talk(peer)

    def close(self) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _talk(self, peer: socket.socket) -> None:
        lines = peer.makefile("rb")
        tag, command = b"", "greeting"
        idling = b""
        while command:
            name, answer = self._answer(command)
            if self.step in ("by number", "highest"):
                # These are asked where SEARCH answers nothing, and where there is no UIDNEXT.
                answer = b"* SEARCH\r\n" if name == "SEARCH" else answer.replace(b"UIDNEXT", b"NOMODSEQ")
            if "Inbx" in command:
                # There is no such folder, so LIST is asked.
                name, answer = "", b""
            if name == "IDLE":
                idling = tag
            ends = b"" if name in ("greeting", "IDLE") else (idling if name == "DONE" else tag) + b" OK done\r\n"
            if "Inbx" in command:
                ends = tag + b" NO none\r\n"
            if name == self.step:
                if not self.misdeed(peer, answer, ends):
                    return
            else:
                peer.sendall(answer + ends)
            line = lines.readline().strip()
            tag, _, rest = line.partition(b" ")
            command = "DONE" if line == b"DONE" else rest.decode("latin-1")

    @staticmethod
    def _answer(command: str) -> tuple[str, bytes]:
        name = next((name for name, (pattern, _) in STEPS.items() if re.match(pattern, command)), "")
        if name == "pieces":
            offset = int(re.search(r"<(\d+)", command)[1])  # type: ignore[index]
            size = max(0, min(1 << 20, (LARGE.size or 0) - offset))
            return name, PIECE % (offset, size, b"x" * size)
        return name, STEPS[name][1] if name else b""


@contextmanager
def hostile(step: str, misdeed: Misdeed) -> Iterator[int]:
    server = Hostile(step, misdeed)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.close()


def transport(port: int, **fields: object) -> Imap:
    os.environ["IMAP_TEST_PASSWORD"] = PASSWORD
    given = {"host": "127.0.0.1", "port": port, "security": "none", "insecure": True, "username": "anna", "timeout": "1s"}
    secret = Secret("env", "IMAP_TEST_PASSWORD")
    return Imap(Imap.Options.model_validate({**given, "password": secret, **fields}), account="reservations")


def visit(port: int, folder: Path) -> None:
    """Do at once all that visits, watches and ``check --online`` do."""
    opened = transport(port).open()
    try:
        list(opened.listing("INBOX", None))
        list(opened.listing("INBOX", "7 2 3"))
        list(opened.look_up("INBOX", [one.key for one in LISTED]))
        list(opened.headers("INBOX", [one.key for one in LISTED]))
        spooled = folder / f"{port}.spool"
        with Spool(spooled) as spool:
            spool.expect([*LISTED, LARGE], 64 << 20)
            list(opened.fetch("INBOX", [*LISTED, LARGE], spool))
            size = spooled.stat().st_size
        assert size < 20 << 20, f"the spool has {size} bytes"
        opened.settle("INBOX", ["7:1"], Action(do="seen"))
        opened.settle("INBOX", ["7:1"], Action(do="move", folder="Imported"))
        opened.settle("INBOX", ["7:1"], Action(do="delete"))
        opened.problems(["INBOX", "Inbx"], Action(do="move", folder="Imported"))
        watched(opened)
    finally:
        opened.close()


def watched(opened: object) -> None:
    """Watch for a moment, with a renewal."""
    watch = opened.watch("INBOX")  # type: ignore[attr-defined]
    if watch is None:
        return
    watch.listen()
    watch.renew()
    until = time.monotonic() + 1
    while time.monotonic() < until and not watch.listen().proven:
        select.select([watch], [], [], 0.1)
    watch.end()
