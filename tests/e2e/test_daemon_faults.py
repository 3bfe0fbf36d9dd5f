"""Faults between a running daemon and a server: it heals by itself in the time that the back-off promises, and nobody else notices (P4, P10)."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.testing.servers.proxy import FaultProxy, StreamFault
from tests.e2e.house import Daemon, House, until
from tests.e2e.mailboxes import Mailboxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

#: What the accounts ask for, in seconds.
TIMEOUT, EVERY, BACKOFF = 2, 1, 1
#: What working takes on a machine that has other things to do, too.
SLACK = 3
#: A try that hangs is waited for, then the back-off, then a visit is all it takes.
HEALED = TIMEOUT + BACKOFF + SLACK
#: A connection that stands and that nobody serves: asked for a proof, given up, and opened anew at most 2 s later.
FOUND_DEAD = EVERY + TIMEOUT + 2 + SLACK
#: A message in which a session ended is tried last, after 10 s and a fifth at most.
TRIED_AGAIN = 12 + EVERY + SLACK
#: How soon mail of accounts that have no fault is filed, whatever happens to others; and beside other tests, which take their time.
UNAFFECTED, BESIDE_OTHERS = 2, 10
#: Where a fault falls that is to hit a body: behind all that a server says before, and inside the large message.
IN_A_BODY = 10_000
LARGE = b"It is a long letter, of many lines such as this one.\r\n" * 800
SEED, ROUNDS = 20260106, 40


@dataclass(frozen=True)
class Trouble:
    """One kind of fault."""

    begin: Callable[[FaultProxy], None]
    #: What status says of it.
    says: str
    end: Callable[[FaultProxy], None] = lambda proxy: setattr(proxy, "fault", None)


def fault(**what: Any) -> Callable[[FaultProxy], None]:
    return lambda proxy: setattr(proxy, "fault", StreamFault(**what))


def slow(seconds: float) -> Callable[[FaultProxy], None]:
    return lambda proxy: setattr(proxy, "latency", seconds)


def refuse(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.fault = StreamFault(do="reset")


def accept(proxy: FaultProxy) -> None:
    proxy.fault = None
    proxy.accept()


SILENT = "no answer within 2 s|did not answer for 2 seconds"
ENDED = "the session ended|connection lost"
TROUBLES = {
    "latency": Trouble(slow(3), SILENT, slow(0)),
    "reset": Trouble(fault(do="reset"), ENDED),
    "cut in the greeting": Trouble(fault(do="cut", after=20), ENDED),
    "cut after the log-in": Trouble(fault(do="cut", after=500), ENDED),
    "black hole": Trouble(fault(do="silence"), SILENT),
    "garbage": Trouble(fault(do="garbage"), f"{ENDED}|expected an IMAP greeting"),
    "refused": Trouble(refuse, "connection refused", accept),
}


class Site(Mailboxes):
    """Accounts behind a proxy, and two at the same server that are not."""

    well = ("well-1", "well-2")

    def __init__(
        self, house: House, dovecot: Dovecot, proxy: FaultProxy, *, ill: Sequence[str] = ("ill",), limits: str = ""
    ) -> None:
        super().__init__(house, dovecot)
        self.proxy, self.ill = proxy, ill
        house.operator("acme")
        house.write("gatewayd.yaml", f"state: {house.state}\nlimits: {{backoff: {BACKOFF}s{limits}}}\n")
        timeout, every = f"{TIMEOUT}s", f"  every: {EVERY}s\n"
        for name in ill:
            # Another name for this machine: to the daemon it is another server.
            self.add(name, host="127.0.0.1", port=proxy.port, timeout=timeout, imports=every)
        for name in self.well:
            self.add(name, timeout=timeout, imports=every)
        for name in self.sent:
            self.send(name)

    def others_go_on(self, seconds: float = BESIDE_OTHERS) -> None:
        """Mail of the other accounts is filed while the fault lasts, as if there was none."""
        for name in self.well:
            self.send(name)
        self.filed(*self.well, seconds=seconds)

    def says(self, what: str, seconds: float, *, failures: int = 1) -> None:
        """Wait until status says what is wrong with the ill accounts, and what to do; it says so of no other."""

        def said() -> bool:
            found = self.house.status()
            assert not any(found[name]["error"] for name in self.well), found
            rows = [found[name] for name in self.ill]
            return all(re.search(what, row["error"] or "") and row["advice"] and row["failures"] >= failures for row in rows)

        until(f"status says {what!r}", seconds, said)

    def is_well(self, seconds: float) -> None:
        """Wait until status says that nothing is wrong."""
        until("status is well", seconds, lambda: all(map(_well, self.house.status().values())))


def _well(row: dict[str, Any]) -> bool:
    return row["condition"] == "watching" and not row["error"] and row["failures"] == 0 and row["checked_at"] is not None


@pytest.fixture
def proxy(dovecot: Dovecot) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", dovecot.ports["imap"], address="127.0.0.1") as proxy:
        yield proxy


@pytest.fixture
def site(tmp_path: Path, dovecot: Dovecot, proxy: FaultProxy) -> Site:
    return Site(House(tmp_path), dovecot, proxy)


@pytest.fixture
def daemon(site: Site) -> Iterator[Daemon]:
    with site.house.daemon() as daemon:
        begun(site)
        yield daemon


def begun(site: Site) -> None:
    site.filed(seconds=30)
    site.is_well(10)


def suffers(site: Site, trouble: Trouble, *, unaffected: float = BESIDE_OTHERS) -> None:
    """Let a fault last until everybody knows of it; once it is over, nothing of it is left."""
    trouble.begin(site.proxy)
    site.send("ill", more=(b"", LARGE, b""))
    site.others_go_on(unaffected)
    site.says(trouble.says, HEALED + SLACK)
    site.others_go_on(unaffected)
    trouble.end(site.proxy)
    site.filed(seconds=HEALED)
    site.is_well(HEALED)


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_P4_P10_a_fault_heals_by_itself_and_nobody_else_notices(site: Site, daemon: Daemon, trouble: Trouble) -> None:
    suffers(site, trouble)
    site.prove()
    assert daemon.stop() < 5


@pytest.mark.parametrize("do", ["cut", "reset", "silence", "garbage"])
def test_P4_a_fault_in_a_body_heals_at_the_next_try(site: Site, daemon: Daemon, do: Any) -> None:
    site.proxy.fault = StreamFault(do=do, after=IN_A_BODY)
    site.send("ill", more=(b"", LARGE, b""))
    until("the session ended", HEALED, lambda: "account backs off account=ill" in daemon.log)
    site.proxy.fault = None
    site.filed("ill", seconds=TRIED_AGAIN)
    site.is_well(HEALED)
    site.others_go_on()
    site.prove()


def test_P4_P10_a_connection_that_stands_and_is_not_served_is_found_out(site: Site, daemon: Daemon) -> None:
    """What the server says of new mail is swallowed, and nothing comes on that connection ever again. New ones are served."""
    site.proxy.fault = StreamFault(do="silence")
    site.send("ill")
    until("something was swallowed", EVERY + SLACK, lambda: site.proxy.struck)
    site.proxy.fault = None
    site.filed("ill", seconds=FOUND_DEAD)
    site.others_go_on()
    assert "did not answer for 2 seconds while it was watched" in daemon.log
    site.is_well(HEALED)
    site.prove()


@pytest.mark.alone
def test_P4_many_accounts_at_a_dead_server_delay_nobody_at_another(tmp_path: Path, dovecot: Dovecot, proxy: FaultProxy) -> None:
    """They are four times as many as there may be visits at all, and each of theirs hangs."""
    ill = [f"ill-{number}" for number in range(16)]
    site = Site(House(tmp_path), dovecot, proxy, ill=ill, limits=", visits: 4, visits_per_host: 2")
    with site.house.daemon():
        begun(site)
        proxy.fault = StreamFault(do="silence")
        for name in ill:
            site.send(name)
        site.says(SILENT, FOUND_DEAD, failures=0)
        for _ in range(5):
            time.sleep(0.5)
            site.others_go_on(UNAFFECTED)
        proxy.fault = None
        site.filed(seconds=HEALED)
        site.is_well(HEALED)
    site.prove()


@pytest.mark.campaign
@pytest.mark.usefixtures("daemon")
def test_P4_a_message_in_which_every_session_ends_waits_for_its_next_try_alone(site: Site) -> None:
    site.proxy.fault = StreamFault(do="cut", after=IN_A_BODY)
    site.send("ill", more=(LARGE, b"", b""))
    until("the two behind it are filed", HEALED, lambda: site.left("ill") == 1)
    site.proxy.fault = None
    site.filed("ill", seconds=TRIED_AGAIN)
    site.prove()


@pytest.mark.campaign
@pytest.mark.usefixtures("daemon")
def test_P4_P10_one_fault_after_another(site: Site) -> None:
    rng = random.Random(SEED)
    for _ in range(ROUNDS):
        trouble = rng.choice(
            [*TROUBLES.values(), *(Trouble(fault(do=do, after=rng.randrange(600)), ENDED) for do in ("cut", "reset"))]
        )
        suffers(site, trouble, unaffected=UNAFFECTED)
    site.prove()
