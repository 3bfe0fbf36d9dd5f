"""The five errors of gatewayd, each a verb of the kernel's.

    GatewaydError
    ├── ConfigError       refuse to start, or keep the old config
    ├── PluginError       put that plugin out of use
    ├── AuthError         pause the account, tell the administrator, try rarely
    ├── TransientError    back off with jitter, then try again
    │   ├── LeaseLost      stop this visit: the account belongs to somebody else by now
    │   ├── StoreReplaced  end this process: another database lies where its own lay
    │   └── TooLarge       let this message wait: more of it comes than may come
    └── PermanentError    park the mail, the folder or the delivery

The class decides what is done, the message text never does. A plugin translates its library's errors into these in
one place. Everything else that escapes a plugin counts as that plugin's own fault.
"""

from __future__ import annotations

from dataclasses import dataclass
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
]


class GatewaydError(Exception):
    """What every error of gatewayd is: one line that says what is wrong, and one that says what to do about it."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        #: What a person can do about it, as a full sentence; empty where there is nothing to say.
        self.advice = advice

    @property
    def message(self) -> str:
        """What is wrong, in one line, without secrets."""
        return str(self.args[0])

    def alone(self) -> Self:
        """Return it without the way that it came: the frames of a traceback hold all that a server said."""
        self.__cause__ = self.__context__ = self.__traceback__ = None
        return self

    @property
    def sentences(self) -> str:
        """What is wrong and what to do about it, on one line."""
        return sentences(self.message, self.advice)


def kept(error: BaseException) -> BaseException:
    """Return an error as it may be kept beyond its handler: of a bug, the way that it came is what is to be told."""
    return error.alone() if isinstance(error, GatewaydError) else error


def sentences(message: str, advice: str = "") -> str:
    """Return a message and its advice as sentences; others' words, which stand at a message's end, may bring their full stop."""
    ended = message.rstrip().rstrip(".")
    return f"{ended}. {advice}" if advice else ended


def joined(texts: Iterable[str]) -> str:
    """Return several texts in one line; each may end with the full stop of an advice."""
    *before, last = [*texts] or [""]
    return "; ".join([*(one.rstrip(".") for one in before), last])


def enumerated(words: Iterable[str], last: str = "or") -> str:
    """Return words as ``a, b or c``."""
    *before, end = [*words] or [""]
    return f"{', '.join(before)} {last} {end}" if before else end


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One fault of the config: where, what, and what was expected."""

    #: The file, relative to the config folder.
    file: str
    #: Line and column, counted from 1; 0 where they are not known, or the whole file is meant.
    line: int = 0
    column: int = 0
    #: What is wrong and what was expected.
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"

    @property
    def place(self) -> str:
        """The file, with line and column where they are known."""
        known = [self.line, self.column] if self.column else [self.line]
        return ":".join(map(str, [self.file, *known])) if self.line else self.file


class ConfigError(GatewaydError):
    """The config can't be used. The kernel refuses to start, or keeps the last good config."""

    def __init__(self, message: str, *, faults: Sequence[Fault] = (), advice: str = "") -> None:
        super().__init__(message, advice=advice)
        #: Every fault that was found, in the order of files and lines.
        self.faults = tuple(faults)


class PluginError(GatewaydError):
    """A plugin can't be used. The kernel puts it out of use, and with it only what asks for it."""


class AuthError(GatewaydError):
    """One side could not prove who it is: a wrong or missing password, an untrusted certificate, TLS not offered.

    The kernel pauses the account, tells the administrator and tries rarely: a hasty retry locks mailboxes.
    """


class TransientError(GatewaydError):
    """It may well work later: the network, a busy server, a full disk. The kernel backs off with jitter."""

    def __init__(self, message: str, *, advice: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, advice=advice)
        #: Seconds to wait before the next try, where the other side named them.
        self.retry_after = retry_after


class LeaseLost(TransientError):
    """The account's lease went to another holder. Nothing of this visit may be written any more."""


class StoreReplaced(TransientError):
    """The database that this process has open is not the one any more that others find: a backup was put in its place.

    Nothing is written any more, nor done on a server. The process ends, for what it knows of is not in that database.
    """


class TooLarge(TransientError):
    """More of a message came than its bound allows. Nothing of it is kept, and it waits."""


class PermanentError(GatewaydError):
    """Trying again will not help: no such folder, a message the server refuses. The kernel parks the thing."""
