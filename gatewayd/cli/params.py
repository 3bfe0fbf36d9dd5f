"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ID", "all_operators_option", "operator_options"]


class _Id(click.IntRange):
    name = "id"


#: A mail's id on the command line: what a store's integers hold.
ID = _Id(1, 2**63 - 1)

#: For commands that the administrator may have for everybody.
all_operators_option = click.option(
    "--all-operators", is_flag=True, help="The administrator's view: every operator, former ones too, with personal mail."
)


def operator_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say who asks."""
    command = click.option("--user", "users", multiple=True, metavar="USER", help="See this user's personal mail too.")(command)
    return click.option("--operator", metavar="O", help="Whose mail; needed if there are several operators.")(command)
