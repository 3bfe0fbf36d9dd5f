"""A mailbox that sends on the stand-in for Microsoft Graph, for the tests of the forwarder ``office365``."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from functools import partial
from typing import TYPE_CHECKING

from gatewayd import DeliveryNote, TransientError
from gatewayd.testing.contracts.forwarder import Goal
from gatewayd.testing.servers.proxy import StreamFault
from gatewayd_office365.forwarder import Office365Forwarder, SendingNote
from tests.plugins.graph_site import new_address, options
from tests.unit.testing.graph.graph_client import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from email.message import EmailMessage

    from gatewayd import Parcel, Receipt, Recipient
    from gatewayd.testing.graph import DeliveredCopy, Graph
    from gatewayd.testing.servers.proxy import FaultProxy


class GraphGoal(Goal):
    """A new mailbox, behind a proxy if it is given one."""

    def __init__(self, graph: Graph, proxy: FaultProxy | None = None) -> None:
        self.graph = graph
        self.proxy = proxy
        self.mailbox = graph.add_mailbox(new_address())
        self.mailbox.send_as |= {"out@example.com"}

    def forwarder(self, **changed: object) -> Office365Forwarder:
        if self.proxy is not None:
            address = f"https://{self.graph.host}:{self.proxy.port}"
            self.graph.tokens.audiences.add(address)
            changed = {"authority": address, "graph": f"{address}/v1.0", **changed}
        return Office365Forwarder(options(self.graph, self.mailbox.id, None, **changed), name="acme-out")

    @property
    def copies(self) -> list[DeliveredCopy]:
        """What the mailbox has sent: a copy for each recipient."""
        return [one for one in self.graph.delivered if one.sender == self.mailbox.address]

    def taken(self) -> Sequence[str]:
        return [str(head(one)["Message-ID"]) for one in self.copies]

    def fall_silent(self) -> None:
        assert self.proxy is not None
        self.proxy.fault = StreamFault(do="silence")

    def go_away(self) -> None:
        assert self.proxy is not None
        self.proxy.fault = StreamFault(do="cut")
        self.proxy.refuse()


class Outbox:
    """Tries parcels as the kernel does: each try by a new courier, a minute behind the one before; notes last from try to try."""

    def __init__(self, goal: GraphGoal) -> None:
        self.goal = goal
        #: By deliveries.
        self.notes: dict[int, str] = {}
        #: What became of each recipient, by deliveries.
        self.said: dict[int, tuple[Recipient, ...]] = {}
        #: Ends the courier at work, as if its process were killed; from any thread.
        self.kill: Callable[[], None] = lambda: None

    def parcel(self, parcel: Parcel) -> Parcel:
        """Return a parcel with its note, a minute later."""
        self.age(parcel, 61)
        note = DeliveryNote(self.notes.get(parcel.id, ""), partial(self.notes.__setitem__, parcel.id))
        return replace(parcel, note=note)

    def age(self, parcel: Parcel, seconds: float) -> None:
        """Let time pass."""
        known = SendingNote.of(self.notes.get(parcel.id, ""))
        if known is not None:
            self.notes[parcel.id] = replace(known, since=known.since - seconds).text

    def deliver(self, *parcels: Parcel, **changed: object) -> list[Receipt]:
        """Try parcels once. Raises what the courier raises."""
        receipts = []
        with closing(self.goal.forwarder(**changed).open()) as courier:
            self.kill = courier.abort
            for receipt in courier.deliver([self.parcel(one) for one in parcels]):
                self.said[receipt.id] = receipt.recipients
                receipts.append(receipt)
        return receipts

    def words(self, parcel: Parcel, **changed: object) -> tuple[str, str]:
        """Try a parcel of one recipient once, and return its state with its words."""
        ((one,),) = [receipt.recipients for receipt in self.deliver(parcel, **changed)]
        return one.state, one.words

    def states(self, parcels: Sequence[Parcel]) -> dict[int, str]:
        """Return how deliveries of one recipient stand."""
        return {one.id: self.said[one.id][0].state if one.id in self.said else "waiting" for one in parcels}

    def finish(self, parcels: Sequence[Parcel], *, tries: int = 40) -> None:
        """Try parcels until none of them waits."""
        for _ in range(tries):
            left = [one for one in parcels if self.states([one])[one.id] == "waiting"]
            if not left:
                return
            with suppress(TransientError):
                self.deliver(*left)
            # A minute later no request is under way any more.
            until(lambda: all(one.ended for one in self.goal.graph.log.requests))
        raise AssertionError(f"still waiting: {[self.said.get(one.id) for one in left]}")


def head(copy: DeliveredCopy) -> EmailMessage:
    """Return a mail as a recipient got it."""
    return message_from_bytes(copy.mime, policy=default)
