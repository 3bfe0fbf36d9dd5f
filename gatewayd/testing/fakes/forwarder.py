"""A forwarder without a network: it remembers all deliveries and answers as a test tells it to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from gatewayd import Courier, Forwarder, Receipt, Recipient, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Parcel, RecipientState

__all__ = ["FakeForwarder", "FakeServer"]

#: What a server does with a delivery: a state for all recipients, a state and words for each, or it raises.
Does: TypeAlias = "RecipientState | tuple[tuple[RecipientState, str], ...] | Exception"


@dataclass
class FakeServer:
    """What a fake forwarder delivers to. A test changes its fields while it works.

    >>> server = FakeServer()
    >>> server.says = {7: "refused"}
    """

    #: What is done with a delivery, by its id; all others are delivered.
    says: dict[int, Does] = field(default_factory=dict)
    #: What opening a connection raises; None opens it.
    shut: Exception | None = None
    #: Seconds that are waited before each answer.
    pause: float = 0.0
    #: What receipts say of the next try, in seconds.
    retry_after: float | None = None
    #: The ids of deliveries that hang until their connection is aborted.
    hangs: set[int] = field(default_factory=set)
    #: What the courier writes down about a delivery before it is sent, by the delivery's id.
    notes: dict[int, str] = field(default_factory=dict)
    #: All parcels that were begun, and all that were taken over by then, in their order.
    begun: list[Parcel] = field(default_factory=list)
    delivered: list[Parcel] = field(default_factory=list)
    #: How many connections were opened, and are open.
    opened: int = 0
    open: int = 0
    #: How many were aborted.
    aborted: int = 0

    def courier(self) -> Courier:
        """Open a connection."""
        if self.shut is not None:
            raise self.shut
        self.opened += 1
        self.open += 1
        return _FakeCourier(self)


class _FakeCourier(Courier):
    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._aborted = False

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        for parcel in parcels:
            self._server.begun.append(parcel)
            if parcel.id in self._server.notes:
                parcel.note.write(self._server.notes[parcel.id])
            self._wait(parcel)
            yield self._receipt(parcel)

    def _wait(self, parcel: Parcel) -> None:
        until = time.monotonic() + self._server.pause
        while time.monotonic() < until or parcel.id in self._server.hangs:
            time.sleep(0.002)
            if self._aborted:
                raise TransientError("the connection was aborted")

    def _receipt(self, parcel: Parcel) -> Receipt:
        does = self._server.says.get(parcel.id, "delivered")
        if isinstance(does, Exception):
            raise does
        results = (
            tuple((does, "" if does == "delivered" else f"it says {does}") for _ in parcel.to) if isinstance(does, str) else does
        )
        recipients = tuple(
            Recipient(address=address, state=state, words=words) for address, (state, words) in zip(parcel.to, results, strict=True)
        )
        if any(one.state == "delivered" for one in recipients):
            self._server.delivered.append(parcel)
        return Receipt(id=parcel.id, recipients=recipients, retry_after=self._server.retry_after)

    def abort(self) -> None:
        self._aborted = True
        self._server.aborted += 1

    def close(self) -> None:
        self._server.open -= 1


class FakeForwarder(Forwarder):
    """Sends mail to servers in memory: one for each account, by its name, which come into being when first asked for."""

    kind = "fake"
    sends_mail: ClassVar[bool] = True
    #: Replaced by each test's own, by ``FakeForwarder.on``.
    servers: ClassVar[dict[str, FakeServer]] = {}

    @classmethod
    def on(cls, servers: dict[str, FakeServer]) -> type[FakeForwarder]:
        """Return a forwarder with these servers."""
        return type("FakeForwarder", (cls,), {"servers": servers})

    def open(self) -> Courier:
        """See ``Forwarder``."""
        return self.servers.setdefault(self.name, FakeServer()).courier()
