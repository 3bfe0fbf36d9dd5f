"""Do a piece of work for each of several things at once, so many in all and so many of each group."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import wait
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

__all__ = ["at_once"]

_T = TypeVar("_T")

#: Seconds that work under way is waited for once somebody breaks it off.
_PATIENCE = 2.0


def at_once(
    work: Callable[[str, Executor, Callable[[], bool]], _T], groups: Mapping[str, tuple[str, int]], *, most: int
) -> dict[str, _T]:
    """Call ``work`` for each name of ``groups``; return what it returned by name, in their order. Raises what it raised first.

    ``work`` is given the name, a thread of its own for steps that may hang, and whether it must end as soon as it can.
    ``groups``: the group of each name, and how many of that group may be under way; ``most``: how many in all.
    """
    stopped, room = threading.Event(), threading.BoundedSemaphore(most)

    def work_for(name: str) -> _T:
        with room:
            steps = WorkerThreads(1, f"steps of {name}")
            try:
                return work(name, steps, stopped.is_set)
            finally:
                # A thread that hangs is not waited for; it ends with the process.
                steps.shutdown(wait=False)

    with ExitStack() as stack:
        # Each group has threads of its own: those that wait for a host that hangs keep no other group waiting.
        threads = {
            group: WorkerThreads(min(count, group[1]), f"group {group[0]}") for group, count in Counter(groups.values()).items()
        }
        for each in threads.values():
            stack.callback(each.shutdown, wait=False, cancel_futures=True)
        futures = {name: threads[group].submit(work_for, name) for name, group in groups.items()}
        stack.callback(lambda: wait(futures.values(), _PATIENCE))
        stack.callback(stopped.set)
        return {name: one.result() for name, one in futures.items()}
