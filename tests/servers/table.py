"""The table that the campaign ends with: server by scenario, and how many seconds each took."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Table"]


class _Cell(NamedTuple):
    came: str
    seconds: float


class Table:
    """What came of each scenario of each server."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, dict[str, _Cell]] = defaultdict(dict)
        self._columns: dict[str, None] = {}
        self._why: dict[str, str] = {}

    def add(self, row: str, column: str, came: str, seconds: float) -> None:
        """Take in one result; what takes several steps is as its worst."""
        before = self._rows[row].get(column, _Cell("sound", 0.0))
        self._columns[column] = None
        self._rows[row][column] = _Cell(came if came != "sound" else before.came, before.seconds + seconds)

    def because(self, row: str, column: str, why: str) -> None:
        """A server is told as what it is, for this reason."""
        self._why[f"{row}, {column}"] = why
        cell = self._rows[row].get(column)
        if cell and cell.came == "sound":
            self._rows[row][column] = cell._replace(came="told")

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table, and the reasons below it."""
        if not self._rows:
            return
        head = ["server", *self._columns, "seconds"]
        body = [self._line(row, cells) for row, cells in self._rows.items()]
        widths = [max(len(line[at]) for line in (head, *body)) for at in range(len(head))]
        for line in (head, *body):
            yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        yield ""
        for where, why in self._why.items():
            yield f"{where}: {why}"

    def _line(self, row: str, cells: dict[str, _Cell]) -> list[str]:
        shown = [f"{cells[one].came} {cells[one].seconds:.0f}s" if one in cells else "-" for one in self._columns]
        return [row, *shown, f"{sum(one.seconds for one in cells.values()):.0f}"]
