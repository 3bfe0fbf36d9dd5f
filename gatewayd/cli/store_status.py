"""``status`` if the store can't be written or read: running daemons are then found by their processes, not in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.errors import GatewaydError
from gatewayd.runtime.instance import process_of, running_daemons

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from gatewayd.api.store import Store

__all__ = ["NO_DAEMON", "silent", "store_row", "tell_unreadable", "unwritable"]

NO_DAEMON = "no daemon runs; start it with `systemctl start gatewayd` or `gatewayd run`"


def unwritable(store: Store) -> GatewaydError | None:
    """Return the error that keeps the store from being written; None if it can be written."""
    try:
        store.prove_writable()
    except GatewaydError as error:
        return error.alone()
    return None


def silent(state: Path, holders: Collection[str]) -> Sequence[int]:
    """Return the process ids of daemons that run but can't report to the store. ``holders`` are those that do."""
    speaking = {process_of(holder) for holder in holders}
    return [pid for pid in running_daemons(state) if pid not in speaking]


def store_row(error: GatewaydError) -> dict[str, output.Json]:
    """Return an error of the store as a line of JSON."""
    return {"type": "store", "error": error.message, "advice": error.advice or None}


def tell_unreadable(state: Path, error: GatewaydError, *, as_json: bool) -> None:
    """Print what is known if the store can't be read."""
    running = running_daemons(state)
    if as_json:
        output.json_line(store_row(error))
    else:
        output.error(error)
        click.echo("How accounts are is not known: the store can't be read.")
    for pid in running:
        output.note(
            f"gatewayd: the daemon runs as process {pid}; it goes on by itself when the store can be read and written again."
        )
    if not running:
        output.note(f"gatewayd: {NO_DAEMON}.")
