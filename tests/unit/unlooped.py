"""Parts of a supervisor whose loop does not run: a test does what its turns would, and sees what comes of it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from gatewayd import DaemonHealth, Lease, Task, TransientError
from gatewayd.scheduler import Timings
from gatewayd.scheduler.account_state import WatchedSession
from gatewayd.scheduler.leases import LeaseManager, LeaseRound
from gatewayd.scheduler.visit_runner import RunningVisit
from gatewayd_sql.store import Sql
from tests.patience import AT_ONCE
from tests.unit.heard import events
from tests.unit.supervised import until

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Collection, Sequence

    from gatewayd import AccountHealth, GatewaydError
    from gatewayd.scheduler.account_state import AccountState
    from tests.unit.supervised import House

#: How long a lease lasts here, in seconds.
LEASE = 30.0


def away() -> None:
    """Fail as a database does that can't be reached."""
    raise TransientError("the database is away")


class Heard(Sql):
    """A store that remembers what it was asked, and can be slow or fail at one of these verbs."""

    kind = "heard"

    def listen(self) -> None:
        self.asked: list[str] = []
        self.beats: list[int] = []
        #: How many leases it was asked for, each time.
        self.numbers: list[int] = []
        #: What is done at a verb, before it.
        self.at: dict[str, Callable[[], object]] = {}

    def _hear(self, verb: str) -> None:
        self.asked.append(verb)
        self.at.get(verb, lambda: None)()

    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        self._hear("renew")
        return super().renew_leases(leases)

    def take_leases(self, accounts: Collection[str], owner: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
        self.numbers.append(len(accounts))
        self._hear("take")
        return super().take_leases(accounts, owner, dead=dead)

    def release_leases(self, leases: Sequence[Lease]) -> None:
        self._hear("release")
        super().release_leases(leases)

    def daemons(self) -> Sequence[DaemonHealth]:
        self._hear("daemons")
        return super().daemons()

    def beat(self, daemon: DaemonHealth) -> int:
        self.beats.append(daemon.accounts)
        self._hear("beat")
        return super().beat(daemon)

    def healths(self) -> Sequence[AccountHealth]:
        self._hear("healths")
        return super().healths()


class Bench:
    """A lease manager with a store, and what its rounds did."""

    def __init__(self, house: House, timings: Timings) -> None:
        self.house = house
        self.store = Heard(house.store.options, place=house.store.place)
        self.store.listen()
        self.store.open()
        house._stack.callback(self.store.close)
        self.rounds: SimpleQueue[LeaseRound] = SimpleQueue()
        self.deps = house.deps(store=self.store, timings=timings)
        self.leases = LeaseManager(self.deps, self.rounds.put)
        house._stack.callback(self.leases._thread.shutdown)

    def round(self, held: Sequence[Lease] = (), wanted: Sequence[str] = (), accounts: int = 0) -> LeaseRound:
        """Let it do a round, and return what that did."""
        self.leases.start(held, wanted, accounts)
        return self.rounds.get(timeout=AT_ONCE)

    def lease(self, name: str) -> Lease:
        """A lease that this daemon has taken."""
        [lease] = self.house.store.take_leases([name], self.deps.instance.name, dead=lambda _: False)
        return lease

    def is_free(self, name: str) -> bool:
        """Whether another daemon gets an account's lease; it has it then."""
        return isinstance(self.house.store.take_lease(name, "another", dead=lambda _: False), Lease)

    def beside(self, name: str) -> None:
        """Let another daemon live, too."""
        self.house.store.beat(DaemonHealth(holder=name, version="0", started_at=datetime.now(UTC)))


class Stand:
    """A supervisor whose loop does not run, and who hears of what it does."""

    def __init__(self, house: House, *names: str) -> None:
        self.house = house
        self.heard: list[object] = []
        for name in names:
            house.add(name, can_watch=True)
        heard = events(
            alarm_raised=self.heard.append,
            alarm_over=lambda *what: self.heard.append(what),
            account_gone=self.heard.append,
            account_changed=lambda health, _: self.heard.append((health.account, health.condition, health.error, health.advice)),
        )
        self.supervisor = house.supervisor(timings=Timings(lease=LEASE), events=heard)
        self.handlers, self.states = self.supervisor._handlers, self.supervisor._states
        self.leases, self.request_inbox = self.supervisor._leases, self.supervisor._request_inbox

    def state(self, name: str) -> AccountState:
        state = self.states.get(name)
        assert state is not None
        return state

    def lease(self, name: str) -> Lease:
        """The account's lease, whoever has it."""
        found = self.house.store.take_lease(name, self.supervisor._deps.instance.name, dead=lambda _: True)
        assert isinstance(found, Lease)
        return found

    def done(
        self,
        *taken: Lease,
        kept: frozenset[Lease] | None = frozenset(),
        lost: frozenset[Lease] = frozenset(),
        share: int | None = None,
        error: GatewaydError | None = None,
        healths: tuple[AccountHealth, ...] = (),
    ) -> LeaseRound:
        """Let a round be done that renewed, lost and took these leases."""
        told = {one.account: one for one in healths}
        asked = lost | (kept or frozenset())
        done = LeaseRound(began=time.monotonic(), asked=asked, kept=kept, taken=taken, share=share, error=error, healths=told)
        self.handlers.on_lease_round(done)
        return done

    def own(self, *names: str) -> list[AccountState]:
        """Let accounts be ours."""
        self.done(*[self.lease(name) for name in names])
        return [self.state(name) for name in names]

    def watch(self, state: AccountState) -> None:
        """Let the account's server be watched."""
        session = self.house.servers[state.name].open()
        self.house._stack.callback(session.close)
        watch = session.watch("INBOX")
        assert watch is not None
        state.watched = WatchedSession(session, watch)

    def visit(self, state: AccountState) -> RunningVisit:
        """Let the account be in the middle of a visit."""
        assert state.lease is not None
        registry = self.house.config().registry
        state.run = RunningVisit(state, state.config, {}, None, registry, state.lease, None, Task())
        # As of all that are being visited.
        state.due = None
        self.states._due.drop(state.name)
        return state.run

    def tell(self) -> None:
        """Let everything be told that there is to tell of accounts."""
        self.request_inbox.work(max(time.monotonic(), self.request_inbox._tell_at), [])
        until(lambda: not self.request_inbox._tells)

    def is_given_back(self, name: str) -> bool:
        """Whether the next round gives an account's lease back."""
        self.leases.start([], [], 0)
        self.supervisor._inbox.get(timeout=AT_ONCE)
        return isinstance(self.house.store.take_lease(name, "another", dead=lambda _: False), Lease)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """What was logged since this was asked last, without times."""
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    log.seek(0)
    log.truncate()
    return [{key: value for key, value in line.items() if key not in {"ts", "level"}} for line in told]
