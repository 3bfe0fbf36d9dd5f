"""Room for visits is given back, whatever becomes of the visit."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.api.health import Task
from gatewayd.runtime.bounded_pool import WORKING
from gatewayd.scheduler import Timings
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.supervised import until
from tests.unit.turned import Turned

if TYPE_CHECKING:
    from gatewayd.testing.fakes.transport import Asked
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


# --- groups that a transport names --------------------------------------------------------------------------------------

#: Messages that wait on the server of an import, more than any test has the time for.
MANY = 1000


class Slow(FakeTransport):
    """It takes its time for each message that is fetched."""

    def ask(self, asked: Asked) -> None:
        if asked.step == "message":
            time.sleep(0.05)
        super().ask(asked)


def importing(house: House, count: int, *, group: str = "", host: str = "") -> None:
    """Add accounts whose first import takes a minute at least."""
    for number in range(count):
        server = house.add(f"import-{number}", group=group, host=host, kind=Slow, keys_span_folders=True)
        server.most_of_group = 4
        for message in range(MANY):
            server.deliver(make_raw(number * MANY + message))


@pytest.mark.parametrize("imports", [1, 4, 7])
def test_P4_first_imports_delay_no_poll_of_their_group_for_long(house: House, imports: int) -> None:
    """However many: those who gave way once leave a place to polls."""
    importing(house, imports, group="app")
    idle = [house.add(f"idle-{number}", group="app", every=0.5) for number in range(10)]
    for server in idle:
        server.most_of_group = 4
    daemon = house.daemon(timings=Timings(first=0.2, turn=0.2))
    until(lambda: all(len(server.steps("listing")) >= 3 for server in idle))
    assert house.filed() < imports * MANY, "the imports go on"
    before = [len(house.servers[f"import-{number}"].steps("message")) for number in range(imports)]
    until(lambda: sum(len(house.servers[f"import-{number}"].steps("message")) for number in range(imports)) > sum(before))
    assert all(health is None or not health.error for health in map(house.health, house.servers))
    daemon.stop()


def test_P4_first_imports_at_a_host_give_way_likewise(house: House) -> None:
    importing(house, 3, host="imap.example.com")
    idle = house.add("idle", host="imap.example.com", every=0.5)
    daemon = house.daemon(per_host=2, timings=Timings(first=0.2, turn=0.2))
    until(lambda: len(idle.steps("listing")) >= 3)
    assert house.filed() < 3 * MANY
    daemon.stop()


def test_P4_first_imports_that_wait_for_each_other_take_turns(house: House) -> None:
    importing(house, 3, host="imap.example.com")
    daemon = house.daemon(per_host=1, timings=Timings(first=0.2, turn=0.05))
    until(lambda: all(house.visits(name) >= 3 for name in house.servers))
    assert house.filed() < 3 * MANY
    daemon.stop()


@pytest.mark.parametrize(
    ("task", "requests", "ends"),
    [
        (Task(), (), True),
        (Task(compare=True), (), True),
        (Task(), (1,), True),
        (Task(compare=True), (1,), False),
        (Task(from_beginning=True), (1,), False),
    ],
)
def test_a_visit_gives_way_unless_a_person_asked_for_more_than_a_visit(
    house: House, task: Task, requests: tuple[int, ...], *, ends: bool
) -> None:
    importing(house, 1)
    with Turned(house, visits=1) as turned:
        turned.until(lambda: turned.state("import-0").run)
        run, pool = turned.state("import-0").run, turned.supervisor._pool
        assert run is not None
        run.task, run.requests = task, requests
        # Nobody waits.
        run.began -= 6.0
        pool.look(time.monotonic())
        assert not run.gives_way
        house.add("other")
        turned.apply()
        turned.until(lambda: pool.line.waiting_for(WORKING))
        pool.look(run.began)
        assert not run.gives_way, "its turn is not over"
        pool.look(time.monotonic())
        assert run.gives_way == ends
        run.requests = ()


def test_no_more_visits_give_way_than_others_wait_and_the_longest_first(house: House) -> None:
    importing(house, 3)
    with Turned(house, visits=3) as turned:
        states = [turned.state(name) for name in house.servers]
        turned.until(lambda: all(state.run for state in states))
        runs, pool = [state.run for state in states if state.run], turned.supervisor._pool
        for number, run in enumerate(runs):
            run.began -= (7.0, 9.0, 8.0)[number]
        house.add("other")
        turned.apply()
        turned.until(lambda: pool.line.waiting_for(WORKING))
        for _ in range(2):
            pool.look(time.monotonic())
            assert [run.gives_way for run in runs] == [False, True, False]


def test_an_account_that_gave_way_once_is_made_way_for_like_any_other_later(house: House) -> None:
    importing(house, 1)
    with Turned(house, visits=1) as turned:
        turned.until(lambda: turned.state("import-0").run)
        run, pool = turned.state("import-0").run, turned.supervisor._pool
        assert run is not None
        house.add("other")
        turned.apply()
        turned.until(lambda: pool.line.waiting_for(WORKING))
        run.began -= 6.0
        for gave_way in (True, False):
            turned.state("other").gave_way = gave_way
            pool.withdraw("other")
            pool.offer_visit(turned.state("other"), at=time.monotonic())
            assert in_order(turned) == []
            pool.look(time.monotonic())
            assert run.gives_way != gave_way


def in_order(turned: Turned) -> list[str]:
    """The accounts that wait, in the order in which there is room for them."""
    order: list[str] = []
    turned.supervisor._pool.start(order.append)
    return order


@pytest.mark.parametrize("asked", [False, True])
def test_whoever_gave_way_waits_behind_others_unless_a_person_asks(house: House, *, asked: bool) -> None:
    house.add("main")
    house.add("other")
    with Turned(house) as turned:
        main, other = turned.state("main"), turned.state("other")
        turned.until(lambda: house.visits("main") and house.visits("other") and not turned.supervisor._pool.runs)
        main.gave_way, now = True, time.monotonic()
        turned.supervisor._pool.offer_visit(main, at=now)
        turned.supervisor._pool.offer_visit(other, at=now + 30.0)
        if asked:
            number = house.store.ask("main", Task())
            turned.supervisor._handlers.on_requests(house.store.requests(ids=[number]))
        assert in_order(turned) == (["main", "other"] if asked else ["other", "main"])
        # A request that came while its visit gave way.
        turned.supervisor._pool.offer_visit(other, at=now + 30.0)
        turned.supervisor._pool.offer_visit(main, at=now)
        assert in_order(turned) == (["main", "other"] if asked else ["other", "main"])


@pytest.mark.parametrize(("host", "room"), [("", 9), ("imap.example.com", 6)])
def test_a_quarter_of_the_room_is_kept_from_those_who_gave_way(house: House, host: str, room: int) -> None:
    """Of twelve places in all, and of the eight at one host."""
    fields: dict[str, Any] = {"host": host} if host else {}
    for name in ("new", *(f"import-{number}" for number in range(12))):
        house.add(name, **fields)
    with Turned(house, visits=12) as turned:
        pool, states = turned.supervisor._pool, [turned.state(name) for name in house.servers]
        turned.until(lambda: all(map(house.visits, house.servers)) and not pool.runs)
        for state in states:
            state.gave_way = state.name != "new"
            pool.offer_visit(state, at=state.gave_way - 1.0)
        taken = list(iter(pool.line.take, None))
        assert [ticket.name for ticket in taken] == ["new", *(f"import-{number}" for number in range(room))]
        for name in house.servers:
            pool.withdraw(name)
        for ticket in taken:
            pool.line.back(ticket.groups)


def test_the_limit_of_a_group_may_change_at_any_time(house: House) -> None:
    servers = [house.add(f"one-{number}", group="app", every=0.1) for number in range(3)]
    for server in servers:
        server.most_of_group = 0
    other = house.add("other", every=0.1)
    house.daemon()
    until(lambda: len(other.steps("listing")) >= 3)
    assert not any(server.asked for server in servers), "whoever waits for room takes no thread and asks nothing"
    until(lambda: all("asked for patience" in house.error(f"one-{number}") for number in range(3)))
    assert not house.error("other")
    for server in servers:
        server.most_of_group = 1
    until(lambda: all(len(server.steps("listing")) >= 2 for server in servers))
    until(lambda: not any(house.error(f"one-{number}") for number in range(3)))


def test_a_group_whose_limit_can_not_be_had_has_that_of_a_host(house: House) -> None:
    class Faulty(FakeTransport):
        def group_limit(self) -> int | None:
            raise LookupError("no limit")

    server = house.add("main", group="app", kind=Faulty)
    house.daemon()
    until(lambda: server.steps("listing"))


def visitors() -> int:
    return sum(one.name.startswith("visit-") for one in threading.enumerate())
