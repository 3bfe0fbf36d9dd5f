"""Try what talks to servers, and say what is wrong with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.runtime.threads import WorkerThreads
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["tried"]

_Work: TypeAlias = "Callable[[], Sequence[str]]"


def tried(works: Sequence[_Work], seconds: float) -> Sequence[str]:
    """Run functions that return or raise problems, in a thread of their own, and return all problems.

    A thread that takes longer than so many seconds is not waited for; it ends with the process.
    """
    thread = WorkerThreads(1, "online")
    waiting = thread.submit(partial(_problems, works))
    thread.shutdown(wait=False)
    try:
        return waiting.result(seconds)
    except TimeoutError:
        return [f"it did not come to its end within {seconds:g} s. Raise `timeout` if the server is slow"]


def _problems(works: Sequence[_Work]) -> Sequence[str]:
    """Run all, and return their problems. Any exception of a plugin but the five errors is a fault of the plugin."""
    problems: list[str] = []
    for work in works:
        try:
            problems += work()
        except GatewaydError as error:
            problems.append(error.sentences)
        except (Exception, SystemExit) as error:  # noqa: BLE001  the others are tried all the same
            problems.append(PluginError(f"the plugin failed: {where(error)}").sentences)
    return problems
