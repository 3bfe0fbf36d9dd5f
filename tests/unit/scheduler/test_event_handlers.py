"""What happens to accounts comes at once or two after the other, and nothing of it is forgotten."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import Task, TransientError
from gatewayd.scheduler.watcher import WatchEvent
from gatewayd.testing import FakeTransport
from gatewayd.testing.fakes.mailbox import Asked
from gatewayd.testing.fakes.session import FakeSession
from tests.patience import AT_ONCE
from tests.unit.supervised import House, mails, until
from tests.unit.turned import Turned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOST = TransientError("the connection is lost")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


class Breaking(FakeSession):
    """A session that breaks its word when it is to be broken off."""

    def abort(self) -> None:
        super().abort()
        raise RuntimeError("a bug of the transport")


class Raising(FakeTransport):
    """Opens such sessions."""

    def open(self) -> FakeSession:
        session = Breaking(self)
        session.step(Asked("open"))
        with self._lock:
            self.sessions += 1
        return session


def watching(turned: Turned, name: str = "main") -> None:
    """Let an account be visited, and be watched."""
    turned.until(lambda: turned.state(name).watched)


def test_news_put_the_comparison_off_by_one_visit_and_no_more(house: House) -> None:
    server = house.add("main", can_watch=True)
    with Turned(house) as turned:
        watching(turned)
        state = turned.state()
        state.compare_at = time.monotonic()
        mails(server, ["first"])
        turned.until(lambda: house.filed() == 1 and state.watched)
        assert state.compared_at is None, "what was announced comes first"
        mails(server, ["second"])
        turned.until(lambda: house.filed() == 2 and state.watched)
        assert state.compared_at is not None
        assert state.compare_at > time.monotonic() + 3600


def test_an_account_whose_watch_is_lost_while_it_waits_in_line_is_not_visited_before_its_time(house: House) -> None:
    house.add("main", can_watch=True)
    other = house.add("other")
    with Turned(house, visits=1) as turned:
        watching(turned)
        turned.until(lambda: turned.state("other").checked_at)
        state = turned.state()
        state.flaps = 3
        other.hang("listing")
        turned.supervisor._states.put(turned.state("other"), 0.0)
        turned.until(lambda: turned.state("other").run)
        turned.supervisor._handlers.on_watch_events([WatchEvent(name="main", news=True)])
        turned.turn()
        assert "main" in turned.supervisor._pool
        turned.supervisor._handlers.on_watch_events([WatchEvent(name="main", lost=_LOST)])
        assert "main" not in turned.supervisor._pool
        assert turned.due_in() > 40
        other.break_connections()


def test_a_person_waits_no_longer_where_a_watch_is_lost_that_moment(house: House) -> None:
    house.add("main", can_watch=True)
    with Turned(house) as turned:
        watching(turned)
        turned.state().flaps = 3
        house.store.ask("main", Task())
        turned.supervisor._handlers.on_requests(house.store.requests())
        turned.supervisor._handlers.on_watch_events([WatchEvent(name="main", lost=_LOST)])
        assert turned.due_in() <= 0.0


def test_P4_an_account_goes_on_though_its_transport_raised_what_cannot_be_taken_in(house: House) -> None:
    server = house.add("main", can_watch=True)
    server.on("listing", TransientError("busy", retry_after="60 seconds"))  # type: ignore[arg-type]
    with Turned(house) as turned:
        turned.until(lambda: house.visits("main") and turned.state().run is None)
        assert "could not be handled" in turned.state().error
        assert turned.state().condition == "backing off"
        assert turned.due_in() > 60
        request = house.store.ask("main", Task())
        turned.until(lambda: house.store.requests(ids=[request])[0].answer)


def test_P4_a_session_that_raises_when_it_is_broken_off_keeps_no_other_one_open(house: House) -> None:
    for name in ("one", "two", "visited"):
        house.add(name, can_watch=True)
        house.servers[name] = Raising(account=name, can_watch=True, timeout=AT_ONCE)
    house.servers["visited"].hang("listing")
    with Turned(house) as turned:
        watching(turned, "one")
        watching(turned, "two")
        turned.until(lambda: house.visits("visited"))
        turned.supervisor._begin_to_stop()
        turned.until(lambda: not turned.supervisor._pool.runs)
    assert [server.sessions for server in house.servers.values()] == [0, 0, 0]


def test_P4_an_account_that_is_lost_is_let_go_though_its_session_raises_when_it_is_broken_off(house: House) -> None:
    house.add("main")
    server = house.servers["main"] = Raising(account="main", timeout=AT_ONCE)
    server.hang("listing")
    with Turned(house) as turned:
        turned.until(lambda: house.visits("main"))
        turned.supervisor._handlers.lose(turned.state(), "a test")
        assert turned.state().lease is None
        turned.until(lambda: turned.state().run is None)


def test_a_watch_that_keeps_the_watcher_is_broken_off_while_a_visit_waits_for_it(house: House) -> None:
    server = house.add("main", every=0.5, can_watch=True, timeout=AT_ONCE)
    with Turned(house) as turned:
        watching(turned)
        server.hang("renew")
        until(lambda: turned.supervisor._watcher.stuck(0.0))
        turned.supervisor._states.put(turned.state(), 0.0)
        turned.until(lambda: (run := turned.state().run) and run._session)
        turned.supervisor._break_off("main")
        turned.until(lambda: turned.state().run is None)
        assert not turned.state().failures
        turned.until(lambda: len(server.steps("open")) == 2)
