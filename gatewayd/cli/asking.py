"""Have a daemon do what was asked for: through the store, and followed until it is done."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gatewayd.api.health import Answer
from gatewayd.cli import output
from gatewayd.errors import TransientError
from gatewayd.importing.values import Progress
from gatewayd.runtime.instance import host_and_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Held
    from gatewayd.cli.app import App

__all__ = ["asked"]

#: Seconds between two looks at how far it is.
_LOOK = 0.2
#: Seconds without a living daemon after which nobody waits any more.
_PATIENCE = 60.0
#: Seconds for which a file may be gone while it is saved.
_SAVED = 5.0


def asked(app: App, held: Held, task: Task, show: Callable[[Progress], None]) -> Answer:
    """Ask the daemon that holds an account for a visit, follow it, and return its answer.

    Where the account's file goes meanwhile, what was asked for is withdrawn: daemons let go of it, and whichever had such a file
    again, however late, would do it. Raises TransientError where the holder is no daemon that takes requests, or where all
    daemons end meanwhile.
    """
    if held.holder not in {daemon.holder for daemon in app.daemons()}:
        raise TransientError(
            f"account {held.account} is being worked on by {host_and_process(held.holder)}",
            advice=f"Wait for it; its lease ends at {output.moment(held.until)} if it does not renew it.",
        )
    request_id = app.store.ask(held.account, task)
    alive = there = time.monotonic()
    while True:
        (request,) = app.store.requests(ids=[request_id])
        if request.answer is not None:
            return request.answer
        if request.total:
            show(Progress(account=held.account, folder="", done=request.done, total=request.total))
        if app.daemons():
            alive = time.monotonic()
        elif time.monotonic() - alive > _PATIENCE:
            raise TransientError(
                f"account {held.account}: the daemon that was asked has ended",
                advice="Start it again: what was asked for is done then. Or run this command once more.",
            )
        if _is_there(app, held.account):
            there = time.monotonic()
        elif time.monotonic() - there > _SAVED:
            # A daemon that answers at the same moment is first.
            app.store.answer([request_id], _withdrawn(held.account))
            continue
        time.sleep(_LOOK)


def _is_there(app: App, account: str) -> bool:
    """Whether an account has a file, as far as can be seen."""
    return os.path.lexists(app.folder / _file(account)) or not (app.folder / "accounts").is_dir()


def _file(account: str) -> str:
    return f"accounts/{account}.yaml"


def _withdrawn(account: str) -> Answer:
    error = f"its file {_file(account)} is gone, and nobody visits it any more"
    return Answer(account=account, error=error, advice="Put it back, and run this again.")
