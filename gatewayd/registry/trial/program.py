"""The program that tries a plugin: it imports it, and writes what it offers or what is wrong with it.

Whatever the plugin does to its process, nobody else works in it. What it did to it is looked for: in a daemon, all others
would have to bear it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.registry.offers import offered
from gatewayd.registry.trial.process_state import ProcessState
from gatewayd.registry.trial.values import TrialResult, TrialTask
from gatewayd.runtime.child_process import bound_memory, end_with_parent
from gatewayd.runtime.traces import SINGLE, said, spot, where

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]

#: Where a plugin hangs is written so many seconds before its time is over.
_BEFORE = 0.5


def main(arguments: Sequence[str]) -> NoReturn:
    """Try the plugin that the parent names."""
    given, out, life, memory = map(int, arguments)
    end_with_parent(life)
    with os.fdopen(given, "rb") as file:
        task: TrialTask = pickle.load(file)  # noqa: S301  our parent's own bytes
    sys.path[:] = task.path
    bound_memory(memory)
    # From now on its time runs.
    os.write(out, b"\n")
    faulthandler.enable(out)
    faulthandler.dump_traceback_later(max(task.seconds - _BEFORE, task.seconds / 2), file=out)
    verdict = _verdict(task)
    os.write(out, json.dumps(asdict(verdict)).encode() + b"\n")
    # Not by way of what the plugin has to be done at the end.
    os._exit(0)


def _verdict(task: TrialTask) -> TrialResult:
    marks = ProcessState()
    try:
        found = offered(task.found.name, task.found.load())
    except BaseException as error:  # noqa: BLE001  whatever a plugin raises is its own fault
        return _refused(error)
    changed = marks.changed(task.found.module.partition(":")[0].partition(".")[0] or SINGLE)
    if changed:
        expected = "expected that to import it defines things, and changes nothing that others use"
        return TrialResult(error=f"when it is imported, {changed}: {expected}")
    return TrialResult(words=found.words, sending=found.sending)


def _refused(error: BaseException) -> TrialResult:
    at = spot(error)
    if isinstance(error, SystemExit):
        text = f"it exits when it is imported: {said(error).partition(': ')[2]}"
    else:
        text = error.sentences if isinstance(error, GatewaydError) else where(error)
    return TrialResult(error=text, file=at.file if at else "", line=at.line if at else 0, column=at.column if at else 0)
