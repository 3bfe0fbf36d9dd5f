"""Room for visits is given back, whatever becomes of the visit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.unit.supervised import House
from tests.unit.turned import Turned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.mark.parametrize("step", ["watch", "open", "listing"])
def test_a_visit_in_which_a_transport_would_end_the_process_ends_as_one_that_failed(house: House, step: str) -> None:
    server = house.add("main", can_watch=True)
    server.on(step, SystemExit("a library thinks that it is a program"))  # type: ignore[arg-type]
    with Turned(house) as turned:
        turned.until(lambda: turned.state().error)
        assert "failed" in turned.state().error
        assert turned.state().run is None
        assert not turned.supervisor._pool.runs
        turned.until(lambda: server.sessions == 0)
        turned.supervisor._states.put(turned.state(), 0.0)
        turned.until(lambda: turned.state().checked_at)
        turned.until(server.watches)


def test_an_account_for_whose_visit_no_thread_is_to_be_had_waits_on(house: House) -> None:
    server = house.add("main")
    with Turned(house, visits=1) as turned:
        before = threading.stack_size(1 << 46)
        try:
            turned.until(lambda: "main" in turned.supervisor._pool)
            turned.turn()
            assert "main" in turned.supervisor._pool
            assert turned.state().run is None
        finally:
            threading.stack_size(before)
        turned.until(lambda: server.steps("listing"))
        turned.until(lambda: turned.state().run is None)


def test_a_transport_that_would_end_the_process_when_it_is_made_costs_its_account_alone(house: House) -> None:
    server, broken = house.add("main"), [SystemExit("no licence")]
    made = house.servers.pop("main")
    with Turned(house) as turned:
        # As a class whose constructor ends the process.
        class Servers(dict[str, object]):
            def __missing__(self, name: str) -> object:
                if broken:
                    raise broken.pop()
                return made

        house.servers = Servers()  # type: ignore[assignment]
        turned.until(lambda: turned.state().error)
        assert "failed" in turned.state().error
        assert not turned.supervisor._pool.runs
        turned.supervisor._states.put(turned.state(), 0.0)
        turned.until(lambda: server.steps("listing"))


def test_accounts_that_are_not_to_be_visited_after_all_cost_no_threads(house: House) -> None:
    house.add("main")
    with Turned(house) as turned:
        pool = turned.supervisor._pool
        before = visitors()
        for _ in range(5):
            pool.offer_visit(turned.state(), at=0.0)
            pool.start(lambda _: None)
        assert visitors() - before <= 1


def visitors() -> int:
    return sum(one.name.startswith("visit-") for one in threading.enumerate())
