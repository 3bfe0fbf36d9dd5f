"""The program that tries one plugin in a child process: import it, and write what it offers or why it can't be used.

The import may do anything to this process, which nobody else uses. Changes to the process are looked for and refused, because
in a daemon they would affect everything else.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from gatewayd.registry.offers import offered
from gatewayd.registry.trial.process_state import ProcessState
from gatewayd.registry.trial.values import TrialResult
from gatewayd.runtime.child_process import bound_memory, end_with_parent
from gatewayd.runtime.traces import SINGLE, reason, said, spot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from gatewayd.registry.discovery import FoundPlugin

__all__ = ["main"]

#: The traceback of a plugin that hangs is written so many seconds before its deadline.
_BEFORE = 0.5


def main(arguments: Sequence[str]) -> NoReturn:
    """Try the plugin that the parent names: ``arguments`` are the files of the task, the output and the life line, and bytes."""
    given, out, life, memory = map(int, arguments)
    end_with_parent(life)
    with os.fdopen(given, "rb") as file:
        found: FoundPlugin
        found, sys.path[:], seconds = pickle.load(file)  # noqa: S301  our parent's own bytes
    bound_memory(memory)
    # This starts its deadline.
    os.write(out, b"\n")
    faulthandler.enable(out)
    faulthandler.dump_traceback_later(max(seconds - _BEFORE, seconds / 2), file=out)
    os.write(out, json.dumps(asdict(_result(found))).encode() + b"\n")
    # Exit without the handlers that the plugin may have registered.
    os._exit(0)


def _result(found: FoundPlugin) -> TrialResult:
    before = ProcessState()
    try:
        offers = offered(found.name, found.load())
    except BaseException as error:  # noqa: BLE001  whatever a plugin raises is its own fault
        text = f"it exits when it is imported: {said(error).partition(': ')[2]}" if isinstance(error, SystemExit) else reason(error)
        at = spot(error)
        return TrialResult(error=text, file=at.file, line=at.line, column=at.column) if at else TrialResult(error=text)
    if changed := before.changed(found.module.partition(":")[0].partition(".")[0] or SINGLE):
        expected = "expected that to import it defines things, and changes nothing that others use"
        return TrialResult(error=f"when it is imported, {changed}: {expected}")
    return TrialResult(words=offers.words, sending=offers.sending)
