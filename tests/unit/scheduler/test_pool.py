"""Room for visits is given back, whatever becomes of the visit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.unit.turned import Turned

if TYPE_CHECKING:
    from tests.unit.supervised import House


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
