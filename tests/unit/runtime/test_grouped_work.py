"""Work for several things at once: bounds are kept, groups don't wait for each other, and results come in order."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gatewayd.runtime.grouped_work import at_once
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor


def test_all_run_at_once_in_threads_of_their_own_and_answer_in_order() -> None:
    meet = threading.Barrier(3)

    def work(name: str, steps: Executor, stopping: Callable[[], bool]) -> str:
        meet.wait(LONG)
        assert not stopping()
        return steps.submit(lambda: f"{name} done").result(LONG)

    found = at_once(work, {"c": ("one", 2), "a": ("one", 2), "b": ("other", 1)}, most=3)
    assert list(found.items()) == [("c", "c done"), ("a", "a done"), ("b", "b done")]


@pytest.mark.parametrize(("most", "of_group"), [(8, 2), (1, 8)])
def test_no_more_are_under_way_than_the_bounds_say(most: int, of_group: int) -> None:
    lock, now, highest = threading.Lock(), Counter[str](), Counter[str]()

    def work(name: str, steps: Executor, stopping: Callable[[], bool]) -> None:
        del steps, stopping
        for what in ("all", name[0]):
            with lock:
                now[what] += 1
                highest[what] = max(highest[what], now[what])
        threading.Event().wait(0.01)
        with lock:
            now.subtract(("all", name[0]))

    at_once(work, {f"{group}{number}": (group, of_group) for group in "xy" for number in range(6)}, most=most)
    assert highest["all"] <= most
    assert max(highest["x"], highest["y"]) <= of_group


def test_a_group_that_waits_keeps_no_other_waiting() -> None:
    others = threading.Event()

    def work(name: str, steps: Executor, stopping: Callable[[], bool]) -> bool:
        del steps, stopping
        if name == "quick":
            others.set()
        return others.wait(LONG)

    groups = {**{f"slow {number}": ("hangs", 1) for number in range(4)}, "quick": ("well", 1)}
    assert all(at_once(work, groups, most=2).values())


def test_what_fails_is_raised_and_all_others_are_told_to_end() -> None:
    ended = threading.Event()

    def work(name: str, steps: Executor, stopping: Callable[[], bool]) -> None:
        del steps
        if name == "fails":
            raise ValueError("no")
        pause = threading.Event()
        while not stopping():
            pause.wait(0.01)
        ended.set()

    with pytest.raises(ValueError, match="no"):
        at_once(work, {"fails": ("one", 2), "goes on": ("one", 2)}, most=2)
    assert ended.wait(LONG)
