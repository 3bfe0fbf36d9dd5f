"""Turn a plugin's ``Command`` into a command of the command line, with its ``Options`` fields as flags."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from gatewayd.api.roles import Command

__all__ = ["command"]

#: The largest exit code.
_LARGEST = 255


def command(offered: type[Command], folder: Path) -> click.Command:
    """Return the click command of a plugin's class. ``folder`` is the config folder."""

    def run(**given: object) -> int:
        try:
            options = offered.Options.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            flag = f"--{str(first['loc'][0]).replace('_', '-')}: " if first["loc"] else ""
            raise click.UsageError(f"{flag}{first['msg']}") from None
        return _run(offered, options, folder)

    flags: list[click.Parameter] = [_flag(name, field) for name, field in offered.Options.model_fields.items()]
    return click.Command(offered.kind, callback=run, params=flags, help=inspect.getdoc(offered))


def _run(offered: type[Command], options: Command.Options, folder: Path) -> int:
    """Run the command. Raises PluginError if it raises anything but the five errors, or returns no exit code."""
    try:
        code: object = offered(options, folder=folder).run()
    except (GatewaydError, click.ClickException, click.Abort):
        raise
    except Exception as error:
        raise PluginError(f"the command {offered.kind} failed: {where(error)}") from error
    if type(code) is not int or not 0 <= code <= _LARGEST:
        raise PluginError(f"the command {offered.kind} returned {code!r:.40}, expected an exit code from 0 to {_LARGEST}")
    return code


def _flag(name: str, field: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return click.Option([flag, name], is_flag=True, default=bool(field.default), help=field.description)
    kind = click.INT if field.annotation is int else click.FLOAT if field.annotation is float else click.STRING
    return click.Option([flag, name], type=kind, default=None, help=field.description)
