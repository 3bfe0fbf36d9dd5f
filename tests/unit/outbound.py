"""What the tests of the outbox share: a real store, mail in it, and servers in memory that it goes out to."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

from gatewayd import Courier, Delivery, DeliveryQuery, Folders, Forwarder, Viewer
from gatewayd.config import AccountConfig, Config, LimitsConfig, OperatorConfig, SendConfig, TargetConfig
from gatewayd.outgoing.outbox import DeliveryTools, Outbox
from gatewayd.registry.loading import Registry
from gatewayd.runtime.instance import Instance
from gatewayd.runtime.threads import WorkerThreads
from gatewayd.testing import FakeForwarder, FakeServer
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.heard import events

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from gatewayd import DeliveryView, Settled, Store, Taken
    from gatewayd.outgoing.outbox import DeliveryRound

ACME = Viewer(operator="acme", users=("irina",))


class Hook(Forwarder):
    """A forwarder that sends no mail, to servers in memory."""

    kind = "hook"
    servers: dict[str, FakeServer]

    def open(self) -> Courier:
        return self.servers.setdefault(self.name, FakeServer()).courier()


class Post:
    """An outbox with its store, and servers by account or ``operator/target``."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.store = store or self.another_store()
        self.owner = self._stack.enter_context(Instance(folder))
        self.servers: dict[str, FakeServer] = {}
        self.accounts: dict[str, AccountConfig] = {}
        self.operators = {"acme": OperatorConfig(name="acme")}
        self.limits = LimitsConfig()
        self.settler = WorkerThreads(1, "settler")
        self._stack.callback(self.settler.shutdown)
        #: What became of tries, by destination, as told.
        self.told: list[tuple[str, Taken, Settled]] = []
        self._numbers = count(1)
        self._hand: Custodian | None = None

    def another_store(self) -> Sql:
        store = Sql(SqlOptions(url=None), place=Folders(config=self.folder, state=self.folder))
        store.open()
        self._stack.callback(store.close)
        return store

    def account(self, name: str = "out", **changes: Any) -> FakeServer:
        """Add an account that sends, or change it."""
        fields: dict[str, Any] = {
            "operators": ("acme",),
            "options": Forwarder.Options(),
            "sends": SendConfig.model_validate({"from": {"name": "Acme", "address": f"{name}@acme.example"}}),
        }
        self.accounts[name] = AccountConfig(name=name, kind="fake", **(fields | changes))
        return self.servers.setdefault(name, FakeServer())

    def hook(self, target: str = "crm") -> FakeServer:
        """Add a target that gets no mail."""
        self.target(TargetConfig(name=target, kind="hook", options=Forwarder.Options()))
        return self.servers.setdefault(f"acme/{target}", FakeServer())

    def target(self, target: TargetConfig) -> None:
        self.operators["acme"] = OperatorConfig(name="acme", targets={**self.operators["acme"].targets, target.name: target})

    def config(self) -> Config:
        """The config as it is now."""
        hook: type[Forwarder] = type("Hook", (Hook,), {"servers": self.servers})
        fake = FakeForwarder.on(self.servers)
        return Config(
            folder=self.folder,
            state=self.folder,
            store_kind="sql",
            store_options=SqlOptions(url=None),
            registry=Registry(plugins=(), _classes={("forwarders", "fake"): fake, ("forwarders", "hook"): hook}),
            accounts=dict(self.accounts),
            operators=dict(self.operators),
            limits=self.limits,
        )

    def mail(self, raw: bytes | None = None, *, owner: str | None = None, operator: str = "acme") -> int:
        """File a mail, and return its id."""
        number = next(self._numbers)
        self._hand = self._hand or Custodian.of(self.store)
        return self._hand.file(str(number), raw or make_raw(number), make_filing(operator, user=owner))

    def enter(self, *to: str, mail: int | None = None, **fields: Any) -> int:
        """Enter a delivery of a new mail, and return its id."""
        return self.store.deliver(ACME, self.mail() if mail is None else mail, [self._delivery(*to, **fields)])[0]

    def enter_many(self, number: int, account: str = "out") -> Sequence[int]:
        """Enter so many deliveries of one mail in one transaction, and return their ids."""
        many = [self._delivery(account=account, cause=f"person:{one}") for one in range(number)]
        return self.store.deliver(ACME, self.mail(), many)

    def _delivery(self, *to: str, account: str = "out", cause: str = "person:anna", **fields: Any) -> Delivery:
        return Delivery(
            forwarder="fake",
            account=account,
            to=to or ("duty@example.com",),
            cause=cause,
            message_id=f"<gw.f.{next(self._numbers)}@acme.example>",
            **fields,
        )

    def enter_hook(self, target: str = "crm") -> int:
        return self.enter(target, account="", target=target, cause="rule 1")

    def tools(self, **fields: Any) -> DeliveryTools:
        told = {"events": events(delivery_settled=lambda *one: self.told.append(one))}
        return DeliveryTools(store=self.store, instance=self.owner, settler=self.settler, **(told | fields))

    def deliver(self, destination: str = "account out", *, failures: int = 0, **tools: Any) -> DeliveryRound:
        """Do one round."""
        return Outbox(self.config()).deliver(destination, self.tools(**tools), failures=failures)

    def view(self, delivery: int) -> DeliveryView:
        (found,) = self.store.deliveries(ACME, DeliveryQuery(ids=(delivery,)))
        return found

    def states(self, deliveries: Sequence[int]) -> list[str]:
        return [self.view(one).state for one in deliveries]

    def now(self, *deliveries: int) -> None:
        """Let what waits be due."""
        self.store.redeliver(ACME, deliveries)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
