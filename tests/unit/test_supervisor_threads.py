"""Threads that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from gatewayd.supervisor.threads import Slot, Threads


def test_they_do_what_is_submitted_in_its_order_and_say_what_came_of_it() -> None:
    threads = Threads(1, "one")
    done: list[int] = []
    futures = [threads.submit(done.append, number) for number in range(5)]
    failed = threads.submit(int, "x")
    assert [future.result(5) for future in futures] == [None] * 5
    assert done == list(range(5))
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result(5)
    assert threads.submit(lambda: threading.current_thread().name).result(5) == "one"
    threads.shutdown()


def test_several_work_beside_each_other() -> None:
    threads = Threads(3, "many")
    meet = threading.Barrier(3)
    assert len({future.result(5) for future in [threads.submit(meet.wait, 5) for _ in range(3)]}) == 3
    threads.shutdown()
    assert threads.join(1)


def test_after_shutdown_nothing_is_taken_and_what_waits_is_done_or_cancelled() -> None:
    threads = Threads(1, "ending")
    hold = threading.Event()
    threads.submit(hold.wait, 5)
    waiting = threads.submit(lambda: "done")
    threads.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="told to end"):
        threads.submit(print)
    hold.set()
    assert waiting.result(5) == "done"
    assert threads.join(5)
    threads.shutdown()

    threads, hold = Threads(1, "cancelling"), threading.Event()
    threads.submit(hold.wait, 5)
    cancelled = threads.submit(lambda: "done")
    threads.shutdown(wait=False, cancel_futures=True)
    hold.set()
    assert threads.join(5)
    assert cancelled.cancelled()


def test_join_gives_up_on_who_hangs() -> None:
    threads, hold = Threads(1, "hanging"), threading.Event()
    threads.submit(hold.wait, 10)
    threads.shutdown(wait=False)
    began = time.monotonic()
    assert not threads.join(0.2)
    assert time.monotonic() - began < 2
    hold.set()
    assert threads.join(5)


def test_what_was_done_is_not_held_by_the_thread() -> None:
    class Thing: ...

    from weakref import ref  # noqa: PLC0415  needed here alone

    threads, thing = Threads(1, "letting-go"), Thing()
    kept = ref(thing)
    threads.submit(id, thing).result(5)
    del thing
    time.sleep(0.1)
    assert kept() is None
    threads.shutdown()


def test_a_thread_that_hangs_does_not_keep_the_process_from_ending() -> None:
    code = """
import time
from gatewayd.supervisor.threads import Slot
slot = Slot(1)
slot.run(lambda: slot.fetcher.submit(time.sleep, 60).result())
time.sleep(0.2)
print("ends")
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("ends\n", "")
    assert time.monotonic() - began < 20


def test_a_slot_has_a_thread_for_the_visit_and_one_for_its_session() -> None:
    slot = Slot(7)
    names = slot.run(
        lambda: (threading.current_thread().name, slot.fetcher.submit(lambda: threading.current_thread().name).result(5))
    )
    assert names.result(5) == ("visit-7", "session-7")
    slot.shutdown()
    assert slot.join(5)
