"""Faults between a running daemon and a server: it heals by itself, in the time that the back-off promises, and nobody else notices (P4, P10)."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.proxy import Fault, FaultProxy
from tests.e2e.house import Daemon, House, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

#: What the accounts ask for, in seconds.
TIMEOUT, EVERY, BACKOFF = 2, 1, 1
#: What is filed on a machine that has other things to do, too.
SLACK = 2
#: A try that hangs is waited for, then the back-off, then a visit is all it takes.
HEALED = TIMEOUT + BACKOFF + SLACK
#: An established connection that nobody serves: asked for a proof, given up, and opened anew at most 2 s later.
FOUND_DEAD = EVERY + TIMEOUT + 2 + SLACK
#: How soon mail of accounts that have no fault is filed, whatever happens to others.
UNAFFECTED = 2
WELL = ("well-1", "well-2")
SEED = 20260106
_SEEDS = count(1)


@dataclass(frozen=True)
class Trouble:
    """One kind of fault."""

    begin: Callable[[FaultProxy], None]
    #: What status says of it.
    says: str
    end: Callable[[FaultProxy], None] = lambda proxy: setattr(proxy, "fault", None)


def fault(**what: Any) -> Callable[[FaultProxy], None]:
    return lambda proxy: setattr(proxy, "fault", Fault(**what))


def slow(seconds: float) -> Callable[[FaultProxy], None]:
    return lambda proxy: setattr(proxy, "latency", seconds)


def refuse(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.fault = Fault(do="reset")


def accept(proxy: FaultProxy) -> None:
    proxy.fault = None
    proxy.accept()


SILENT = "no answer within 2 s|did not answer for 2 seconds"
#: Where a fault falls that is to hit a body: behind all that a server says before, and inside the large message.
IN_A_BODY = 10_000
LARGE = b"It is a long letter, of many lines such as this one.\r\n" * 800
LOST = "connection lost|closed the connection|connection closed|connection ended|EOF"
TROUBLES = {
    "latency": Trouble(slow(3), SILENT, slow(0)),
    "reset": Trouble(fault(do="reset"), LOST),
    "cut in the greeting": Trouble(fault(do="cut", after=20), LOST),
    "cut in a body": Trouble(fault(do="cut", after=IN_A_BODY), LOST),
    "black hole": Trouble(fault(do="silence"), SILENT),
    "silence in a body": Trouble(fault(do="silence", after=IN_A_BODY), SILENT),
    "garbage": Trouble(fault(do="garbage"), "."),
    "garbage in a body": Trouble(fault(do="garbage", after=IN_A_BODY), "."),
    "refused": Trouble(refuse, "connection refused|" + LOST, accept),
}


class Site:
    """A daemon with one account behind a proxy, and two at the same server that are not."""

    def __init__(self, house: House, dovecot: Dovecot, proxy: FaultProxy, prefix: str) -> None:
        self.house, self.dovecot, self.proxy = house, dovecot, proxy
        self.prefix = prefix
        self.sent: dict[str, set[str]] = {}
        house.operator("acme")
        house.write("gatewayd.yaml", f"state: {house.state}\nlimits: {{backoff: {BACKOFF}s}}\n")
        for name in ("ill", *WELL):
            dovecot.user(self.prefix + name, "pass")
            port = proxy.port if name == "ill" else dovecot.ports["imap"]
            house.account(name, "imap", port, self.prefix + name, timeout=f"{TIMEOUT}s", imports=f"  every: {EVERY}s\n")
            self.send(name)

    def send(self, account: str, *, more: tuple[bytes, ...] = (b"",)) -> None:
        """Put messages that nobody has seen before into an account's mailbox, each with more bytes at its end."""
        messages = [raw + end for raw, end in zip(booking_messages(len(more), seed=next(_SEEDS)), more, strict=True)]
        self.dovecot.deliver(self.prefix + account, messages)
        self.sent.setdefault(account, set()).update(message_id(raw) for raw in messages)

    def filed(self, account: str, seconds: float) -> float:
        """Wait until all of an account's mail is filed; return how many seconds that took."""
        began = time.monotonic()
        until(f"all mail of {account} is filed", seconds, lambda: self.house.filed(account).keys() >= self.sent[account])
        return time.monotonic() - began

    def others_go_on(self) -> None:
        """Mail of the other accounts is filed as if there was no fault."""
        for name in WELL:
            self.send(name)
        for name in WELL:
            self.filed(name, UNAFFECTED)

    def says(self, what: str, seconds: float) -> None:
        """Wait until status says what is wrong with the ill account, and what to do; it says so of no other."""

        def said() -> bool:
            found = self.house.status()
            assert not any(found[name]["error"] for name in WELL), found
            row = found["ill"]
            return bool(row["error"] and re.search(what, row["error"]) and row["advice"])

        until(f"status says {what!r}", seconds, said)

    def is_well(self, seconds: float) -> None:
        """Wait until status says that nothing is wrong."""
        until("status is well", seconds, lambda: all(map(_well, self.house.status().values())))

    def prove(self) -> None:
        """Every message was filed exactly once, and nothing else."""
        for name, ids in self.sent.items():
            assert self.house.filed(name) == dict.fromkeys(ids, 1)
            (folder,) = self.house.good("audit", name, "--json").rows
            assert folder["proven"]
            assert folder["states"] == {"filed": len(ids)}


def message_id(raw: bytes) -> str:
    found = re.search(rb"(?mi)^Message-ID:\s*(<\S+>)", raw)
    assert found
    return found[1].decode()


def _well(row: dict[str, Any]) -> bool:
    return row["condition"] == "watching" and not row["error"] and row["failures"] == 0 and row["checked_at"] is not None


@pytest.fixture
def proxy(dovecot: Dovecot) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", dovecot.ports["imap"], address="127.0.0.1") as proxy:
        yield proxy


@pytest.fixture
def site(tmp_path: Path, dovecot: Dovecot, proxy: FaultProxy) -> Site:
    return Site(House(tmp_path), dovecot, proxy, f"{tmp_path.name}-")


@pytest.fixture
def daemon(site: Site) -> Iterator[Daemon]:
    with site.house.daemon() as daemon:
        for name in ("ill", *WELL):
            site.filed(name, 20)
        site.is_well(5)
        yield daemon


def suffers(site: Site, trouble: Trouble) -> float:
    """Let the fault come and go, and say how many seconds after its end all mail was filed."""
    trouble.begin(site.proxy)
    site.send("ill", more=(b"", LARGE, b""))
    site.others_go_on()
    site.says(trouble.says, TIMEOUT + EVERY + 2 * SLACK)
    site.others_go_on()
    trouble.end(site.proxy)
    took = site.filed("ill", HEALED)
    site.is_well(HEALED)
    site.others_go_on()
    return took


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_P4_P10_a_fault_heals_by_itself_and_nobody_else_notices(site: Site, daemon: Daemon, trouble: Trouble) -> None:
    suffers(site, trouble)
    site.prove()
    daemon.stop()
