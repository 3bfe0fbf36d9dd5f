"""Threads that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from gatewayd.runtime.threads import VisitSlot, WorkerThreads, started
from tests.patience import AT_ONCE, LONG
from tests.uncounted import uncounted
from tests.unit.supervised import until


def test_they_do_what_is_submitted_in_its_order_and_say_what_came_of_it() -> None:
    threads = WorkerThreads(1, "one")
    done: list[int] = []
    futures = [threads.submit(done.append, number) for number in range(5)]
    failed = threads.submit(int, "x")
    assert [future.result(AT_ONCE) for future in futures] == [None] * 5
    assert done == list(range(5))
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result(AT_ONCE)
    assert threads.submit(lambda: threading.current_thread().name).result(AT_ONCE) == "one"
    threads.shutdown()


def test_several_work_beside_each_other() -> None:
    threads = WorkerThreads(3, "many")
    meet = threading.Barrier(3)
    assert len({future.result(AT_ONCE) for future in [threads.submit(meet.wait, AT_ONCE) for _ in range(3)]}) == 3
    threads.shutdown()
    assert threads.join(AT_ONCE)


def test_after_shutdown_nothing_is_taken_and_what_waits_is_done_or_cancelled() -> None:
    threads = WorkerThreads(1, "ending")
    hold = threading.Event()
    threads.submit(hold.wait, LONG)
    waiting = threads.submit(lambda: "done")
    threads.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="told to end"):
        threads.submit(print)
    hold.set()
    assert waiting.result(AT_ONCE) == "done"
    assert threads.join(AT_ONCE)
    threads.shutdown()

    threads, hold = WorkerThreads(1, "cancelling"), threading.Event()
    threads.submit(hold.wait, LONG)
    cancelled = threads.submit(lambda: "done")
    threads.shutdown(wait=False, cancel_futures=True)
    hold.set()
    assert threads.join(AT_ONCE)
    assert cancelled.cancelled()


def test_join_gives_up_on_who_hangs() -> None:
    threads, hold = WorkerThreads(1, "hanging"), threading.Event()
    threads.submit(hold.wait, LONG)
    threads.shutdown(wait=False)
    began = time.monotonic()
    assert not threads.join(0.2)
    assert time.monotonic() - began < AT_ONCE
    hold.set()
    assert threads.join(AT_ONCE)


def test_what_was_done_is_not_held_by_the_thread() -> None:
    class Thing: ...

    from weakref import ref  # noqa: PLC0415  needed here alone

    threads, thing = WorkerThreads(1, "letting-go"), Thing()
    kept = ref(thing)
    threads.submit(id, thing).result(AT_ONCE)
    del thing
    until(lambda: kept() is None)
    threads.shutdown()


def test_a_thread_that_hangs_does_not_keep_the_process_from_ending() -> None:
    code = """
import time
from functools import partial
from gatewayd.runtime.threads import VisitSlot
slot = VisitSlot(1)
slot.submit(lambda: slot.fetcher.submit(time.sleep, 600).result())
time.sleep(0.2)
print("ends")
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert (done.stdout, done.stderr) == ("ends\n", "")
    assert time.monotonic() - began < LONG


def test_a_slot_has_a_thread_for_the_visit_and_one_for_its_session() -> None:
    slot = VisitSlot(7)
    names = slot.submit(
        lambda: (threading.current_thread().name, slot.fetcher.submit(lambda: threading.current_thread().name).result(AT_ONCE))
    )
    assert names.result(AT_ONCE) == ("visit-7", "session-7")
    slot.shutdown()
    assert slot.join(AT_ONCE)


def test_cancelling_what_a_thread_takes_that_moment_never_waits() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        # Threads that change so often trip over each other where their lines are counted.
        with uncounted():
            for _ in range(200):
                _cancel_at_once()
    finally:
        sys.setswitchinterval(before)


def _cancel_at_once() -> None:
    threads = WorkerThreads(1, "works")
    for _ in range(20):
        threads.submit(int)
    ending = started(partial(threads.shutdown, wait=False, cancel_futures=True), "ends")
    ending.join(AT_ONCE)
    assert not ending.is_alive()
    assert threads.join(AT_ONCE)
