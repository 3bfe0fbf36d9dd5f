from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.graph import Graph
from tests.plugins.graph_site import GraphSite

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


@pytest.fixture
def site(graph: Graph) -> GraphSite:
    return GraphSite(graph)
