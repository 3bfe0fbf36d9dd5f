"""Servers in their rooms, one at a time, and what came of each scenario."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, cast

import pytest

from tests.e2e.machine import unable
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot23, Dovecot24
from tests.servers.expected import MISSING
from tests.servers.place import Place
from tests.servers.room import Room
from tests.servers.table import Table

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from tests.servers.mailserver import Kind, MailServer

MAILBOXES: Sequence[type[MailServer]] = (Dovecot23, Dovecot24, Cyrus)
UNABLE = unable()

_table = Table()
_users = count(1)


def _rows(servers: Sequence[type[MailServer]]) -> list[object]:
    return [pytest.param((one, kind), id=f"{one.name} {kind}") for one in servers for kind in one.kinds]


@pytest.fixture(scope="module", params=_rows(MAILBOXES))
def mailboxes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MailServer, Kind]]:
    """Give a server that runs, and the protocol by which it is asked."""
    if UNABLE:
        pytest.skip(UNABLE)
    server, kind = request.param
    with Room(server.suite, server.packages, tmp_path_factory.mktemp("room")) as room:
        yield server(room), kind


@pytest.fixture
def place(mailboxes: tuple[MailServer, Kind], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give a new user of the server, and gatewayd with an account of it."""
    place = Place(*mailboxes, tmp_path, f"user{next(_users)}")
    yield place
    if place.because:
        _table.because(_row(request.node), _column(request.node), place.because)


def _row(item: pytest.Item) -> str:
    assert isinstance(item, pytest.Function)
    server, kind = cast("tuple[type[MailServer], Kind]", item.callspec.params["mailboxes"])
    return f"{server.name} {kind}"


def _column(item: pytest.Item) -> str:
    marker = item.get_closest_marker("scenario")
    assert marker is not None
    return str(marker.args[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("scenario") and (report.when == "call" or not report.passed):
        _table.add(_row(item), _column(item), "sound" if report.passed else report.outcome.upper(), call.duration)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = list(_table.lines())
    if lines:
        terminalreporter.section("servers")
        for line in (*lines, *(f"{name}: missing, {why}" for name, why in MISSING.items())):
            terminalreporter.write_line(line)
