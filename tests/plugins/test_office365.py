"""The transport ``office365`` against the stand-in: the contract of all transports, and what is Graph's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Action
from gatewayd.testing.contracts.transport import TransportContract
from gatewayd.testing.graph import Graph
from gatewayd_office365.pace import pace_of
from tests.plugins.graph_site import GraphSite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


class TestOffice365(TransportContract):
    tells_size = False
    tells_message_id = True
    logs_in_by = "secret"
    actions: ClassVar[Sequence[Action]] = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    @pytest.fixture
    def site(self, graph: Graph) -> GraphSite:
        site = GraphSite(graph)
        site.mailbox.folder("Imported")
        return site


def test_accounts_of_one_app_share_a_bound_that_falls_when_microsoft_refuses_requests(graph: Graph) -> None:
    one, other = GraphSite(graph).transport(), GraphSite(graph).transport()
    assert one.group() == other.group()
    assert graph.app.secret not in one.group()
    before = one.group_limit()
    assert before
    pace = pace_of(one.options.graph, one.options.app)
    with pace.turn("mailbox", urgent=False, stopped=lambda: False) as turn:
        turn.put_off(throttled=True, retry_after=0.0)
    assert other.group_limit() == before // 2
