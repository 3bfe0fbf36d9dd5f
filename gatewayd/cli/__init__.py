"""The command line: one thin module a command group. Exit codes: 0 done, 1 something failed, 2 usage, 78 config."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatewayd import __version__, plugins
from gatewayd.cli import admin, audit, install, mail, outbox, output, plugin_commands, queue, status, visits
from gatewayd.cli import run as daemon
from gatewayd.cli.app import App
from gatewayd.errors import ConfigError, GatewaydError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main", "run"]

#: sysexits.h: EX_CONFIG.
_CONFIG = 78
#: What a shell shows for a process that SIGINT ended.
_INTERRUPTED = 130


class _Group(click.Group):
    """The words of gatewayd and those that plugins add; plugins are only loaded for a word that is not ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(command.kind for command in plugins.load().commands())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = [command for command in plugins.load().commands() if command.kind == cmd_name]
        return plugin_commands.command(found[0]) if found else None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "folder",
    type=click.Path(path_type=Path),
    default=lambda: Path(os.environ.get("GATEWAYD_CONFIG", "/etc/gatewayd")),
    help="The config folder.  [default: $GATEWAYD_CONFIG, else /etc/gatewayd]",
)
@click.version_option(__version__, prog_name="gatewayd")
@click.pass_context
def _gatewayd(ctx: click.Context, folder: Path) -> None:
    """A mail gateway for the reservation systems of tour operators."""
    ctx.obj = ctx.with_resource(_closing(App(folder.absolute())))


class _closing:  # noqa: N801  contextlib.closing, typed for click
    def __init__(self, app: App) -> None:
        self._app = app

    def __enter__(self) -> App:
        return self._app

    def __exit__(self, *_: object) -> None:
        self._app.close()


for _module in (daemon, visits, audit, mail, outbox, queue, status, admin, install):
    for _command in _module.COMMANDS:
        _gatewayd.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. What went wrong is printed, never raised."""
    try:
        code = _gatewayd.main(arguments, prog_name="gatewayd", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.option_name == "--config":
            output.note("--config goes before the command: gatewayd --config FOLDER ...")
        return error.exit_code
    except ConfigError as error:
        output.error(error)
        return _CONFIG
    except GatewaydError as error:
        output.error(error)
        return 1
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except OSError as error:
        # The reader (`head`) has seen enough, or there is no room; there is nothing left to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            what = error.filename or "the output can't be written"
            output.error(GatewaydError(f"{what}: {error.strerror or error}"))
        return 1
    return code if isinstance(code, int) else 0


def main() -> NoReturn:
    """Run the command of ``sys.argv``. Ended by SIGTERM, it still gives back its leases and removes its spools."""
    signal.signal(signal.SIGTERM, _terminated)
    # What a batch makes is gone with the batch, without cycles: looking for them every 700 objects is work for nothing.
    gc.set_threshold(20_000, 20, 20)
    for stream in (sys.stdout, sys.stderr):
        # Where the terminal can't show a character it shows another, and no command fails for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = run()
    except _Terminated:
        code = 128 + signal.SIGTERM
    sys.exit(code)


class _Terminated(BaseException):
    """We are told to end. No SystemExit: that would be taken for the fault of the plugin that happens to be at work."""


def _terminated(*_: object) -> NoReturn:
    raise _Terminated
