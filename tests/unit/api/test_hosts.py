"""A look-up has a deadline, dead name servers cost a bounded number of threads, and a silent address holds up no other (P6, P8)."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gatewayd.api.hosts import Deadline, HostAddress, looked_up, reached
from tests.leaks import open_files
from tests.patience import AT_ONCE, LONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KNOWN = HostAddress(socket.AF_INET, ("192.0.2.1", 993))


def within(seconds: float) -> Deadline:
    return Deadline(time.monotonic() + seconds)


class Dead:
    """A name server that answers nothing until the test ends."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended = threading.Event()

    def __call__(self, host: str, _port: int) -> Sequence[HostAddress]:
        self.asked.append(host)
        self.ended.wait(LONG)
        return [KNOWN]


@pytest.fixture
def dead() -> Iterator[Dead]:
    resolver = Dead()
    yield resolver
    resolver.ended.set()
    while any(thread.name == "look-up" for thread in threading.enumerate()):
        time.sleep(0.01)


# --- look-ups -------------------------------------------------------------------------------------------------------------


def test_P6_a_look_up_that_nobody_answers_ends_with_its_deadline(dead: Dead) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        looked_up("imap.example.com", 993, within(0.3), dead)
    assert time.monotonic() - began < AT_ONCE


def test_P6_a_look_up_ends_when_nobody_waits_any_more(dead: Dead) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with pytest.raises(ConnectionAbortedError):
        looked_up("imap.example.com", 993, Deadline(time.monotonic() + LONG, stopped.is_set), dead)


def test_P8_a_dead_name_server_costs_one_thread_a_host_and_no_more_than_32(dead: Dead) -> None:
    def ask(number: int) -> bool:
        try:
            looked_up(f"imap{number % 40}.example.com", 993, within(0.5), dead)
        except TimeoutError:
            return True
        return False

    with ThreadPoolExecutor(80) as pool:
        assert all(pool.map(ask, range(80)))
    assert len(dead.asked) == len(set(dead.asked)) == 32
    # Who waits for one of these has its answer, and there is room again.
    dead.ended.set()
    assert looked_up(dead.asked[0], 993, within(LONG), dead) == [KNOWN]
    assert looked_up("another.example.com", 993, within(LONG), dead) == [KNOWN]


def test_an_address_is_not_looked_up(dead: Dead) -> None:
    dead.ended.set()
    for host in ("192.0.2.1", "::1", "fe80::1%lo"):
        looked_up(host, 993, within(LONG), lambda _host, _port: [KNOWN])
    assert not any(thread.name == "look-up" for thread in threading.enumerate())


def test_what_a_name_server_refuses_is_told_to_all_who_wait() -> None:
    asked = threading.Barrier(2)

    def refuse(_host: str, _port: int) -> Sequence[HostAddress]:
        asked.wait(LONG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(looked_up, "nowhere.example", 993, within(LONG), refuse) for _ in range(2)]
        asked.wait(LONG)
        errors = [one.exception() for one in waiting]
    assert [type(one) for one in errors] == [socket.gaierror] * 2
    assert errors[0] is not errors[1]


def test_the_systems_resolver_is_asked() -> None:
    assert ("127.0.0.1", 993) in [place.address for place in looked_up("localhost", 993, within(LONG))]


# --- addresses ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def silent(stack: ExitStack) -> HostAddress:
    """An address that answers no connection: its queue is full."""
    server = stack.enter_context(socket.socket())
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    for _ in range(2):
        filling = stack.enter_context(socket.socket())
        filling.setblocking(False)
        filling.connect_ex(server.getsockname())
    time.sleep(0.05)
    return HostAddress(socket.AF_INET, server.getsockname())


def refusing() -> HostAddress:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return HostAddress(socket.AF_INET, server.getsockname())


def answering(stack: ExitStack) -> HostAddress:
    return HostAddress(socket.AF_INET, stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname())


def test_P6_silent_addresses_hold_up_the_one_that_answers_for_a_moment(stack: ExitStack) -> None:
    places = [silent(stack), silent(stack), answering(stack)]
    before = open_files()
    with reached(places, within(LONG)) as sock:
        assert sock.getpeername() == places[2].address
        # Those that were tried beside it are closed.
        assert len(open_files() - before) == 1


def test_an_address_that_refuses_or_can_not_be_is_passed_over_at_once(stack: ExitStack) -> None:
    nonsense = HostAddress(socket.AF_INET6, ("::ffff:0.0.0.0", 1, 0, 0))
    places = [HostAddress(77, ("x", 1)), nonsense, *[refusing() for _ in range(5)], answering(stack)]
    began = time.monotonic()
    with reached(places, within(LONG)) as sock:
        assert sock.getpeername() == places[-1].address
    assert time.monotonic() - began < AT_ONCE


def test_P6_silent_addresses_alone_meet_the_deadline(stack: ExitStack) -> None:
    places = [silent(stack)] * 200
    before = open_files()
    with pytest.raises(TimeoutError):
        reached(places, within(0.6))
    assert open_files() <= before


def test_what_the_last_address_said_is_told() -> None:
    with pytest.raises(ConnectionRefusedError):
        reached([refusing(), refusing()], within(LONG))
    with pytest.raises(OSError, match="no address"):
        reached([], within(LONG))


def test_P6_connecting_ends_when_nobody_waits_any_more(stack: ExitStack) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with pytest.raises(ConnectionAbortedError):
        reached([silent(stack)], Deadline(time.monotonic() + LONG, stopped.is_set))
