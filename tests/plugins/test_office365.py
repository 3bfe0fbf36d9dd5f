"""The transport ``office365`` against the stand-in: the contract of all transports, and what is Graph's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Action
from gatewayd.testing.contracts.transport import TransportContract
from gatewayd.testing.graph import Graph
from tests.plugins.graph_site import GraphSite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


class TestOffice365(TransportContract):
    tells_size = False
    logs_in_by = "secret"
    actions: ClassVar[Sequence[Action]] = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    @pytest.fixture
    def site(self, graph: Graph) -> GraphSite:
        site = GraphSite(graph)
        site.mailbox.folder("Imported")
        return site
