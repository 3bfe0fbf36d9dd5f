"""Options and arguments that several commands have, such as ``--operator`` and ``--json``."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["ID", "Asker", "all_operators_option", "asker_of", "json_option", "limit_option", "operator_options", "user_name"]


class _Id(click.IntRange):
    name = "id"


#: A mail's id on the command line: what a store's integers hold.
ID = _Id(1, 2**63 - 1)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="Show at most this many, the newest."
)
#: For commands that the administrator may run for everybody; below ``operator_options``.
all_operators_option = click.option(
    "--all-operators", is_flag=True, help="The administrator's view: every operator, former ones too, with personal mail."
)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as the flags of a command say."""

    operator: str | None = None
    users: Sequence[str] = ()
    all_operators: bool = False


def asker_of(operator: str | None, *users: str | None, all_operators: bool = False) -> Asker:
    """Return who asks: each of ``users`` is named with its operator, as `acme/irina`, or with ``operator`` alone."""
    names = []
    for one in filter(None, users):
        named, slash, user = one.rpartition("/")
        if slash and operator not in {None, named}:
            raise click.UsageError(f"--operator {operator} and --user {one} are two operators")
        operator = named if slash else operator
        names.append(user)
    return Asker(operator, names, all_operators)


def operator_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say who asks; the command gets them as ``asker``."""

    @wraps(command)
    def with_asker(
        *arguments: object, operator: str | None, users: Sequence[str], all_operators: bool = False, **options: object
    ) -> object:
        return command(*arguments, asker=asker_of(operator, *users, all_operators=all_operators), **options)

    flagged = click.option(
        "--user",
        "users",
        multiple=True,
        metavar="USER",
        help="Include this user's personal mail, as `operator/user` or `user`; may be repeated.",
    )(with_asker)
    return click.option("--operator", metavar="O", help="The operator; required if there are several.")(flagged)


def user_name() -> str:
    """Return the name of the user who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
