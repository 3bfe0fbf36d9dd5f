"""Read the rows of one CSV file (RFC 4180, UTF-8) with their lines; a faulty row is reported, and the others are still read."""

from __future__ import annotations

import csv
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

__all__ = ["UTF8", "Faults", "rows"]

#: Advice for a file in another encoding.
UTF8 = "save the file as UTF-8 (in Excel: CSV UTF-8)"

#: How many faults of one file are reported one by one.
_MAX_REPORTED = 100
#: How many lines one row may span: an open quote must not swallow the file.
_MAX_LINES = 100
#: How many characters a value may have.
_MAX_VALUE = 100_000
#: How many characters are read as one line.
_MAX_LINE = 1 << 20


class Faults:
    """The faults or warnings of one file: the first ones in full, the others as a number."""

    def __init__(self, name: str, others: str = "faulty rows were left out") -> None:
        """``others`` describes those that are only counted."""
        self._name = name
        self._others = others
        self._reported: list[tuple[int, str]] = []
        self._counted = 0

    def add(self, line: int, what: str) -> None:
        """Add a fault of the row at ``line``."""
        if len(self._reported) < _MAX_REPORTED:
            self._reported.append((line, what))
        else:
            self._counted += 1

    def texts(self) -> list[str]:
        """Return them as ``persons.csv:17: …``, by line."""
        reported = [f"{self._name}:{line}: {what}" for line, what in sorted(self._reported)]
        return [*reported, f"{self._name}: {self._counted:,} more {self._others}"] if self._counted else reported


class _Torn(Exception):
    """A row spans too many lines."""


class _Lines:
    """Passes lines to a csv reader, and takes back those that turn out not to belong to the row."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._again: deque[str] = deque()
        self._given: list[str] = []
        #: The number of the line at which the current row begins.
        self.start = 1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if len(self._given) == _MAX_LINES:
            raise _Torn
        line = self._again.popleft() if self._again else next(self._source)
        self._given.append(line)
        return line

    def next_row(self) -> None:
        """Continue after the lines that were passed."""
        self.start += len(self._given)
        self._given.clear()

    def skip_line(self) -> None:
        """Continue after the first line of the current row."""
        self._again.extendleft(reversed(self._given[1:]))
        self.start += 1
        self._given.clear()


def rows(path: Path, width: int, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and stripped values of each row after the header; rows without ``width`` columns become ``faults``."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = _Lines(iter(partial(file.readline, _MAX_LINE), ""))
        for line, row in _read(lines, faults):
            # The header is read elsewhere, and a blank line is no row.
            if line == 1 or not row:
                continue
            if len(row) != width:
                faults.add(line, f"expected {width} columns, found {len(row)}")
            elif not _is_text(row):
                faults.add(line, f"it is not UTF-8, so this row is left out; {UTF8}")
            elif any("\0" in value for value in row):
                faults.add(line, "it has a NUL character")
            elif max(map(len, row)) > _MAX_VALUE:
                faults.add(line, f"a value has more than {_MAX_VALUE:,} characters")
            else:
                yield line, [value.strip() for value in row]


def _read(lines: _Lines, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.add(lines.start, f"it is not CSV: {error}")
            lines.skip_line()
        except _Torn:
            faults.add(lines.start, f"a quote is opened and not closed within {_MAX_LINES} lines")
            lines.skip_line()
        else:
            yield lines.start, row
            lines.next_row()


def _is_text(row: list[str]) -> bool:
    """Whether all bytes of the row were valid UTF-8."""
    joined = "".join(row)
    try:
        return joined.isascii() or bool(joined.encode())
    except UnicodeEncodeError:
        return False
