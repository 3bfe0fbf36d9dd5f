"""Servers in their rooms, one at a time, and what came of each scenario."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, cast

import pytest

from tests.e2e.machine import unable
from tests.servers.courier import Courier
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot23, Dovecot24
from tests.servers.expected import MISSING
from tests.servers.mailutils import MailutilsImap
from tests.servers.place import Place
from tests.servers.pymap import Pymap
from tests.servers.relays import RELAYS
from tests.servers.room import Here, Room
from tests.servers.spools import Popa3d, SolidPop3d
from tests.servers.table import Table

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from tests.servers.mailserver import Kind, MailServer
    from tests.servers.relays import Relay

MAILBOXES: Sequence[type[MailServer]] = (
    Dovecot23,
    Dovecot24,
    Cyrus,
    Courier,
    MailutilsImap,
    Popa3d,
    SolidPop3d,
    Pymap,
)
UNABLE = unable()

#: One for mailboxes, one for what mail is sent through.
_tables = {"mailboxes": Table(), "relay": Table()}
_users = count(1)


@pytest.fixture(
    scope="module", params=[pytest.param((one, kind), id=f"{one.name} {kind}") for one in MAILBOXES for kind in one.kinds]
)
def mailboxes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MailServer, Kind]]:
    """Give a server that runs, and the protocol by which it is asked."""
    if UNABLE:
        pytest.skip(UNABLE)
    server, kind = request.param
    place = Room if server.suite else Here
    with place(server.suite, server.packages, tmp_path_factory.mktemp("room")) as room:
        yield server(room), kind


@pytest.fixture(scope="module", params=[pytest.param(one, id=one.name) for one in RELAYS])
def relay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Give a server that runs, and takes mail."""
    if UNABLE:
        pytest.skip(UNABLE)
    with Room(request.param.suite, request.param.packages, tmp_path_factory.mktemp("room")) as room:
        yield request.param(room)


@pytest.fixture
def place(mailboxes: tuple[MailServer, Kind], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give a new user of the server, and gatewayd with an account of it."""
    place = Place(*mailboxes, tmp_path, f"user{next(_users)}")
    yield place
    if place.because:
        table, row, column = _cell(request.node)
        table.because(row, column, place.because)


def _cell(item: pytest.Item) -> tuple[Table, str, str]:
    """Return the table, the row and the column that a test's result belongs to."""
    assert isinstance(item, pytest.Function)
    marker = item.get_closest_marker("scenario")
    assert marker is not None
    fixture = next(name for name in _tables if name in item.callspec.params)
    if fixture == "relay":
        return _tables[fixture], cast("type[Relay]", item.callspec.params[fixture]).name, marker.args[0]
    server, kind = cast("tuple[type[MailServer], Kind]", item.callspec.params[fixture])
    return _tables[fixture], f"{server.name} {kind}", marker.args[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("scenario") and (report.when == "call" or not report.passed):
        table, row, column = _cell(item)
        table.add(row, column, "sound" if report.passed else report.outcome, call.duration)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what came of it."""
    lines = [line for table in _tables.values() for line in table.lines()]
    if lines:
        terminalreporter.section("servers")
        for line in (*lines, *(f"{name}: not here, {why}" for name, why in MISSING.items())):
            terminalreporter.write_line(line)
