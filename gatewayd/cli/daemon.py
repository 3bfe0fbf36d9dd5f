"""``run``: the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from gatewayd.cli.app import App

__all__ = ["COMMANDS"]


@click.command("run")
@click.pass_obj
def _run(app: App) -> int:
    """Look after all accounts until SIGTERM: the service. SIGHUP, and changed files, are taken over while it runs."""
    from gatewayd.daemon.process import Daemon  # noqa: PLC0415  imported late: no other command needs it

    try:
        Daemon(app.folder).run()
    except TransientError as error:
        # systemd runs it again.
        output.error(error)
        return 1
    return 0


COMMANDS = (_run,)
