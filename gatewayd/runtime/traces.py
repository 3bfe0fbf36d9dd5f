"""Describe an error for a plugin's author: its text, and the last line of the plugin's own code that led to it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.message.control_characters import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["SINGLE", "Spot", "reason", "said", "spot", "suspended", "trace", "where"]

#: The names of the modules of single-file plugins begin with this.
SINGLE = "gatewayd_plugin_"
#: The entry points' group of installed plugins.
_GROUP = "gatewayd"
#: The modules that run the code of single files.
_LOADERS = {"gatewayd.registry.discovery", "gatewayd.registry.trial.program"}
#: The longest text of an error, in characters.
_LONGEST = 500
#: The longest traceback, in characters.
_LONGEST_TRACE = 20_000


@dataclass(frozen=True, slots=True)
class Spot:
    """A position in source code; line and column count from 1, and are 0 if unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}" if self.line else Path(self.file).name


def said(error: BaseException) -> str:
    """Return an error's class and text on one line."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        shown = f"{type(error).__name__}: {text[: _LONGEST * 10]}"
    except Exception:  # noqa: BLE001  a class of the plugin's own whose text raises
        shown = type(error).__name__
    return clean(" ".join(shown.split())[:_LONGEST])


def where(error: BaseException) -> str:
    """Return an error on one line, with file and line of ``spot``."""
    at = spot(error)
    return f"{said(error)} ({at})" if at else said(error)


def reason(error: BaseException) -> str:
    """Return an error for people: the sentences of one of gatewayd's own, else what was raised ``where``."""
    return error.sentences if isinstance(error, GatewaydError) else where(error)


def spot(error: BaseException) -> Spot | None:
    """Return the last line of a plugin's own code that led to an error, else the last line that is not the importer's."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        # Its frames are those of the importer. If a whole file is wrong, line and column are 0 and -1.
        return Spot(error.filename, max(0, error.lineno or 0), max(0, error.offset or 0))
    found = [(whose, at) for whose, at in _spots(error) if whose != _IMPORTER]
    plugins = [at for whose, at in found if whose == _PLUGIN]
    return plugins[-1] if plugins else found[-1][1] if found else None


def suspended(generator: object) -> Spot | None:
    """Return where a plugin's generator last yielded; None if it is no generator, or has ended."""
    frame: FrameType | None = getattr(generator, "gi_frame", None)
    return Spot(frame.f_code.co_filename, frame.f_lineno) if frame else None


def trace(error: BaseException) -> str:
    """Return an error's traceback as Python shows it, from the plugin's first frame on."""
    step = error.__traceback__
    while step and _whose(step.tb_frame) != _PLUGIN:
        step = step.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, step or error.__traceback__))
    except Exception:  # noqa: BLE001  a class of the plugin's own whose text raises
        text = f"{said(error)}\n"
    return clean(text[-_LONGEST_TRACE:], line=False)


_PLUGIN, _OTHER, _IMPORTER = range(3)


def _spots(error: BaseException) -> Iterator[tuple[int, Spot]]:
    step = error.__traceback__
    while step:
        code = step.tb_frame.f_code
        # An instruction takes two bytes; its position is (line, end line, column, end column).
        position = next(islice(code.co_positions(), step.tb_lasti // 2, None), None)
        column = position[2] + 1 if position and position[2] is not None else 0
        yield _whose(step.tb_frame), Spot(code.co_filename, step.tb_lineno, column)
        step = step.tb_next


def _whose(frame: FrameType) -> int:
    name, file = str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename
    if name.startswith(SINGLE) or any(name == one or name.startswith(f"{one}.") for one in _installed()):
        return _PLUGIN
    if file.startswith("<frozen importlib") or Path(file).parent.name == "importlib" or name in _LOADERS:
        return _IMPORTER
    return _OTHER


@cache
def _installed() -> frozenset[str]:
    """Return the top packages of installed plugins."""
    return frozenset(point.module.partition(".")[0] for point in entry_points(group=_GROUP))
