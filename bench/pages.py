"""``./gw bench pages``: what open pages cost the web process: its memory with streams for many browsers, and how soon they hear."""

from __future__ import annotations

import re
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.testing.servers import Dovecot
from tests.browser.site import USERS, Site
from tests.e2e.house import until
from tests.e2e.test_choosing import message

if TYPE_CHECKING:
    import argparse

#: A user has few web sessions, and a web session few streams.
_USERS = ("irina", "tom", "rea", "max")
_OF_ONE = 4
_DELIVERIES = 5


def main(given: argparse.Namespace) -> int:
    """Open the streams, deliver some mail, and print what was seen."""
    number = given.accounts
    site = Site(Path(tempfile.mkdtemp(prefix="gatewayd-bench-")))
    site.operator("acme", more=USERS)
    with Dovecot() as dovecot:
        dovecot.user("desk@example.com", "pass")
        site.account("desk", "imap", dovecot.ports["imap"], "desk@example.com")
        with site.running():
            until("the account is watched", 60, lambda: bool(site.status()))
            tokens = [site.token(_USERS[one % len(_USERS)]) for one in range(-(-number // _OF_ONE))]
            site.ask("/emails", token=tokens[0])
            pid = _pid(site.port)
            idle = _private(pid)
            streams = [_stream(site.port, tokens[one // _OF_ONE]) for one in range(number)]
            time.sleep(3)
            # A first mail has each of them do once what it does for every one.
            _heard(dovecot, streams, 0)
            opened = _private(pid)
            seconds = [one for turn in range(1, _DELIVERIES + 1) for one in _heard(dovecot, streams, turn)]
            print(f"idle: {idle / 1024:.1f} MiB; with {number} open pages: {opened / 1024:.1f} MiB")
            print(f"a page costs {(opened - idle) / number:.1f} KiB")
            ordered = sorted(seconds)
            print(
                f"from the delivery at the server until a page heard: median {statistics.median(ordered):.2f} s, "
                f"95 % {ordered[int(len(ordered) * 0.95)]:.2f} s, last {ordered[-1]:.2f} s"
            )
            for one in streams:
                one.close()
    return 0


def _heard(dovecot: Dovecot, streams: list[socket.socket], turn: int) -> list[float]:
    """Deliver a mail, and return after how many seconds each stream told of it."""
    began = time.monotonic()
    heard: list[float] = []

    def listen(stream: socket.socket) -> None:
        stream.settimeout(60)
        text = b""
        while b"event: mail" not in text:
            text += stream.recv(4096)
        heard.append(time.monotonic() - began)

    threads = [threading.Thread(target=listen, args=(one,), daemon=True) for one in streams]
    for one in threads:
        one.start()
    began = time.monotonic()
    dovecot.deliver("desk@example.com", [message(turn + 1)])
    for one in threads:
        one.join(70)
    print(f"turn {turn}: {len(heard)} of {len(streams)} heard", flush=True)
    time.sleep(2)
    return heard


def _stream(port: int, token: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: gatewayd={token}\r\n\r\n".encode())
    head = sock.recv(4096)
    assert head.startswith(b"HTTP/1.1 200"), head
    return sock


def _pid(port: int) -> int:
    """Return the process that listens at a port."""
    inode = next(
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    )
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if path.is_symlink() and str(path.readlink()) == f"socket:[{inode}]":
                return int(path.parts[2])
        except OSError:
            continue
    raise LookupError(port)


def _private(pid: int) -> int:
    """Return the KiB of a process that it shares with no other one."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(one) for one in re.findall(r"Private_\w+: +(\d+) kB", text))
