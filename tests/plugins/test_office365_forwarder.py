"""The forwarder ``office365`` against the stand-in: the contract of all forwarders, and mail that is never sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.contracts.forwarder import ForwarderContract
from gatewayd.testing.graph import Graph
from gatewayd.testing.servers.proxy import FaultProxy
from tests.plugins.graph_goal import GraphGoal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


class TestOffice365Forwarder(ForwarderContract):
    @pytest.fixture
    def goal(self, graph: Graph) -> Iterator[GraphGoal]:
        with FaultProxy(graph.host, graph.port) as proxy:
            yield GraphGoal(graph, proxy)
