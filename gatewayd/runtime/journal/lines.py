"""Write an event and its fields as one line of the log, in one of two layouts, whatever the fields contain."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from gatewayd.api.timestamps import moment
from gatewayd.errors import GatewaydError
from gatewayd.message.control_characters import escaped_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOG", "Layout", "Level", "LogHandler", "Value", "cause_of", "place", "write"]

Layout: TypeAlias = Literal["plain", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
#: The value of a field; a field that is None, empty text or an empty tuple is left out.
Value: TypeAlias = str | int | float | tuple[str, ...] | None

#: The logger that the kernel's own events go to, and the attribute of its records that holds their fields.
EVENTS = "gatewayd"
LOG = logging.getLogger(EVENTS)
FIELDS = "gatewayd_fields"

_LONGEST = 1000
_BARE = re.compile(r"[\w@.:/+*%-]+")
#: syslog's priorities, as sd-daemon(3) wants them at the beginning of a line.
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream. A line that can't be written is lost, since a log must not stop the daemon."""

    def __init__(self, layout: Layout, stream: TextIO | None = None) -> None:
        super().__init__(stream or sys.stderr)
        self._plain = layout == "plain"
        self._journald = _is_journald(self.stream)
        self._encoding = getattr(self.stream, "encoding", None) or "utf-8"

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without its end."""
        fields: Mapping[str, Value] = getattr(record, FIELDS, None) or _foreign(record)
        shown = {name: _bounded(value) for name, value in fields.items() if value not in (None, "", ())}
        level = record.levelname.lower()
        event = record.getMessage() if record.name == EVENTS else "library speaks"
        if self._plain:
            line = " ".join([event, *(f"{name}={_plain(value)}" for name, value in shown.items())])
            # journald keeps the time and the level itself.
            line = line if self._journald else f"{_time(record)} {level:7} {line}"
            line = line.encode(self._encoding, "backslashreplace").decode(self._encoding)
        else:
            line = escaped_json(json.dumps({"ts": _time(record), "level": level, "event": event, **shown}))
        return f"<{_PRIORITIES.get(record.levelno, 6)}>{line}" if self._journald else line

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Go on without the line: its reader is gone, or the disk is full."""


def _is_journald(stream: TextIO) -> bool:
    """Whether the stream goes to the journal: systemd names the device and inode of the one that does (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _time(record: logging.LogRecord) -> str:
    return moment(datetime.fromtimestamp(record.created, UTC), "milliseconds")


def _foreign(record: logging.LogRecord) -> Mapping[str, Value]:
    """The fields of a library's own record. A traceback becomes its error's class and place."""
    if record.name == EVENTS:
        return {}
    error = record.exc_info[1] if record.exc_info else None
    raised: Mapping[str, Value] = {"error": type(error).__name__, "at": place(error)} if error else {}
    return {"logger": record.name, "text": record.getMessage(), **raised}


def place(error: BaseException) -> str:
    """Return the file and line that raised an error; empty if it was not raised."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _bounded(value: Value) -> Value:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, tuple):
        return tuple(one[:_LONGEST] for one in value[:100])
    return f"{value[:_LONGEST]}…" if isinstance(value, str) and len(value) > _LONGEST else value


def _plain(value: Value) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    if not isinstance(value, str):
        return str(value)
    return value if _BARE.fullmatch(value) else escaped_json(json.dumps(value, ensure_ascii=False))


def write(level: int, event: str, /, **fields: Value) -> None:
    """Write one line, if the log has lines of this level."""
    if LOG.isEnabledFor(level):
        LOG.log(level, event, extra={FIELDS: fields})


def cause_of(error: BaseException) -> dict[str, Value]:
    """Return the fields for an error: our five have cause and advice without secrets, of others only class and place are logged."""
    if isinstance(error, GatewaydError):
        return {"error": type(error).__name__, "cause": error.message, "advice": error.advice}
    return {"error": type(error).__name__, "at": place(error)}
