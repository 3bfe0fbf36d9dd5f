"""Ask the daemon, through the store, to visit an account that it holds, and wait for the result."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gatewayd.api.health import Answer
from gatewayd.cli import output
from gatewayd.config import is_of_user
from gatewayd.errors import TransientError
from gatewayd.importing.values import Progress
from gatewayd.runtime.instance import host_and_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Held
    from gatewayd.cli.app import App

__all__ = ["asked", "is_daemons"]

#: Seconds between two looks at the progress.
_LOOK = 0.2
#: Seconds without a living daemon after which we stop waiting.
_PATIENCE = 60.0
#: Seconds for which a file may be missing while an editor saves it.
_SAVED = 5.0


def is_daemons(app: App, held: Held) -> bool:
    """Whether a daemon holds the account: it takes requests, and any other holder only ends some day."""
    return held.holder in {daemon.holder for daemon in app.daemons()}


def asked(app: App, held: Held, task: Task, show: Callable[[Progress], None]) -> Answer:
    """Ask the daemon that holds an account for a visit, follow it, and return its answer.

    If the account's file disappears meanwhile, the request is withdrawn: daemons release such an account, and the first that
    got the file again, however late, would do it. Raises TransientError if the holder is no daemon that takes requests, or if all
    daemons end meanwhile.
    """
    if not is_daemons(app, held):
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
            # If a daemon answers at the same moment, its answer is kept.
            error = f"{_gone(held.account)}, and nobody visits it any more"
            app.store.answer([request_id], Answer(account=held.account, error=error, advice="Put it back, and run this again."))
            continue
        time.sleep(_LOOK)


def _is_there(app: App, account: str) -> bool:
    """Whether an account is there still: as a file, or as a mailbox that a user added."""
    if is_of_user(account):
        return any(one.name == account for one in app.store.user_accounts())
    return os.path.lexists(app.folder / "accounts" / f"{account}.yaml") or not (app.folder / "accounts").is_dir()


def _gone(account: str) -> str:
    return "the mailbox was removed" if is_of_user(account) else f"its file accounts/{account}.yaml is gone"
