"""The command line: parse it, run one command, and turn errors into messages and exit codes.

Each group of commands has a module. Exit codes: 0 done, 1 something failed, 2 usage, 78 config.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections import UserDict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatewayd.api.roles import Command
from gatewayd.cli import output
from gatewayd.cli.app import App
from gatewayd.errors import ConfigError, GatewaydError, TransientError
from gatewayd.runtime import gc_tuning
from gatewayd.runtime.prctl import forbid_dumps
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

__all__ = ["main", "run"]

#: sysexits.h: EX_CONFIG.
_CONFIG = 78
#: Errors of a write to the output. Other errors with these numbers nearly always name a file.
_OUTPUT = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
#: The exit code that shells show for a process that SIGINT ended.
_INTERRUPTED = 130

#: Our commands, each with the module that lists it in ``COMMANDS``.
_MODULES = {
    "account": "account",
    "activity": "activity",
    "audit": "audit",
    "check": "admin",
    "directory": "directories",
    "dismiss": "remote",
    "explain": "admin",
    "import": "visits",
    "install": "install",
    "mail": "mail",
    "operator": "renaming",
    "outbox": "outbox",
    "plugins": "admin",
    "queue": "queue",
    "remote": "remote",
    # Not a module `run`: it would take the place of our function.
    "run": "daemon",
    "schema": "admin",
    "status": "status",
    "subscriptions": "subscriptions",
    "user": "renaming",
}


class _Commands(UserDict[str, click.Command]):
    """Our commands by name. A command's module is imported when it is asked for, so that none waits for the others' imports."""

    def __missing__(self, word: str) -> click.Command:
        self.data |= {command.name: command for command in import_module(f"{__name__}.{_MODULES[word]}").COMMANDS}
        return self.data[word]

    def __contains__(self, word: object) -> bool:
        return word in _MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


class _Group(click.Group):
    """gatewayd's commands and those of plugins. Plugins are only loaded for a command that is not ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_app(ctx).registry.kinds(Command)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        registry = _app(ctx).registry
        if cmd_name not in registry.kinds(Command):
            return None
        from gatewayd.cli import plugin_commands  # noqa: PLC0415  imported late: our own commands do without

        return plugin_commands.command(registry.get(Command, cmd_name), _app(ctx).folder)


def _app(ctx: click.Context) -> App:
    """Return the ``App`` of this run. It is made here, since commands are looked up before one runs."""
    if ctx.obj is None:
        folder: Path = ctx.params.get("folder") or _folder()
        ctx.obj = ctx.with_resource(_closing(App(folder.absolute())))
    app: App = ctx.obj
    return app


def _folder() -> Path:
    return Path(os.environ.get("GATEWAYD_CONFIG", "/etc/gatewayd"))


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  as click calls it
    if wanted and not ctx.resilient_parsing:
        from gatewayd.runtime.version import __version__  # noqa: PLC0415  it reads files, and no other command needs them

        click.echo(f"gatewayd, version {__version__}")
        ctx.exit()


@click.group(cls=_Group, commands=_Commands(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "folder",
    type=click.Path(path_type=Path),
    default=_folder,
    # Before --help, which also lists the commands of the plugins in that folder.
    is_eager=True,
    help="The config folder.  [default: $GATEWAYD_CONFIG, else /etc/gatewayd]",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version and exit."
)
@click.pass_context
def _gatewayd(ctx: click.Context, folder: Path) -> None:  # noqa: ARG001  it is among the context's parameters
    """A mail gateway for the reservation systems of tour operators."""
    _app(ctx)


class _closing:  # noqa: N801  contextlib.closing, typed for click
    def __init__(self, app: App) -> None:
        self._app = app

    def __enter__(self) -> App:
        return self._app

    def __exit__(self, *_: object) -> None:
        self._app.close()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are printed, never raised."""
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
        if isinstance(error, TransientError):
            output.note("  It may work later: run the command again then. What it did before stays done.")
        return 1
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except OSError as error:
        return _os_error(error)
    return code if isinstance(code, int) else 0


def _os_error(error: OSError) -> int:
    """Report an error of the operating system: about a file, the output, or one that a command should have handled."""
    if not error.filename and error.errno in _OUTPUT:
        # The reader (`head`) has seen enough, or there is no room; there is nothing left to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            output.error(GatewaydError(f"the output can't be written: {error.strerror or error}"))
        return 1
    what = f"{error.filename}: {error.strerror or error}" if error.filename else f"the system refuses: {where(error)}"
    output.error(GatewaydError(what))
    return 1


def main() -> NoReturn:
    """Run the command of ``sys.argv``. On SIGTERM or SIGHUP it still releases its leases and removes its spools."""
    forbid_dumps()
    signal.signal(signal.SIGTERM, _terminated)
    # Closing a terminal ends the commands in it, unless they were started to outlive it (nohup(1)).
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminated)
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal can't show is replaced; no command fails for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = run()
    except _Terminated as signalled:
        code = 128 + signalled.number
    gc_tuning.leave_all()
    sys.exit(code)


def _open_streams() -> None:
    """Open standard streams that are closed (`2>&-`). The next file opened would get their number, and the output with it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The new file gets the lowest free number. ``sys.stdin`` stays None, so that no empty text is sent in its place.
            os.open(os.devnull, os.O_RDWR)
    # Python has set them to None if they were closed.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  as long as the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


class _Terminated(BaseException):
    """A signal ended us. It is no SystemExit, which would count as a fault of the plugin that is running."""

    def __init__(self, number: int) -> None:
        self.number = number


def _terminated(number: int, _: object) -> NoReturn:
    raise _Terminated(number)
