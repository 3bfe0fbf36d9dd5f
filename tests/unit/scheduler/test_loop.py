"""The supervisor with everything behind it: servers in memory, a real store."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Answer, AuthError, DaemonHealth, Lease, PermanentError, Request, Task, TransientError
from gatewayd.config import ImportConfig
from gatewayd.errors import Fault
from gatewayd.runtime.instance import Instance
from gatewayd.scheduler import Timings
from gatewayd_sql.store import Sql
from tests.patience import AT_ONCE, LONG
from tests.unit.heard import events
from tests.unit.supervised import FIRST, House, Site, mails, until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from gatewayd import AccountHealth


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def condition(house: House, name: str = "main") -> str:
    told = house.health(name)
    return told.condition if told else ""


# --- visits and watches -----------------------------------------------------------------------------------------------


def test_what_waits_is_filed_and_the_account_watched(house: House) -> None:
    server = house.add("main", can_watch=True)
    mails(server, ["one", "two"])
    house.daemon()
    until(lambda: house.filed() == 2)
    until(lambda: condition(house) == "watching")
    assert len(server.watches()) == 1
    told = house.health("main")
    assert told is not None
    assert told.checked_at is not None
    assert told.mail_at is not None
    assert told.due_at is not None
    # With one folder that is watched, a proof each `every` does, and a listing is rarer.
    assert (told.due_at - told.checked_at).total_seconds() > 100


def test_announced_mail_is_filed_at_once_by_the_same_session(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    house.daemon()
    for number in range(3):
        until(server.watches)
        began = time.monotonic()
        mails(server, [f"now {number}"])
        until(lambda number=number: house.filed() == number + 1)  # type: ignore[misc]
        assert time.monotonic() - began < AT_ONCE
    until(server.watches)
    assert len(server.steps("open")) == 1


def test_an_account_that_cannot_be_watched_is_polled_and_its_session_closed(house: House) -> None:
    server = house.add("main", every=0.3)
    house.daemon()
    until(lambda: house.visits("main") >= 3)
    mails(server, ["later"])
    until(lambda: house.filed() == 1)
    until(lambda: condition(house) == "polling")
    until(lambda: server.sessions == 0)


def test_a_watched_account_proves_itself_without_being_listed(house: House) -> None:
    server = house.add("main", can_watch=True, every=0.5)
    house.daemon()
    until(lambda: len(server.steps("renew")) >= 3)
    assert house.visits("main") == 1
    until(lambda: (told := house.health("main")) and told.checked_at and told.condition == "watching")


def test_a_watched_account_with_several_folders_is_listed_each_time(house: House) -> None:
    server = house.add("main", folders=("INBOX", "Other"), can_watch=True, every=0.3)
    house.daemon()
    until(server.watches)
    server.silent = True  # type: ignore[attr-defined]
    server.folders["Other"].messages.clear()
    mails(server, [])
    server.deliver(b"Subject: aside\r\n\r\n", "Other")
    until(lambda: house.filed() == 1)
    assert server.steps("watch")[0].folder == "INBOX"


def test_a_lost_watch_is_followed_by_a_visit_on_a_new_session(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    house.daemon()
    until(server.watches)
    mails(server, ["a"])
    until(lambda: house.filed() == 1)
    until(server.watches)
    server.break_connections()
    mails(server, ["b"])
    until(lambda: house.filed() == 2)
    until(lambda: len(server.watches()) == 1 and server.sessions == 1)


def test_a_server_that_fell_silent_is_found_by_the_proof_that_does_not_come(house: House) -> None:
    server = house.add("main", can_watch=True, every=0.5, timeout=0.5)
    house.daemon()
    until(server.watches)
    server.fall_silent()
    mails(server, ["unheard"])
    until(lambda: house.filed() == 1)
    until(lambda: server.sessions == 1)


def test_a_server_that_ends_each_watch_at_once_is_not_stormed(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    house.daemon(timings=Timings(first=1.0))
    end = time.monotonic() + 4
    while time.monotonic() < end:
        if server.watches():
            server.break_connections()
        time.sleep(0.01)
    # At once, within 2 s, and after 1 s at least.
    assert len(server.steps("open")) <= 4


def test_a_visit_goes_on_after_an_idle_session_that_cannot_be_woken(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    house.daemon()
    until(server.watches)
    server.on("end", TransientError("it is gone"))
    mails(server, ["x"])
    until(lambda: house.filed() == 1)
    assert len(server.steps("open")) == 2
    told = house.health("main")
    assert told is None or told.failures == 0


def test_what_could_not_be_had_is_looked_for_when_it_is_due_again_though_nobody_announces_it(house: House) -> None:
    server = house.add("main", can_watch=True)
    mails(server, ["one", "two"])
    server.fail(server.keys()[0], "garbled")
    house.daemon()
    until(lambda: house.filed() == 1 and condition(house) == "watching")
    told = house.health("main")
    assert told is not None
    assert told.due_at is not None
    assert told.checked_at is not None
    assert (told.due_at - told.checked_at).total_seconds() < 100


def test_missing_folder_is_shown_but_the_visit_counts(house: House) -> None:
    house.add("main", every=0.3)
    house.change("main", imports=ImportConfig.model_construct(folders=("INBOX", "Gone"), every=0.3))
    house.daemon()
    until(lambda: (told := house.health("main")) and "Gone" in told.error and told.failures == 0 and told.condition == "polling")


def test_the_full_listing_is_compared_once_a_day(house: House) -> None:
    house.add("main", every=0.2)
    daemon = house.daemon()
    until(lambda: house.visits("main") >= 2)
    state = daemon.supervisor._states.get("main")
    assert state is not None
    state.compare_at = 0.0
    until(lambda: (told := house.health("main")) and told.compared_at)
    assert state.compare_at > time.monotonic() + 3600


def test_a_server_that_lets_nobody_watch_is_polled(house: House) -> None:
    server = house.add("main", can_watch=True, every=0.5)
    for _ in range(50):
        server.on("watch", TransientError("not today"))
    house.daemon(backoff=300.0, timings=Timings(first=100.0))
    until(lambda: house.visits("main") >= 4)
    until(lambda: (told := house.health("main")) and told.error == "not today" and told.failures == 0)
    until(lambda: server.sessions == 0)


def test_a_server_that_announces_without_end_is_not_visited_without_end(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    house.daemon()

    def announced() -> bool:
        server.announce()
        return house.visits("main") >= 5

    until(announced)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        server.announce()
        time.sleep(0.005)
    # Five at once, then after 0.25, 0.5, 1 and 2 seconds.
    assert house.visits("main") <= 12
    mails(server, ["real"])
    until(lambda: house.filed() == 1)


def test_what_comes_while_a_visit_ends_is_not_missed(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    daemon = house.daemon()
    until(server.watches)
    add = daemon.supervisor._watcher.add

    def slowly(*args: Any, **more: Any) -> None:
        add(*args, **more)
        mails(server, ["meanwhile"])
        time.sleep(0.3)
        daemon.supervisor._watcher.add = add  # type: ignore[method-assign]

    daemon.supervisor._watcher.add = slowly  # type: ignore[method-assign]
    mails(server, ["first"])
    until(lambda: house.filed() == 2)


def test_a_watch_that_is_lost_while_its_visit_ends_is_noticed(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    daemon = house.daemon()
    until(server.watches)
    add = daemon.supervisor._watcher.add

    def slowly(*args: Any, **more: Any) -> None:
        daemon.supervisor._watcher.add = add  # type: ignore[method-assign]
        add(*args, **more)
        server.break_connections()
        time.sleep(0.3)

    daemon.supervisor._watcher.add = slowly  # type: ignore[method-assign]
    mails(server, ["first"])
    until(lambda: len(server.steps("open")) == 2)
    until(lambda: len(server.watches()) == 1 and server.sessions == 1)


def test_P4_a_watch_that_never_returns_is_aborted_and_the_others_heard(house: House) -> None:
    bad, good = house.add("bad", can_watch=True, every=3600.0), house.add("good", can_watch=True, every=3600.0)
    house.daemon()
    until(lambda: bad.watches() and good.watches())
    [watch] = bad.watches()
    session = watch._session
    watch.listen = lambda: session._lost.wait(LONG) and session._raise_lost()  # type: ignore[method-assign, assignment, return-value, func-returns-value]
    watch.announce()
    time.sleep(0.2)
    mails(good, ["x"])
    until(lambda: house.filed() == 1)
    until(lambda: len(bad.steps("open")) == 2)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_P4_one_hanging_server_delays_nobody(house: House) -> None:
    for number in range(3):
        hanging = house.add(f"hangs-{number}", host="hanging.example", timeout=LONG)
        hanging.hang("open")
    for number in range(3):
        mails(house.add(f"good-{number}", host=f"good-{number}.example", every=0.5), ["x"])
    house.daemon(visits=3, per_host=2)
    began = time.monotonic()
    until(lambda: all(house.visits(f"good-{number}") >= 3 for number in range(3)))
    assert time.monotonic() - began < LONG
    assert len(house.servers["hangs-0"].steps("open") + house.servers["hangs-1"].steps("open")) >= 1


def test_P10_of_a_visit_that_does_not_end_it_is_told_when_it_began(house: House) -> None:
    house.add("main", timeout=LONG).hang("open")
    before = datetime.now(UTC) - timedelta(seconds=1)
    house.daemon()
    until(lambda: condition(house) == "working")
    told = house.health("main")
    assert told is not None
    assert told.working_since is not None
    assert before <= told.working_since <= datetime.now(UTC)
    assert told.due_at is None


def test_P10_of_an_account_that_is_not_being_visited_it_is_told_when_it_is_due(house: House) -> None:
    house.add("main", every=3600.0)
    house.daemon()
    until(lambda: condition(house) == "polling")
    told = house.health("main")
    assert told is not None
    assert told.working_since is None
    assert told.due_at is not None
    assert told.due_at > datetime.now(UTC)


def test_P4_many_hanging_servers_give_their_room_to_others(house: House) -> None:
    for number in range(4):
        house.add(f"hangs-{number}", timeout=LONG).hang("open")
    daemon = house.daemon(visits=2, timings=Timings(first=FIRST, slow=0.3))
    time.sleep(0.2)
    mails(house.add("good"), ["x"])
    daemon.reload()
    began = time.monotonic()
    until(lambda: house.filed() == 1)
    assert time.monotonic() - began < LONG
    for server in house.servers.values():
        server.break_connections()


def test_back_off_doubles_and_ends_with_a_real_success(house: House) -> None:
    server = house.add("main", every=3600.0)
    for _ in range(3):
        server.on("open", TransientError("connection refused"))
    house.daemon()
    until(lambda: condition(house) == "polling")
    assert len(server.steps("open")) == 4
    told = house.health("main")
    assert told is not None
    assert (told.failures, told.error) == (0, "")


def test_failures_are_told(house: House) -> None:
    server = house.add("main")
    server.on("open", TransientError("connection refused", advice="Is it up?", retry_after=300.0))
    house.daemon()
    until(lambda: condition(house) == "backing off")
    told = house.health("main")
    assert told is not None
    assert (told.failures, told.error, told.advice) == (1, "connection refused", "Is it up?")
    assert told.due_at is not None
    # What the other side asked for is honoured.
    assert (told.due_at.timestamp() - time.time()) > 200


def test_P8_an_account_that_brought_its_days_share_waits_with_what_came_filed_and_no_other_one_does(house: House) -> None:
    mails(house.add("much", every=0.1), map(str, range(6)))
    little = house.add("little", every=0.1)
    house.daemon(day_messages=5)
    until(lambda: condition(house, "much") == "backing off")
    told = house.health("much")
    assert told is not None
    assert told.error == "more messages were new within a day than `limits.day_messages` allows, which is 5"
    assert told.due_at is not None
    assert (told.due_at.timestamp() - time.time()) > 3000
    assert house.filed("much") == 6
    mails(little, ["Hello"])
    until(lambda: house.filed("little") == 1)


def test_refused_log_in_pauses_the_account_and_is_tried_again(house: House) -> None:
    server = house.add("main", every=0.2)
    server.on("open", AuthError("wrong password", advice="Correct the password."))
    heard: list[tuple[AccountHealth, str]] = []
    house.daemon(auth_pause=1.5, events=events(account_changed=lambda health, before: heard.append((health, before))))
    until(lambda: condition(house) == "paused")
    assert [health.condition for health, _ in heard][-1] == "paused"
    until(lambda: condition(house) == "polling")
    assert heard[-1][1] in {"paused", "working"}


def test_who_was_refused_is_tried_at_once_with_a_changed_secret_and_nobody_else(house: House) -> None:
    refused, away = house.add("main", every=0.2), house.add("away")
    refused.on("open", AuthError("wrong password"))
    away.on("open", TransientError("connection refused", retry_after=LONG))
    daemon = house.daemon(auth_pause=3600)
    until(lambda: condition(house) == "paused" and condition(house, "away") == "backing off")
    daemon.supervisor.retry(
        ["accounts/main.yaml", "accounts/away.yaml", "accounts/nobody.yaml", "gatewayd.yaml", "operators/main.yaml"]
    )
    until(lambda: condition(house) == "polling")
    assert len(away.steps("open")) == 1


def test_permanent_faults_are_tried_rarely_but_for_ever(house: House) -> None:
    server = house.add("main", every=0.1)
    server.on("open", PermanentError("no such mailbox"))
    house.daemon(backoff=3.0)
    until(lambda: condition(house) == "backing off")
    assert len(server.steps("open")) == 1
    until(lambda: condition(house) == "polling")


def test_a_bug_of_a_transport_is_that_accounts_fault(house: House) -> None:
    house.add("main").on("watch", ValueError("a bug"))
    mails(house.add("other"), ["x"])
    house.add("worse").on("listing", ValueError("another"))
    daemon = house.daemon()
    until(lambda: house.filed() == 1)
    until(lambda: condition(house, "worse") == "backing off")
    until(lambda: condition(house, "main") == "polling")
    assert daemon.supervisor.alive()


def test_a_bug_in_the_loop_does_not_end_it(house: House) -> None:
    server = house.add("main", can_watch=True)
    daemon = house.daemon()
    until(server.watches)
    daemon.supervisor._inbox.put(lambda: 1 / 0)
    mails(server, ["x"])
    until(lambda: house.filed() == 1)


# --- people ask -------------------------------------------------------------------------------------------------------


def answered(house: House, request: int) -> Request | None:
    [found] = house.store.requests(ids=[request])
    return found if found.answer else None


def test_a_request_is_answered_at_once(house: House) -> None:
    server = house.add("main", can_watch=True, every=3600.0)
    house.daemon()
    until(server.watches)
    asked = house.another_store().ask("main", Task(from_beginning=True))
    began = time.monotonic()
    until(lambda: answered(house, asked))
    assert time.monotonic() - began < AT_ONCE
    found = answered(house, asked)
    assert found is not None
    assert found.answer is not None
    assert found.answer.account == "main"
    assert found.answer.error == ""


def test_a_request_is_answered_though_the_account_is_changed_in_the_middle_of_its_visit(house: House) -> None:
    server = house.add("main", every=3600.0)
    daemon = house.daemon()
    until(lambda: condition(house) == "polling")
    mails(server, [str(number) for number in range(250)])
    server.on("message", lambda: time.sleep(0.7), after=50)
    asked = house.store.ask("main", Task())
    until(lambda: len(server.steps("message")) > 50)
    house.change("main", text="Another description")
    daemon.reload()
    until(lambda: answered(house, asked))
    assert house.filed() == 250


def test_a_request_says_how_far_it_is(house: House) -> None:
    server = house.add("main", every=3600.0)
    daemon = house.daemon()
    until(lambda: condition(house) == "polling")
    mails(server, [str(number) for number in range(250)])
    seen = threading.Event()
    server.on("message", lambda: seen.wait(60), after=220)
    asked = house.store.ask("main", Task())
    until(lambda: 0 < house.store.requests(ids=[asked])[0].done < 250)
    seen.set()
    until(lambda: answered(house, asked))
    found = answered(house, asked)
    assert found is not None
    assert found.answer is not None
    assert found.answer.tally.filed == 250
    assert daemon.supervisor.alive()


def test_requests_for_the_same_share_a_visit_and_others_have_their_own(house: House) -> None:
    server = house.add("main", every=3600.0)
    house.daemon()
    until(lambda: condition(house) == "polling")
    server.on("listing", lambda: time.sleep(0.8))
    ids = [house.store.ask("main", Task())]
    until(lambda: house.visits("main") == 2)
    ids += [house.store.ask("main", task) for task in (Task(compare=True), Task(), Task())]
    until(lambda: all(answered(house, one) for one in ids))
    # The first; the comparison, which lists twice; the two others together.
    assert house.visits("main") == 2 + 2 + 1


def test_a_request_is_tried_also_where_the_account_is_paused(house: House) -> None:
    server = house.add("main")
    server.on("open", AuthError("wrong password"))
    house.daemon()
    until(lambda: condition(house) == "paused")
    asked = house.store.ask("main", Task())
    until(lambda: answered(house, asked))
    assert len(server.steps("open")) == 2
    until(lambda: condition(house) == "polling")


def test_a_request_for_an_operator_that_the_account_does_not_serve_is_refused(house: House) -> None:
    house.add("main", every=3600.0)
    house.daemon()
    until(lambda: condition(house) == "polling")
    asked = house.store.ask("main", Task(from_beginning=True, operator="other"))
    until(lambda: answered(house, asked))
    found = answered(house, asked)
    assert found is not None
    assert found.answer is not None
    assert "does not serve operator 'other'" in found.answer.error
    told = house.health("main")
    assert told is not None
    assert told.failures == 0


# --- leases -----------------------------------------------------------------------------------------------------------


class Shaky(Sql):
    """A store that can be away, and remembers when it was asked to renew leases."""

    kind = "shaky"
    down = False

    def _up(self) -> None:
        if self.down:
            raise TransientError("the database is away")

    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        self._up()
        return super().renew_leases(leases)

    def tell(self, healths: Sequence[AccountHealth]) -> None:
        self._up()
        super().tell(healths)

    def requests(self, accounts: Collection[str] | None = None, *, ids: Collection[int] | None = None) -> Sequence[Request]:
        self._up()
        return super().requests(accounts, ids=ids)


def shaky(house: House) -> Shaky:
    store = Shaky(house.store.options, place=house.store.place)
    store.open()
    house._stack.callback(store.close)
    return store


def test_a_lease_lost_in_the_middle_of_a_visit_ends_it(house: House) -> None:
    server = house.add("main", every=3600.0, timeout=LONG)
    mails(server, ["one"])
    server.hang("fetch")
    daemon = house.daemon(timings=Timings(first=FIRST, lease=1.0))
    until(lambda: server.steps("fetch"))
    stolen = house.another_store().take_lease("main", "thief", dead=lambda _: True)
    assert isinstance(stolen, Lease)
    began = time.monotonic()
    until(lambda: server.sessions == 0)
    assert time.monotonic() - began < LONG
    assert server.steps("abort")
    assert daemon.held() == set()
    assert house.filed() == 0
    house.store.release(stolen)
    until(lambda: house.filed() == 1)


def test_a_lease_lost_while_the_account_is_watched_drops_its_session(house: House) -> None:
    server = house.add("main", can_watch=True)
    house.daemon(timings=Timings(lease=1.0))
    until(server.watches)
    stolen = house.another_store().take_lease("main", "thief", dead=lambda _: True)
    until(lambda: server.sessions == 0)
    assert isinstance(stolen, Lease)
    house.store.renew(stolen)


def test_sessions_are_dropped_before_their_leases_end_where_these_cannot_be_renewed(house: House) -> None:
    watched = house.add("watched", can_watch=True)
    working = house.add("working", timeout=LONG)
    mails(working, ["one"])
    working.hang("listing")
    store = shaky(house)
    lease = 9.0
    house.daemon(store=store, timings=Timings(first=FIRST, lease=lease))
    until(lambda: watched.watches() and working.steps("listing"))
    store.down = True
    began = time.monotonic()
    until(lambda: watched.sessions + working.sessions == 0)
    assert lease * 0.4 < time.monotonic() - began < lease * 0.9
    opened = len(watched.steps("open"))
    time.sleep(0.5)
    assert len(watched.steps("open")) == opened
    store.down = False
    until(lambda: watched.watches() and house.filed() == 1)
    until(lambda: condition(house, "watched") == "watching")


def test_health_is_told_when_the_store_is_back(house: House) -> None:
    store = shaky(house)
    store.down = True
    house.add("main", can_watch=True)
    house.daemon(store=store)
    time.sleep(1.5)
    assert house.health("main") is None
    store.down = False
    until(lambda: condition(house) == "watching")


def test_a_second_daemon_takes_its_share_and_all_when_the_first_is_gone(house: House) -> None:
    for number in range(9):
        house.add(f"box-{number}", can_watch=True)
    timings = Timings(lease=1.5)
    first = house.daemon(timings=timings)
    until(lambda: len(first.held()) == 9)
    second = house.daemon(store=house.another_store(), timings=timings)
    until(lambda: len(second.held()) == 4 and len(first.held()) == 5)
    assert not first.held() & second.held()
    until(lambda: all(server.sessions == 1 for server in house.servers.values()))
    first.stop()
    until(lambda: len(second.held()) == 9)
    until(lambda: all(len(server.watches()) == 1 for server in house.servers.values()))


def test_what_is_given_to_a_second_daemon_is_what_has_least_to_do(house: House) -> None:
    at_work, idle = [{f"{kind}-{number}" for number in range(3)} for kind in ("busy", "idle")]
    go_on = threading.Event()
    for name in at_work | idle:
        house.add(name, every=3600.0, timeout=LONG)
    for name in at_work:
        house.servers[name].on("listing", lambda: go_on.wait(LONG))
    timings = Timings(lease=1.5)
    first = house.daemon(timings=timings)
    try:
        until(lambda: len(first.held()) == 6 and all(house.visits(name) for name in at_work | idle))
        second = house.daemon(store=house.another_store(), timings=timings)
        until(lambda: len(second.held()) == 3)
        assert second.held() == idle
    finally:
        go_on.set()


def test_a_daemon_that_was_killed_keeps_no_share_for_itself(house: House) -> None:
    for number in range(6):
        house.add(f"account-{number}")
    with Instance(house.folder) as killed:
        pass
    beat = DaemonHealth(holder=killed.name, version="0", started_at=datetime.now(UTC), accounts=6)
    house.store.beat(beat)
    house.store.take_leases(list(house.servers), killed.name, dead=lambda _: False)
    daemon = house.daemon()
    until(lambda: daemon.held() == set(house.servers))
    assert [one.holder for one in house.store.daemons()] == [daemon.owner.name]


def test_a_write_that_is_refused_ends_the_account_here(house: House) -> None:
    server = house.add("main", every=3600.0)
    daemon = house.daemon()
    until(lambda: condition(house) == "polling")
    stolen: list[object] = []
    server.on("listing", lambda: stolen.append(house.another_store().take_lease("main", "thief", dead=lambda _: True)))
    mails(server, ["x"])
    house.store.ask("main", Task())
    # The lease is renewed each 10 seconds only: it is the refused write that says so.
    until(lambda: stolen)
    began = time.monotonic()
    until(lambda: not daemon.held())
    assert time.monotonic() - began < 8
    assert house.filed() == 0


def test_an_account_that_is_removed_and_lost_at_once_is_forgotten(house: House) -> None:
    server = house.add("main", every=3600.0)
    mails(server, ["x"])
    server.on("message", lambda: time.sleep(1.0))
    daemon = house.daemon(timings=Timings(first=FIRST, lease=1.0))
    until(lambda: server.steps("message"))
    del house.accounts["main"]
    daemon.reload()
    assert isinstance(house.another_store().take_lease("main", "thief", dead=lambda _: True), Lease)
    until(lambda: len(daemon.supervisor._states) == 0)
    assert daemon.held() == set()


def test_a_store_with_a_bug_is_tried_again(house: House) -> None:
    class Buggy(Sql):
        bugs = 3

        def _bug(self) -> None:
            if self.bugs:
                self.bugs -= 1
                raise ValueError("a bug")

        def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
            self._bug()
            return super().renew_leases(leases)

        def tell(self, healths: Sequence[AccountHealth]) -> None:
            self._bug()
            super().tell(healths)

        def requests(self, accounts: Collection[str] | None = None, *, ids: Collection[int] | None = None) -> Sequence[Request]:
            self._bug()
            return super().requests(accounts, ids=ids)

    house.add("main", every=0.3)
    store = Buggy(house.store.options, place=house.store.place)
    store.open()
    house._stack.callback(store.close)
    house.daemon(store=store)
    until(lambda: condition(house) == "polling")


def test_an_answer_that_the_store_does_not_take_is_given_again(house: House) -> None:
    class Deaf(Sql):
        refused = 0

        def answer(self, request_ids: Collection[int], answer: Answer) -> None:
            if self.refused < 2:
                self.refused += 1
                raise TransientError("busy")
            super().answer(request_ids, answer)

    server = house.add("main", every=3600.0)
    store = Deaf(house.store.options, place=house.store.place)
    store.open()
    house._stack.callback(store.close)
    house.daemon(store=store)
    until(lambda: condition(house) == "polling")
    asked = house.store.ask("main", Task())
    until(lambda: answered(house, asked))
    assert len(server.steps("open")) == 2


def test_leases_that_nobody_heard_of_are_given_back_at_the_end(house: House) -> None:
    begun = threading.Event()

    class Slow(Sql):
        def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
            taken = super().take_leases(accounts, holder, dead=dead)
            begun.set()
            time.sleep(1)
            return taken

    house.add("main")
    store = Slow(house.store.options, place=house.store.place)
    store.open()
    house._stack.callback(store.close)
    daemon = house.daemon(store=store)
    assert begun.wait(LONG)
    daemon.stop()
    assert house.store.take_leases(["main"], "another", dead=lambda _: False)


def test_an_end_does_not_wait_for_a_store_that_hangs(house: House) -> None:
    class Hanging(Sql):
        hangs = False
        over = threading.Event()

        def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
            if self.hangs:
                self.over.wait(LONG)
            return super().renew_leases(leases)

    house.add("main")
    store = Hanging(house.store.options, place=house.store.place)
    store.open()
    daemon = house.daemon(store=store, timings=Timings(lease=1.0))
    until(daemon.held)
    store.hangs = True
    time.sleep(0.6)
    began = time.monotonic()
    daemon.stop(3.0)
    assert time.monotonic() - began < AT_ONCE
    store.over.set()
    store.close()


# --- reload -----------------------------------------------------------------------------------------------------------


def test_a_reload_leaves_what_did_not_change_alone(house: House) -> None:
    same = house.add("same", can_watch=True)
    changed = house.add("changed", can_watch=True)
    removed = house.add("removed", can_watch=True)
    daemon = house.daemon()
    until(lambda: all(server.watches() for server in (same, changed, removed)))
    [watch] = same.watches()
    asked = len(same.asked)
    [old] = changed.watches()
    house.change("changed", text="Another description")
    del house.accounts["removed"]
    added = house.add("added", can_watch=True)
    daemon.reload()
    until(lambda: removed.sessions == 0)
    until(lambda: changed.watches() and changed.watches() != [old])
    until(added.watches)
    assert same.watches() == [watch]
    assert len(same.asked) == asked
    mails(same, ["x"])
    until(lambda: house.filed() == 1)
    until(lambda: "removed" not in daemon.held())
    assert daemon.held() == {"same", "changed", "added"}


def test_a_visit_of_an_account_that_changed_ends_behind_its_batch_and_begins_anew(house: House) -> None:
    server = house.add("main", every=3600.0)
    mails(server, [str(number) for number in range(250)])
    server.on("message", lambda: time.sleep(0.7), after=50)
    daemon = house.daemon()
    until(lambda: len(server.steps("message")) > 50)
    house.change("main", text="Another description")
    daemon.reload()
    until(lambda: house.filed() == 250)
    assert len(server.steps("open")) == 2
    assert not server.steps("abort")


@pytest.mark.parametrize("error", [TransientError("gone"), ValueError("a bug")])
def test_a_session_that_does_not_end_well_is_closed_all_the_same(house: House, error: Exception) -> None:
    server = house.add("main", can_watch=True)
    daemon = house.daemon()
    until(server.watches)
    server.on("end", error)
    del house.accounts["main"]
    daemon.reload()
    until(lambda: server.sessions == 0)
    until(lambda: not daemon.held())


def test_an_account_that_is_removed_while_its_lease_is_taken_is_given_back(house: House) -> None:
    begun, removed = threading.Event(), threading.Event()

    class Slow(Sql):
        def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
            taken = super().take_leases(accounts, holder, dead=dead)
            begun.set()
            removed.wait(LONG)
            return taken

    server = house.add("main")
    store = Slow(house.store.options, place=house.store.place)
    store.open()
    house._stack.callback(store.close)
    daemon = house.daemon(store=store)
    assert begun.wait(LONG)
    del house.accounts["main"]
    daemon.reload()
    removed.set()
    until(lambda: house.another_store().take_leases(["main"], "another", dead=lambda _: False))
    assert server.asked == []


def test_an_account_that_comes_back_before_its_visit_ended_goes_on(house: House) -> None:
    server = house.add("main", every=3600.0)
    mails(server, ["x"])
    server.on("message", lambda: time.sleep(0.7))
    daemon = house.daemon()
    until(lambda: server.steps("message"))
    account = house.accounts.pop("main")
    daemon.reload()
    time.sleep(0.1)
    house.accounts["main"] = account
    daemon.reload()
    until(lambda: condition(house) == "polling")
    until(lambda: house.filed() == 1)
    assert daemon.held() == {"main"}


def test_a_changed_account_is_tried_at_once_however_it_was(house: House) -> None:
    server = house.add("main")
    server.on("open", AuthError("wrong password"))
    daemon = house.daemon()
    until(lambda: condition(house) == "paused")
    house.change("main", options=Site(host="", timeout=6.0))
    daemon.reload()
    until(lambda: condition(house) == "polling")


def test_accounts_that_are_not_imported_are_told_of_and_left_alone(house: House) -> None:
    server = house.add("main")
    house.change("main", imports=ImportConfig(enabled=False))
    house.daemon()
    until(lambda: condition(house) == "disabled")
    assert server.asked == []


def test_accounts_without_a_usable_file_are_told_of(house: House) -> None:
    daemon = house.daemon()
    fault = Fault(file="accounts/broken.yaml", line=3, column=1, what="unknown key 'hots'")
    daemon.supervisor.apply(replace(house.config(), faults=(fault,)), house.specs)
    until(lambda: condition(house, "broken") == "faulty")
    told = house.health("broken")
    assert told is not None
    assert told.error == "accounts/broken.yaml:3:1: unknown key 'hots'"


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_it_stops_in_time_with_a_visit_that_hangs(house: House) -> None:
    hanging = house.add("hanging", timeout=LONG)
    hanging.hang("open")
    fetching = house.add("fetching", timeout=LONG)
    mails(fetching, ["x"])
    fetching.hang("fetch")
    watched = [house.add(f"watched-{number}", can_watch=True) for number in range(20)]
    daemon = house.daemon(visits=30, per_host=30)
    until(lambda: hanging.steps("open") and fetching.steps("fetch") and all(server.watches() for server in watched))
    began = time.monotonic()
    abandoned = daemon.stop(5.0)
    assert time.monotonic() - began < AT_ONCE
    # What hangs in a connect has no session that could be aborted.
    assert abandoned == 1
    assert fetching.sessions == 0
    assert all(server.sessions == 0 for server in watched)
    assert house.store.daemons() == []
    taken = house.store.take_leases(list(house.servers), "another", dead=lambda _: False)
    assert {lease.account for lease in taken} == set(house.servers)
    hanging.break_connections()


def test_work_in_hand_is_committed_when_it_stops(house: House) -> None:
    server = house.add("main")
    mails(server, [str(number) for number in range(300)])
    server.on("message", lambda: time.sleep(0.4), after=50)
    daemon = house.daemon()
    until(lambda: len(server.steps("message")) > 50)
    assert daemon.stop() == 0
    # The first batch, or, on a busy machine, what of it had come.
    assert house.filed() in {0, *range(50, 201)}
    assert not house.store.owed("main", limit=10)
    second = house.daemon()
    until(lambda: house.filed() == 300)
    assert second.supervisor.alive()


def test_a_request_that_was_not_done_is_left_to_the_next(house: House) -> None:
    server = house.add("main", every=3600.0, timeout=30.0)
    daemon = house.daemon()
    until(lambda: condition(house) == "polling")
    server.hang("listing")
    asked = house.store.ask("main", Task())
    until(lambda: house.visits("main") == 2)
    assert daemon.stop() == 0
    assert answered(house, asked) is None
    house.daemon()
    until(lambda: answered(house, asked))


def test_stop_is_quick_where_nothing_runs(house: House) -> None:
    house.add("main", can_watch=True)
    daemon = house.daemon()
    until(lambda: condition(house) == "watching")
    began = time.monotonic()
    assert daemon.stop(LONG) == 0
    assert time.monotonic() - began < AT_ONCE


def test_it_is_not_alive_where_no_visit_shows_a_sign_of_life(house: House) -> None:
    for number in range(5):
        house.add(f"hangs-{number}", timeout=60.0).hang("open")
    daemon = house.daemon(visits=1, timings=Timings(slow=0.1))
    supervisor = daemon.supervisor
    # One works and three others wait for their servers; the fifth waits in line.
    until(lambda: len(supervisor._pool.runs) == 4 and len(supervisor._pool) == 1)
    assert supervisor.alive()
    for run in supervisor._pool.runs:
        run.moved -= 3600
    assert not supervisor.alive()
    for server in house.servers.values():
        server.break_connections()
    until(supervisor.alive)


# --- idle -------------------------------------------------------------------------------------------------------------


def test_idle_accounts_cost_no_turns(house: House) -> None:
    for number in range(300):
        # On a busy machine the first are not due again before the last was visited.
        house.add(f"box-{number}", can_watch=True, every=900.0)
    daemon = house.daemon(visits=32, per_host=1000)
    until(lambda: len(daemon.supervisor._watcher) == 300, within=90.0)
    supervisor = daemon.supervisor
    seen: list[tuple[int, int, float]] = []

    def quiet() -> bool:
        """Whether two seconds cost nothing. The first ones may see the end of what came before."""
        before = (supervisor.turns, supervisor._watcher.turns, time.process_time())
        time.sleep(2)
        after = (supervisor.turns, supervisor._watcher.turns, time.process_time())
        seen.append((after[0] - before[0], after[1] - before[1], after[2] - before[2]))
        turns, wakes, cpu = seen[-1]
        return turns <= 40 and wakes <= 20 and cpu < 0.5

    assert any(quiet() for _ in range(10)), seen


def test_P10_a_check_that_left_a_doubt_proves_nothing_and_says_what_is_wrong(house: House) -> None:
    server = house.add("main", can_watch=True, every=0.3)
    mails(server, ["one", "two"])
    server.message("1:2").hidden = True
    house.daemon()
    until(lambda: len(server.steps("renew")) >= 3)
    told = house.health("main")
    assert told is not None
    assert told.checked_at is None, "neither the listing nor an answer while it is watched proves that nothing is missing"
    assert "the server counts 2 messages and lists 1" in told.error
    server.message("1:2").hidden = False
    house.store.ask("main", Task(compare=True))
    until(lambda: (told := house.health("main")) and told.checked_at and not told.error)
    assert house.filed() == 2
