"""The transport in memory keeps the contract of real ones: what is tested with it is tested with a transport."""

from __future__ import annotations

import select
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, Heard, Listed, Session, Spool, TransientError, Watch
from gatewayd.testing.contracts.transport import Site, TransportContract, message
from gatewayd.testing.fakes.transport import Asked, FakeTransport
from tests.patience import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gatewayd.testing.fakes.transport import Step


class FakeSite(Site):
    def __init__(self, *, has_cursor: bool, spans: bool = False) -> None:
        self.fake = FakeTransport(("INBOX", "Imported"), has_cursor=has_cursor, can_watch=True, keys_span_folders=spans)

    def transport(self, **_: object) -> FakeTransport:
        return self.fake

    def deliver(self, messages: Sequence[bytes]) -> None:
        for raw in messages:
            # What is made anew each time could not be expected.
            self.fake.message(self.fake.deliver(raw)).made = None

    def raw(self) -> Sequence[bytes]:
        return self.fake.raw()

    def state(self) -> object:
        return self.fake.keys(), self.fake.raw(), self.fake.seen(), self.fake.keys("Imported")

    def remove(self, position: int) -> None:
        self.fake.vanish(self.fake.keys()[position])


class TestFakeTransport(TransportContract):
    can_watch = True
    actions = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    # It has no network and no password.
    test_P9_a_wrong_password_is_an_auth_error_that_does_not_tell_it = None  # type: ignore[assignment]  # noqa: N815  the promise's name
    test_a_refused_connection_is_transient = None  # type: ignore[assignment]
    test_P8_a_silent_server_is_given_up_after_the_timeout = None  # type: ignore[assignment]  # noqa: N815  the promise's name
    test_a_server_that_speaks_garbage_is_transient = None  # type: ignore[assignment]

    test_abort_ends_a_step_that_waits_for_a_silent_server_at_once = None  # type: ignore[assignment]

    @pytest.fixture
    def site(self) -> Site:
        return FakeSite(has_cursor=True)


class TestFakeTransportWithoutCursor(TestFakeTransport):
    has_cursor = False

    @pytest.fixture
    def site(self) -> Site:
        return FakeSite(has_cursor=False)


class TestFakeTransportWhoseKeysSpanFolders(TestFakeTransport):
    tells_size = False
    tells_message_id = True

    @pytest.fixture
    def site(self) -> Site:
        return FakeSite(has_cursor=True, spans=True)


def test_it_remembers_what_it_was_asked_and_does_once_what_it_was_told() -> None:
    transport = FakeTransport()
    key = transport.deliver(message(1))
    transport.on("page", TransientError("lost"), after=1)
    with closing(transport.open()) as session:
        assert len(list(session.listing("INBOX", None))) == 1
        with pytest.raises(TransientError, match="lost"):
            list(session.listing("INBOX", None))
        assert len(list(session.listing("INBOX", None))) == 1
        assert transport.sessions == 1
    assert transport.sessions == 0
    assert transport.steps("page") == [Asked("page", "INBOX", (key,))] * 3
    assert transport.listed == {("INBOX", key)}


def test_renumbered_keys_are_others_and_say_so() -> None:
    transport = FakeTransport(page_size=2)
    old = [transport.deliver(message(number)) for number in range(3)]
    session = transport.open()
    cursor = list(session.listing("INBOX", None))[-1].cursor
    transport.renumber()
    first, second = session.listing("INBOX", cursor)
    assert (first.others_gone, second.others_gone, first.backlog, second.backlog) == (True, False, True, True)
    assert not set(old) & {one.key for page in (first, second) for one in page.keys}


# --- connections that break -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["listing", "page", "headers", "fetch", "message", "settle", "problems", "watch"])
def test_abort_ends_a_step_that_hangs_and_every_later_one(step: Step, tmp_path: Path) -> None:
    transport = FakeTransport(can_watch=True, timeout=30)
    key = transport.deliver(message(1))
    session = transport.open()
    transport.hang(step)

    def all_steps() -> None:
        with Spool(tmp_path / "spool") as spool:
            list(session.listing("INBOX", None))
            list(session.headers("INBOX", [key]))
            list(session.fetch("INBOX", [Listed(key)], spool))
            session.settle("INBOX", [key], Action(do="seen"))
            session.problems(["INBOX"], None)
            session.watch("INBOX")

    with ThreadPoolExecutor(1) as pool, closing(session):
        future = pool.submit(all_steps)
        until(lambda: transport.steps(step))
        assert not future.done()
        session.abort()
        with pytest.raises(TransientError, match="lost"):
            future.result(AT_ONCE)
        with pytest.raises(TransientError, match="lost"):
            list(session.listing("INBOX", None))
    session.abort()
    assert transport.sessions == 0
    assert len(transport.steps("abort")) == 2


def test_a_silent_server_is_given_up_after_the_timeout() -> None:
    transport = FakeTransport(timeout=0.05)
    transport.hang("open", after=1)
    transport.open().close()
    with pytest.raises(TransientError, match=r"0\.05 s"):
        transport.open()
    assert transport.sessions == 0
    transport.open().close()
    transport.hang("open")
    transport.calm()
    transport.open().close()


def test_connections_that_are_broken_fail_and_new_ones_work() -> None:
    transport = FakeTransport(can_watch=True, timeout=30)
    with closing(transport.open()) as idle, closing(transport.open()) as session, ThreadPoolExecutor(1) as pool:
        watch = watching(idle)
        transport.hang("open")
        opening = pool.submit(transport.open)
        until(lambda: len(transport.steps("open")) == 3)
        transport.break_connections()
        with pytest.raises(TransientError):
            opening.result(AT_ONCE)
        assert readable(watch)
        with pytest.raises(TransientError):
            watch.listen()
        with pytest.raises(TransientError):
            list(session.listing("INBOX", None))
        with closing(transport.open()) as later:
            assert len(list(later.listing("INBOX", None))) == 1


# --- watches ----------------------------------------------------------------------------------------------------------


def watching(session: Session) -> Watch:
    list(session.listing("INBOX", None))
    watch = session.watch("INBOX")
    assert watch is not None
    assert watch.listen() == Heard()
    return watch


def test_a_server_without_idle_has_no_watch() -> None:
    with closing(FakeTransport().open()) as session:
        assert session.watch("INBOX") is None


def test_news_is_announced_to_all_who_watch_that_folder() -> None:
    transport = FakeTransport(("INBOX", "Sales"), can_watch=True)
    with closing(transport.open()) as one, closing(transport.open()) as two:
        watches = [watching(one), watching(two)]
        transport.deliver(message(1), "Sales")
        assert not any(readable(watch) for watch in watches)
        transport.announce()
        assert all(readable(watch) for watch in watches)
        assert [watch.listen() for watch in watches] == [Heard(news=True)] * 2
        assert watches[0].listen() == Heard()
        assert not watches[0].end()
        transport.deliver(message(2))
        assert watches[1].end()
        assert len(list(one.listing("INBOX", None))) == 1
        assert not transport.watches()


def test_a_watch_that_fell_silent_neither_announces_nor_answers() -> None:
    transport = FakeTransport(can_watch=True, timeout=0.05)
    with closing(transport.open()) as session:
        watch = watching(session)
        watch.renew()
        assert watch.listen() == Heard(proven=True)
        transport.fall_silent()
        transport.deliver(message(1))
        watch.renew()
        assert watch.listen() == Heard()
        with pytest.raises(TransientError, match=r"0\.05 s"):
            watch.end()
        assert transport.steps("renew") == [Asked("renew", "INBOX")] * 2


def test_many_threads_deliver_and_are_told_and_no_number_is_given_twice() -> None:
    transport = FakeTransport(can_watch=True)
    with closing(transport.open()) as session, ThreadPoolExecutor(8) as pool:
        watch = watching(session)
        delivered = list(pool.map(transport.deliver, map(message, range(400))))
        assert watch.end()
    assert len(set(delivered)) == 400
    assert sorted(delivered) == sorted(transport.keys())


def readable(watch: Watch) -> bool:
    return bool(select.select([watch], [], [], 0)[0])


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + AT_ONCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)
