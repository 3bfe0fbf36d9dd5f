"""A plugin's command as a word on the command line: the fields of its ``Options`` become flags."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from gatewayd.roles import Command

__all__ = ["command"]


def command(offered: type[Command]) -> click.Command:
    """Return the click command of a plugin's class."""

    def run(**given: object) -> int:
        try:
            options = offered.Options.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            flag = f"--{str(first['loc'][0]).replace('_', '-')}: " if first["loc"] else ""
            raise click.UsageError(f"{flag}{first['msg']}") from None
        return offered(options).run()

    flags: list[click.Parameter] = [_flag(name, field) for name, field in offered.Options.model_fields.items()]
    return click.Command(offered.kind, callback=run, params=flags, help=inspect.getdoc(offered))


def _flag(name: str, field: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return click.Option([flag, name], is_flag=True, default=bool(field.default), help=field.description)
    kind = click.INT if field.annotation is int else click.STRING
    return click.Option([flag, name], type=kind, default=None, help=field.description)
