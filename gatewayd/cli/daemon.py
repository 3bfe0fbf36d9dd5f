"""``run``: the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gatewayd.cli.app import App

__all__ = ["COMMANDS"]


@click.command("run")
@click.pass_obj
def _run(app: App) -> None:
    """Look after all accounts until SIGTERM: the service. SIGHUP, and changed files, are taken over while it runs."""
    from gatewayd.daemon import Daemon  # noqa: PLC0415  imported late: no other command needs it

    Daemon(app.folder).run()


COMMANDS = (_run,)
