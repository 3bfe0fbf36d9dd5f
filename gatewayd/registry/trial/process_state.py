"""Check that a plugin's import left its process as it was: signals, limits, locale, logging and other shared state."""

from __future__ import annotations

import gc
import locale
import logging
import os
import re
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING

from gatewayd.registry.trial.values import ORPHANED
from gatewayd.runtime.traces import SINGLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ProcessState"]

#: Seconds that threads started by an import have to end.
_END = 0.5
#: The switches by which libraries print what they send and receive.
_DEBUGGING = (
    ("imaplib", "Debug"),
    ("smtplib", "SMTP.debuglevel"),
    ("http.client", "HTTPConnection.debuglevel"),
    ("poplib", "POP3._debugging"),
)
#: Methods that Python itself replaces on first use.
_REPLACED = {"_no_init_or_replace_init", "_no_init"}


def _signals() -> object:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _masks() -> object:
    """Return which signals are caught, ignored or blocked, as the operating system sees it (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _limits() -> object:
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def _streams() -> object:
    files = []
    for number in range(3):
        try:
            found = os.fstat(number)
            files.append((found.st_dev, found.st_ino))
        except OSError:
            files.append((0, 0))
    return sys.stdin, sys.stdout, sys.stderr, files


def _hooks() -> object:
    return sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace(), sys.getprofile(), sys.breakpointhook


def _log() -> object:
    root = logging.getLogger()
    return root.level, list(root.handlers), logging.root.manager.disable, logging.getLoggerClass()


#: Signals that end or stop a process, as bits of proc(5), status.
_ENDING = sum(1 << (one - 1) for one in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))


def _parent() -> object:
    """Return the fork server's process id, and whether it is stopped or is about to be stopped or ended (proc(5), status)."""
    number = os.getppid()
    # A unit with ProtectProc= does not show it.
    with suppress(OSError):
        status = Path(f"/proc/{number}/status")
        # On a busy machine a signal stays pending for a while. So look for pending signals first, then at the state.
        waiting = [int(mask, 16) for mask in re.findall(r"^(?:Sig|Shd)Pnd:\s*(\w+)$", status.read_text(), re.MULTILINE)]
        is_stopped = re.search(r"^State:\s*[Tt]", status.read_text(), re.MULTILINE) is not None
        return number, is_stopped or any(mask & _ENDING for mask in waiting)
    return number, False


def _debugging() -> object:
    """Return how much the libraries for mail and HTTP print of their connections, passwords included."""
    found: list[object] = []
    for module, path in _DEBUGGING:
        value: object = sys.modules.get(module)
        for word in path.split("."):
            value = getattr(value, word, 0)
        found.append(value)
    return found


#: Functions whose results must be the same before and after the import, by the message for a change.
_LOOKS: dict[str, Callable[[], object]] = {
    "it changes the handlers of signals": _signals,
    "it changes which signals are caught": _masks,
    "it changes the working folder": os.getcwd,
    "it changes the umask": _umask,
    "it changes the limits of the process": _limits,
    "it changes user or group": lambda: (os.getresuid(), os.getresgid(), os.getgroups()),
    "it changes the priority of the process": lambda: os.getpriority(os.PRIO_PROCESS, 0),
    "it sets an alarm": lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
    "it replaces or closes standard input, output or error": _streams,
    "it sets a hook of Python's": _hooks,
    "it changes how deep Python recurses": sys.getrecursionlimit,
    "it changes how often threads take turns": sys.getswitchinterval,
    "it changes the collector of garbage": lambda: (gc.isenabled(), gc.get_threshold()),
    "it changes the locale": lambda: locale.setlocale(locale.LC_ALL),
    "it changes the time zone": lambda: time.tzname,
    "it sets a timeout for all sockets": socket.getdefaulttimeout,
    "it changes the log of the process": _log,
    "it turns warnings into errors": lambda: [one for one in warnings.filters if one[0] == "error"],
    "it has a library print what it says to servers": _debugging,
    ORPHANED: _parent,
}


class ProcessState:
    """How the process is before an import."""

    def __init__(self) -> None:
        self._seen = {what: look() for what, look in _LOOKS.items()}
        self._variables = dict(os.environ)
        self._modules = dict(sys.modules)
        self._functions = dict(_functions(self._modules))

    def changed(self, owner: str) -> str:
        """Return the first change by the plugin whose top module is ``owner``, in a few words; empty if there is none."""
        return next(self._changes(owner), "")

    def _changes(self, owner: str) -> Iterator[str]:
        for what, look in _LOOKS.items():
            if look() != self._seen[what]:
                yield what
        # Libraries may add variables.
        if any(os.environ.get(name) != value for name, value in self._variables.items()):
            yield "it changes the environment of the process"
        for thread in _threads():
            yield f"it leaves the thread {thread.name!r:.40} behind"
        if _children():
            yield "it leaves a process behind"
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                yield f"it replaces the module {name}"
        yield from self._replaced(owner)

    def _replaced(self, owner: str) -> Iterator[str]:
        now = dict(_functions(dict(sys.modules)))
        for place, function in self._functions.items():
            if now.get(place) is not function:
                yield f"it replaces {place}, which others use"
        for place, function in now.items():
            # A function that existed before the import is not the plugin's.
            if place not in self._functions and not _is(place, owner) and _is(_home(function), owner):
                yield f"it puts its own into {place}, which others use"


def _threads() -> list[threading.Thread]:
    until = time.monotonic() + _END
    others = [one for one in threading.enumerate() if one is not threading.main_thread()]
    for thread in others:
        with suppress(RuntimeError):
            thread.join(max(0.0, until - time.monotonic()))
    return [one for one in others if one.is_alive()]


def _children() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _functions(modules: dict[str, ModuleType]) -> Iterator[tuple[str, object]]:
    """Yield the functions and classes of modules, and the methods of their classes, by their places."""
    for name, module in modules.items():
        for word, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, FunctionType | BuiltinFunctionType | type) and word != "_":
                yield f"{name}.{word}", value
            if isinstance(value, type) and value.__module__ == name:
                yield from _methods(f"{name}.{word}", value)


def _methods(place: str, cls: type) -> Iterator[tuple[str, object]]:
    for word, value in list(vars(cls).items()):
        is_method = isinstance(value, FunctionType | staticmethod | classmethod | property)
        if is_method and getattr(value, "__name__", "") not in _REPLACED:
            yield f"{place}.{word}", value


def _is(name: str, owner: str) -> bool:
    return name == owner or name.startswith((f"{owner}.", SINGLE))


def _home(function: object) -> str:
    """Return the module in which a function was defined."""
    inner = getattr(function, "fget", None) or getattr(function, "__func__", function)
    return str(inner.__globals__.get("__name__", "")) if isinstance(inner, FunctionType) else ""
