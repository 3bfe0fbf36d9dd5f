"""What the tests of the accounts of a supervisor share: the real parts around them, and no loop. Each step is the test's."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import DaemonHealth, Lease, Task
from gatewayd.config import LimitsConfig
from gatewayd.matching import LocalMatching
from gatewayd.registry.loading import Registry
from gatewayd.runtime.instance import Instance
from gatewayd.scheduler import Dependencies
from gatewayd.scheduler.account_state import WatchedSession
from gatewayd.scheduler.account_states import AccountStates
from gatewayd.scheduler.leases import LeaseManager
from gatewayd.scheduler.pool import VisitPool
from gatewayd.scheduler.request_inbox import RequestInbox
from gatewayd.scheduler.session_closer import SessionCloser
from gatewayd.scheduler.visit_runner import RunningVisit, VisitRunner
from gatewayd.scheduler.watcher import Watcher
from tests.patience import AT_ONCE
from tests.unit.heard import events

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from gatewayd import Alarm
    from gatewayd.api.health import AlarmKind
    from gatewayd.api.session import Session
    from gatewayd.config import Config
    from gatewayd.errors import Fault
    from gatewayd.scheduler.account_state import AccountState
    from tests.unit.supervised import House


class Parts:
    """All accounts of a house, of a daemon that does nothing by itself."""

    def __init__(self, house: House, *, visits: int = 8) -> None:
        house.accounts.clear()
        self.house = house
        self.owner = Instance(house.folder)
        #: What was heard.
        self.gone: list[str] = []
        self.alarms: list[Alarm] = []
        self.over: list[tuple[AlarmKind, str]] = []
        self.conditions: list[tuple[str, str]] = []
        heard = events(
            account_gone=self.gone.append,
            alarm_raised=self.alarms.append,
            alarm_over=lambda kind, name: self.over.append((kind, name)),
            account_changed=lambda health, _: self.conditions.append((health.account, health.condition)),
        )
        limits = LimitsConfig(visits=visits)
        matching = LocalMatching(Registry(plugins=(), _classes={}))
        deps = Dependencies(
            store=house.store, instance=self.owner, matching=matching, limits=limits, daemon=self._health, events=heard
        )
        self.watcher = Watcher(lambda _: None, lambda _: None)
        self.session_closer = SessionCloser(self.watcher)
        # What a visit did is not taken in: an account is being visited until the test says that it is not.
        self.pool = VisitPool(limits, VisitRunner(deps, self.watcher), lambda _, __, ___: None, slow=AT_ONCE, turn=AT_ONCE)
        self.leases = LeaseManager(deps, lambda _: None)
        self.request_inbox = RequestInbox(deps, lambda _: None)
        self._ended = False
        self._sessions: list[Session] = []
        self.states = AccountStates(deps, self.pool, self.leases, self.request_inbox, self.session_closer)

    def _health(self, accounts: int) -> DaemonHealth:
        return DaemonHealth(holder=self.owner.name, version="0", started_at=datetime.now(UTC), accounts=accounts)

    def apply(self, *faults: Fault) -> Config:
        """Take the config over as it is now."""
        config = replace(self.house.config(), faults=faults)
        self.states.apply(config, self.house.specs, None)
        return config

    def state(self, name: str = "main") -> AccountState:
        """An account that is in the config."""
        found = self.states.get(name)
        assert found is not None
        return found

    def ours(self, name: str = "main", *, host: str = "", can_watch: bool = False) -> AccountState:
        """A new account, with a lease."""
        self.house.add(name, host=host, can_watch=can_watch)
        self.apply()
        state = self.state(name)
        state.lease = Lease(account=name, holder=self.owner.name, epoch=1)
        return state

    def watched(self, state: AccountState) -> WatchedSession:
        """Let an account's session wait for its server's word."""
        session = self.house.servers[state.name].open()
        watch = session.watch("INBOX")
        assert watch is not None
        state.watched = WatchedSession(session, watch)
        self._sessions.append(session)
        return state.watched

    def visited(self, state: AccountState) -> RunningVisit:
        """Let an account be visited: by nobody, so that nothing comes of it."""
        assert state.lease is not None
        state.run = RunningVisit(
            state=state,
            config=state.config,
            specs={},
            router=None,
            registry=Registry(plugins=(), _classes={}),
            lease=state.lease,
            watched=None,
            task=Task(),
        )
        return state.run

    def work(self) -> None:
        """Start what is due by now."""
        self.states.work(time.monotonic())

    def told(self) -> list[tuple[str, str]]:
        """Which accounts there is something to tell of, and in what condition."""
        self.request_inbox.work(time.monotonic(), ())
        return self.conditions

    def given_back(self) -> None:
        """Give back what is to be given back, and nothing later."""
        if not self._ended:
            self._ended = True
            assert self.leases.end([], AT_ONCE)

    def closed(self, name: str = "main") -> list[str]:
        """What an account's server was asked for, once all sessions are closed that were to be."""
        assert self.session_closer.end(AT_ONCE)
        return [one.step for one in self.house.servers[name].asked]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        slots = self.pool.shutdown()
        self.session_closer.end(AT_ONCE)
        for session in self._sessions:
            session.close()
        self.watcher.stop(AT_ONCE)
        self.given_back()
        self.request_inbox.end(AT_ONCE)
        for slot in slots:
            slot.join(AT_ONCE)
        self.owner.close()
