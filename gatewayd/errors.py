"""The errors of gatewayd: their classes decide what the kernel does. With helpers that join texts into sentences.

    GatewaydError
    ├── ConfigError       refuse to start, or keep the old config
    ├── PluginError       put that plugin out of use
    ├── AuthError         pause the account, tell the administrator, try rarely
    ├── TransientError    back off with jitter, then try again
    │   ├── LeaseLost      stop this visit: another process has the account's lease now
    │   ├── StoreReplaced  end this process: its database was replaced by another
    │   └── TooLarge       let this message wait: it exceeds its bound
    └── PermanentError    park the mail, the folder or the delivery

The class decides, and never the text of the message. A plugin translates the errors of its library into these in one
place. Any other exception of a plugin counts as a fault of that plugin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

__all__ = [
    "AuthError",
    "ConfigError",
    "Fault",
    "GatewaydError",
    "LeaseLost",
    "PermanentError",
    "PluginError",
    "StoreReplaced",
    "TooLarge",
    "TransientError",
    "enumerated",
    "joined",
    "kept",
    "sentences",
    "without_text",
]


class GatewaydError(Exception):
    """The base of all errors of gatewayd: a line about what is wrong, and a line about what to do."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        #: What a person can do about it, as a full sentence; may be empty.
        self.advice = advice

    @property
    def message(self) -> str:
        """What is wrong, on one line, without secrets."""
        return str(self.args[0])

    def alone(self) -> Self:
        """Return this error without its traceback and causes, whose frames keep everything that a server sent in memory."""
        self.__cause__ = self.__context__ = self.__traceback__ = None
        return self

    @property
    def sentences(self) -> str:
        """What is wrong and what to do about it, on one line."""
        return sentences(self.message, self.advice)


def kept(error: BaseException) -> BaseException:
    """Return an error for keeping beyond its handler: without traceback, unless it is a bug, which needs the traceback."""
    return error.alone() if isinstance(error, GatewaydError) else error


def without_text(error: BaseException) -> str:
    """Return an error's class, and the file and line that raised it. Its text is left out: it may quote a secret."""
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    place = f" in {Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}" if step else ""
    return f"{type(error).__name__}{place}"


def sentences(message: str, advice: str = "") -> str:
    """Return a message and its advice as sentences; a message may already end with a full stop, if it quotes a server."""
    ended = message.rstrip().rstrip(".")
    return f"{ended}. {advice}" if advice else ended


def joined(texts: Iterable[str]) -> str:
    """Return several texts on one line; each may end with the full stop of an advice."""
    *before, last = [*texts] or [""]
    return "; ".join([*(one.rstrip(".") for one in before), last])


def enumerated(words: Iterable[str], last: str = "or") -> str:
    """Return words as ``a, b or c``."""
    *before, end = [*words] or [""]
    return f"{', '.join(before)} {last} {end}" if before else end


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One fault of the config: its place, what is wrong, and what was expected."""

    #: The file, relative to the config folder.
    file: str
    #: Line and column, counted from 1; 0 if they are unknown, or the whole file is meant.
    line: int = 0
    column: int = 0
    #: What is wrong and what was expected.
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"

    @property
    def place(self) -> str:
        """The file, with line and column if they are known."""
        known = [self.line, self.column] if self.column else [self.line]
        return ":".join(map(str, [self.file, *known])) if self.line else self.file


class ConfigError(GatewaydError):
    """The config can't be used. The kernel refuses to start, or keeps the last good config."""

    def __init__(self, message: str, *, faults: Sequence[Fault] = (), advice: str = "") -> None:
        super().__init__(message, advice=advice)
        #: All faults that were found, in the order of files and lines.
        self.faults = tuple(faults)


class PluginError(GatewaydError):
    """A plugin can't be used. The kernel disables it, and with it only what uses it."""


class AuthError(GatewaydError):
    """One side could not prove its identity: a wrong or missing password, an untrusted certificate, TLS not offered.

    The kernel pauses the account, notifies the administrator and retries rarely: frequent retries lock mailboxes.
    """


class TransientError(GatewaydError):
    """It may work later: a network error, a busy server, a full disk. The kernel backs off with jitter."""

    def __init__(self, message: str, *, advice: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, advice=advice)
        #: Seconds to wait before the next try, if the server gave them.
        self.retry_after = retry_after


class LeaseLost(TransientError):
    """The account's lease went to another holder. Nothing of this visit may be written any more."""


class StoreReplaced(TransientError):
    """The database that this process has open was replaced by another, for example by a restored backup.

    Nothing more is written, and nothing is done on servers. The process ends, since that database lacks what it has done.
    """


class TooLarge(TransientError):
    """A message is larger than its bound allows. Nothing of it is kept, and it waits."""


class PermanentError(GatewaydError):
    """Trying again will not help: no such folder, a message that the server refuses. The kernel parks it."""
