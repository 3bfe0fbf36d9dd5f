"""Print tables, lines of JSON, notes and errors, with control characters of other people's text removed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import click

from gatewayd.api.queries import Json
from gatewayd.api.timestamps import minute, moment, span
from gatewayd.errors import ConfigError
from gatewayd.message.control_characters import escaped_json, replace_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatewayd.api.queries import FilingView
    from gatewayd.errors import GatewaydError

__all__ = [
    "Json",
    "clean",
    "count",
    "error",
    "fields",
    "json_line",
    "minute",
    "moment",
    "more",
    "note",
    "related",
    "say",
    "span",
    "table",
]

_SPACES = "\t\r\n\u2028\u2029"
_PIPE_WIDTH = 1000


def clean(text: str) -> str:
    """Return text on one line without control, formatting and bidirectional characters."""
    return replace_hidden(text, lambda char: " " if char in _SPACES else "")


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, in the plural where it is not 1."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def json_line(*rows: Mapping[str, Json]) -> None:
    """Print objects, each on one line."""
    for row in rows:
        click.echo(escaped_json(json.dumps(row, ensure_ascii=sys.stdout.encoding.lower() not in {"utf-8", "utf8"})))


def fields(value: object, *names: str) -> dict[str, Json]:
    """Return attributes of a value by their names, as JSON; without a value (None), each is null.

    A time is text in UTC, a tuple is a list, and pairs in a mapping are an object.
    """
    return {name: None if value is None else _as_json(getattr(value, name)) for name in names}


def _as_json(value: object) -> Json:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Mapping):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"{type(value)} has no JSON")


def say(text: str) -> None:
    """Print one line of output."""
    click.echo(clean(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print an aligned table; nothing if there are no rows. Columns whose names begin with ``#`` are numbers.

    If it is wider than the terminal, text is wrapped within its cell. Numbers stay whole.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        return
    from rich.cells import cell_len  # noqa: PLC0415  imported late: only tables need it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(
        width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH, highlight=False, soft_wrap=False
    )
    names = [column.lstrip("#") for column in columns]
    widest = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    gap = 2 if sum(widest) + 2 * len(widest) <= console.width else 1
    fitted = _fitted(columns, widest, console.width - gap * (len(columns) - 1))
    grid = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, gap, 0, 0))
    for column, name, width in zip(columns, names, fitted, strict=True):
        number = column.startswith("#")
        justify: Literal["left", "right"] = "right" if number else "left"
        grid.add_column(name, justify=justify, overflow="fold", no_wrap=number, width=width)
    for row in cells:
        grid.add_row(*map(Text, row))
    console.print(grid)


def _fitted(columns: Sequence[str], widest: Sequence[int], room: int) -> list[int]:
    """Return column widths that fit into ``room``: the widest text column shrinks first, numbers stay whole."""
    parts = [index for index, column in enumerate(columns) if not column.startswith("#")]
    widths = list(widest)
    for index in parts:
        widths[index] = min(widths[index], max(room, 1))
    while parts and sum(widths) > room:
        index = max(parts, key=widths.__getitem__)
        if widths[index] == 1:
            break
        widths[index] -= 1
    return widths


def note(text: str) -> None:
    """Print a note to standard error, beside the output."""
    click.echo(clean(text), err=True)


def more(*, before: int = 0, otherwise: str = "", of: str = "") -> None:
    """Note that ``--limit`` cut a list. ``before`` is the id to continue from; ``otherwise`` another way to see the rest.

    ``of``: the account that the list is of, where there are several.
    """
    otherwise = f"go on with {f'{of} ' if of else ''}--before {before}" if before else otherwise
    note(f"There is more{f' of {of}' if of else ''}: give a larger --limit{', or ' if otherwise else ''}{otherwise}.")


def error(caught: GatewaydError, *, account: str = "") -> None:
    """Print an error and its advice, with the account's name if one is given."""
    of = f"{account}: " if account else ""
    click.secho(f"gatewayd: {clean(of + caught.message)}", err=True, fg="red")
    if isinstance(caught, ConfigError):
        for fault in caught.faults:
            click.echo(f"  {clean(str(fault))}", err=True)
    if caught.advice:
        click.echo(f"  {clean(caught.advice)}", err=True)


def related(filing: FilingView) -> str:
    """Return the links and the number of rivals of a filing, for a cell of a table."""
    parts = [f"{link.kind} {link.label or link.id}" for link in filing.links]
    rivals = len(filing.rivals)
    if rivals:
        parts.append(count(rivals, "rival"))
    return ", ".join(parts)
