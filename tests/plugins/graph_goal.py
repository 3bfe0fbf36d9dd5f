"""A mailbox that sends on the stand-in for Microsoft Graph, for the tests of the forwarder ``office365``."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

from gatewayd.testing.contracts.forwarder import Goal
from gatewayd.testing.servers.proxy import StreamFault
from gatewayd_office365.forwarder import Office365Forwarder
from tests.plugins.graph_site import new_address, options

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        return [str(message_from_bytes(one.mime, policy=default)["Message-ID"]) for one in self.copies]

    def fall_silent(self) -> None:
        assert self.proxy is not None
        self.proxy.fault = StreamFault(do="silence")

    def go_away(self) -> None:
        assert self.proxy is not None
        self.proxy.fault = StreamFault(do="cut")
        self.proxy.refuse()
