"""docs/testing-office365.md: its example is run, and it names all that there is."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from gatewayd.testing.graph import EntraApp, Graph
from gatewayd.testing.graph.consents import Consents
from gatewayd.testing.graph.faults import FaultWay, Throttling
from gatewayd.testing.graph.knobs import Knobs
from gatewayd.testing.graph.request_log import RequestLog
from tests.world import blocks

PAGE = Path(__file__).parents[4] / "docs" / "testing-office365.md"
TEXT = PAGE.read_text()
#: What the endpoints call.
_ANSWERING = {"device", "granted", "new_refresh_token", "page", "refresh_tokens"}


def test_its_example_is_run() -> None:
    (example,) = [block.text for block in blocks(PAGE) if block.name]
    namespace: dict[str, object] = {"__name__": "example"}
    exec(compile(example, str(PAGE), "exec"), namespace)
    test = namespace["test_a_message_is_read"]
    assert callable(test)
    test()


@pytest.mark.parametrize(
    "name", [*(field.name for field in fields(Knobs)), *(name for name in vars(Throttling()) if name[0] != "_")]
)
def test_it_names_each_knob(name: str) -> None:
    assert f".{name}`" in TEXT


@pytest.mark.parametrize("way", get_args(FaultWay))
def test_it_names_each_way_to_fail(way: str) -> None:
    assert f'`"{way}"`' in TEXT


def test_it_names_what_tests_call(graph: Graph) -> None:
    names = {name for name, _ in inspect.getmembers(Graph) if name[0] != "_"} - {"host", "port", "elsewhere"}
    missing = [name for name in names if f"graph.{name}" not in TEXT]
    missing += [name for name in ("deliver", "move", "mark_read", "delete", "messages") if f"mailbox.{name}" not in TEXT]
    missing += [
        name for name in vars(RequestLog) if name[0] != "_" and name not in {"begin", "count", "end", "clear"} and name not in TEXT
    ]
    settings = {name for name in [*vars(Consents), *vars(graph.consents)] if name[0] != "_"}
    missing += [name for name in settings - _ANSWERING if f".{name}" not in TEXT]
    missing += [field.name for field in fields(EntraApp) if field.name not in TEXT]
    assert missing == []
