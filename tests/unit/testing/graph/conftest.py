from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.graph import Graph
from tests.unit.testing.graph.graph_client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


@pytest.fixture
def client(graph: Graph) -> Iterator[Client]:
    with Client(graph) as ready:
        yield ready.log_in()
