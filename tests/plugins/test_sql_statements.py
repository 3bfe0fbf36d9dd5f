"""What a visit does for the messages of a batch, it asks the store in as many statements whether they are few or many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, event

from gatewayd import Action
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEW, MANY = 4, 40


@pytest.fixture
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def remember(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    yield seen
    event.remove(Engine, "before_cursor_execute", remember)


def moved(transport: FakeTransport, here: str, there: str) -> None:
    for key in transport.keys(here):
        transport.move(key, here, there)


def emptied(transport: FakeTransport) -> None:
    for key in transport.keys("INBOX"):
        transport.vanish(key, "INBOX")


#: What happens on the server before each visit.
STEPS: dict[str, Callable[[FakeTransport], object]] = {
    "first import": lambda _: None,
    "second import": lambda _: None,
    "moved": lambda transport: moved(transport, "INBOX", "Team"),
    "moved back": lambda transport: moved(transport, "Team", "INBOX"),
    "renumbered": lambda transport: transport.renumber("INBOX"),
    "gone": emptied,
}


def walked(folder: Path, count: int, statements: list[str], *, spans: bool) -> dict[str, list[str]]:
    """Return the statements of each visit, for so many messages."""
    transport = FakeTransport(("INBOX", "Team"), account="main", keys_span_folders=spans)
    for number in range(count):
        transport.deliver(make_raw(number), "INBOX")
    folder.mkdir()
    imports = ImportConfig(folders=("INBOX", "Team"), after=Action(do="seen"))
    # Messages of unknown size count as 1 MiB each.
    limits = limited(batch_messages=100, batch_bytes=1 << 30)
    seen = {}
    with Gateway(folder, transport, imports=imports, limits=limits) as gateway:
        for step, happens in STEPS.items():
            happens(transport)
            statements.clear()
            gateway.good()
            seen[step] = list(statements)
        assert len(gateway.filings()) == count
    return seen


@pytest.mark.parametrize("spans", [False, True])
def test_a_visit_takes_as_many_statements_for_many_messages_as_for_few(
    tmp_path: Path, statements: list[str], *, spans: bool
) -> None:
    few, many = (walked(tmp_path / str(count), count, statements, spans=spans) for count in (FEW, MANY))
    more = {step: (len(few[step]), len(many[step])) for step in STEPS if len(many[step]) > len(few[step]) + 2}
    assert not more, "statements grow with the messages"
