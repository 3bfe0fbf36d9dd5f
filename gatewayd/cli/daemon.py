"""``run``: run the daemon in the foreground, as the service does."""

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
    """Run the daemon: import and deliver for all accounts until SIGTERM. It reloads changed files, also on SIGHUP."""
    from gatewayd.daemon.process import Daemon  # noqa: PLC0415  imported late: no other command needs it

    try:
        Daemon(app.folder).run()
    except TransientError as error:
        # systemd runs it again.
        output.error(error)
        return 1
    return 0


COMMANDS = (_run,)
