"""What the tests of the supervisor share: servers in memory, a real store in a folder, and supervisors beside each other."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pydantic import Field

from gatewayd import DaemonHealth, Folders, Query, Transport, Viewer
from gatewayd.config import AccountConfig, Config, ImportConfig, LimitsConfig
from gatewayd.matching import LocalMatching
from gatewayd.registry.loading import Registry
from gatewayd.runtime.events import Events
from gatewayd.runtime.instance import Instance
from gatewayd.scheduler import Dependencies, Supervisor, Timings
from gatewayd.testing import FakeTransport
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.patience import AT_ONCE, Stopwatch
from tests.unit.kernel import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from gatewayd import AccountHealth, Store
    from gatewayd.runtime.times_of_day import TimesOfDay

#: Back-off in tests begins with this many seconds.
FIRST = 0.2


class Site(Transport.Options):
    """Where a fake server is."""

    host: str = Field("", description="Its name.")
    timeout: float = Field(5.0, description="Seconds that it may take.")


def until(holds: Callable[[], object], *, within: float = 30.0) -> None:
    """Wait until something holds; fail where it does not in time. ``within`` is in seconds of a quiet machine."""
    watch, began = Stopwatch(), time.monotonic()
    while not holds():
        assert watch.seconds < within, f"it did not come to pass within {within:g} s"
        # What is waited for needs the processor, too.
        time.sleep(max(0.01, 3 * (time.monotonic() - began)))
        began = time.monotonic()


class House:
    """Accounts on servers in memory, one store, and any number of daemons."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.servers: dict[str, FakeTransport] = {}
        self.accounts: dict[str, AccountConfig] = {}
        self.specs = {"acme": spec()}
        #: By which its daemons go, from when they begin on.
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.store = self.another_store()

    def another_store(self) -> Sql:
        store = Sql(SqlOptions(url=None), place=Folders(config=self.folder, state=self.folder))
        store.open()
        self._stack.callback(store.close)
        return store

    def add(
        self,
        name: str,
        *,
        host: str = "",
        group: str = "",
        every: float = 60.0,
        at: TimesOfDay | None = None,
        timeout: float = 5.0,
        kind: type[FakeTransport] = FakeTransport,
        **server: object,
    ) -> FakeTransport:
        """Add an account with a server of its own; ``server`` is for ``FakeTransport``, or what is derived from it."""
        found = self.servers[name] = kind(account=name, timeout=timeout, **server)  # type: ignore[arg-type]
        found.in_group = group
        self.change(
            name,
            options=Site(host=host, timeout=timeout),
            imports=ImportConfig.model_construct(folders=tuple(found.folders), every=every),
        )
        self.accounts[name] = replace(self.accounts[name], at=at)
        return found

    def change(self, name: str, *, options: Site | None = None, imports: ImportConfig | None = None, text: str = "") -> None:
        """Give an account another config."""
        before = self.accounts.get(name)
        assert before or options
        self.accounts[name] = AccountConfig(
            name=name,
            kind="fake",
            description=text,
            operators=("acme",),
            options=options or cast("AccountConfig", before).options,
            group=self.servers[name].in_group,
            imports=imports or cast("AccountConfig", before).imports,
            at=before.at if before else None,
        )

    def config(self) -> Config:
        """The config as the accounts are now."""

        def made(_: Transport.Options, *, account: str) -> Transport:
            return self.servers[account]

        registry = Registry(plugins=(), _classes={("transports", "fake"): cast("type[Transport]", made)})
        return Config(
            folder=self.folder,
            state=self.folder,
            store_kind="sql",
            store_options=SqlOptions(url=None),
            registry=registry,
            accounts=dict(self.accounts),
        )

    def daemon(
        self,
        *,
        store: Store | None = None,
        visits: int = 8,
        per_host: int = 8,
        timings: Timings | None = None,
        backoff: float = 2.0,
        auth_pause: float = 900.0,
        day_messages: int = 500_000,
        events: Events | None = None,
    ) -> Daemon:
        """Start a supervisor with the config as it is now."""
        limits = LimitsConfig.model_construct(
            visits=visits, visits_per_host=per_host, backoff=backoff, auth_pause=auth_pause, day_messages=day_messages
        )
        daemon = Daemon(self, store or self.store, limits, timings or Timings(first=FIRST), events or Events())
        self._stack.callback(daemon.stop)
        return daemon

    def deps(self, *, store: Store | None = None, timings: Timings | None = None, events: Events | None = None) -> Dependencies:
        """What a supervisor works with, whose owner lives as long as the house."""
        owner = self._stack.enter_context(Instance(self.folder))
        deps = dependencies_of(owner, store or self.store, LimitsConfig(), timings or Timings(), events or Events())
        return replace(deps, clock=self.clock)

    def supervisor(self, *, timings: Timings | None = None, events: Events | None = None) -> Supervisor:
        """A supervisor with the config as it is now, whose loop does not run: the test does what it would do."""
        supervisor = Supervisor(self.deps(timings=timings, events=events))
        self._stack.callback(supervisor.stop, AT_ONCE)
        supervisor._states.apply(self.config(), self.specs, None)
        return supervisor

    def health(self, name: str) -> AccountHealth | None:
        """How an account is, as another process sees it."""
        return next((one for one in self.store.healths() if one.account == name), None)

    def error(self, name: str) -> str:
        """What is wrong with an account, as another process sees it."""
        found = self.health(name)
        return found.error if found else ""

    def filed(self, account: str | None = None) -> int:
        """How many mails are filed."""
        return len(self.store.filings(Viewer(operator="acme"), Query(account=account, limit=10_000)))

    def visits(self, name: str) -> int:
        """How often an account's listing was asked for."""
        return len(self.servers[name].steps("listing"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()


def dependencies_of(owner: Instance, store: Store, limits: LimitsConfig, timings: Timings, events: Events) -> Dependencies:
    """What the supervisor of an owner works with."""

    def health(accounts: int) -> DaemonHealth:
        return DaemonHealth(holder=owner.name, version="0", started_at=datetime.now(UTC), accounts=accounts)

    matching = LocalMatching(Registry(plugins=(), _classes={}))
    return Dependencies(
        store=store, instance=owner, matching=matching, limits=limits, daemon=health, events=events, timings=timings
    )


class Daemon:
    """One supervisor, with an owner of its own."""

    def __init__(self, house: House, store: Store, limits: LimitsConfig, timings: Timings, events: Events) -> None:
        self._house = house
        self._stack = ExitStack()
        self.owner = self._stack.enter_context(Instance(house.folder))
        deps = dependencies_of(self.owner, store, limits, timings, events)
        self.supervisor = Supervisor(replace(deps, clock=house.clock))
        self.supervisor.start(house.config(), house.specs)
        self._stopped = False

    def reload(self) -> None:
        """Take the config over as it is now."""
        self.supervisor.apply(self._house.config(), self._house.specs)

    def held(self) -> set[str]:
        """The accounts that it holds."""
        return {lease.account for _, lease in self.supervisor._states.held()}

    def stop(self, timeout: float = AT_ONCE) -> int:
        """Stop it; once."""
        if self._stopped:
            return 0
        self._stopped = True
        abandoned = self.supervisor.stop(timeout)
        self._stack.close()
        return abandoned


def mails(server: FakeTransport, subjects: Iterable[str]) -> None:
    """Deliver mail."""
    for subject in subjects:
        server.deliver(f"Subject: {subject}\r\nMessage-ID: <{subject}@example.com>\r\n\r\nText\r\n".encode())
