"""Hostile servers beside a sound one, under one daemon: they cost it little, and the sound account's mail is filed (P4, P8)."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.house import Daemon, House, until
from tests.e2e.mailboxes import Mailboxes
from tests.plugins import imap_hostile, test_pop3_hostile
from tests.plugins.test_imap_hostile import without_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.servers import Dovecot

#: What ``limits`` say here, in bytes.
MESSAGE, BATCH = 1 << 20, 1 << 18
#: What an account may have in the state folder while it is visited: three spools.
SHARE = 3 * (MESSAGE + 2 * BATCH)
#: What one server may cost of memory.
MIB = 64 << 20
IMAP = [
    ("greeting", "one line"),
    ("SEARCH", "a number"),
    ("SEARCH", "numbers"),
    ("sizes", "spaces"),
    ("sizes", "all UIDs"),
    ("bodies", "a literal"),
    ("bodies", "literals of 15 MiB"),
    ("bodies", "one UID over and over"),
    ("IDLE", "OK lines"),
]
POP3 = [("UIDL", "numbers"), ("LIST", "one line"), ("RETR", "lines"), ("RETR", "half an end")]


@contextmanager
def hostile_servers(house: House) -> Iterator[list[str]]:
    """Serve an account for each way; yield their names. Users have several names: else it would be one mailbox at several servers."""
    names = []
    with ExitStack() as stack:
        for number, (step, name) in enumerate(IMAP):
            port = stack.enter_context(imap_hostile.hostile(step, without_end(name)))
            names.append(f"imap-{number}")
            house.account(names[-1], "imap", port, names[-1], host="127.0.0.1", timeout="2s", imports="  every: 1s\n")
        for number, (step, name) in enumerate(POP3):
            port = stack.enter_context(test_pop3_hostile.hostile(step, test_pop3_hostile.ENDLESS[name]))
            names.append(f"pop3-{number}")
            house.account(names[-1], "pop3", port, names[-1], host="127.0.0.1", timeout="2s", imports="  every: 1s\n")
        yield names


def spooled(house: House) -> int:
    """How many bytes the spools have."""
    sizes = 0
    for path in house.state.glob("owners/*/*.spool"):
        # It may be gone by now.
        with suppress(FileNotFoundError):
            sizes += path.stat().st_size
    return sizes


def memory(daemon: Daemon) -> int:
    """How many bytes of memory the daemon has had at most since it was asked last (proc(5))."""
    process = Path(f"/proc/{daemon.process.pid}")
    peak = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
    (process / "clear_refs").write_text("5")
    return int(peak.split()[1]) << 10


def test_P4_hostile_servers_cost_little_and_hold_up_no_other_account(tmp_path: Path, dovecot: Dovecot) -> None:
    house = House(tmp_path)
    house.operator("acme")
    limits = f"{{backoff: 1s, message_bytes: {MESSAGE}, batch_bytes: {BATCH}, batch_messages: 10}}"
    house.write("gatewayd.yaml", f"state: {house.state}\nlimits: {limits}\nlog: {{level: debug}}\n")
    mailboxes = Mailboxes(house, dovecot)
    mailboxes.add("well", imports="  every: 1s\n")
    mailboxes.begin()
    with hostile_servers(house) as names, house.daemon() as daemon:
        memory(daemon)
        before = memory(daemon)
        seen = 0

        def tried() -> bool:
            nonlocal seen
            seen = max(seen, spooled(house))
            mailboxes.send("well")
            mailboxes.filed("well", seconds=20)
            told = [line for line in daemon.log.splitlines() if re.search(r"failures=|visit problem|watch lost", line)]
            # Each was visited again after its first fault.
            return all(sum(f" account={name} " in line for line in told) > 1 for name in names)

        until("all hostile servers were tried twice", 60, tried)
        assert not house.status()["well"]["error"]
        assert seen < len(names) * SHARE
        assert memory(daemon) - before < MIB
    assert house.filed("well") == dict.fromkeys(mailboxes.sent["well"], 1)
