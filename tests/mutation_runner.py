"""The process of ``./gw mutate`` that has collected all tests: it runs some of them on a change of the code, each time in a fork of its own.

A fork begins in milliseconds where a new process imports for seconds. The functions that the change is in are given their new code
there; what the tests start in turn reads the changed file. A change outside of functions can't be had that way.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["GRACE", "NOT_HERE", "TOO_LONG", "Answer", "Request", "answered", "exchanged", "functions", "written"]

#: Seconds that tests which take too long have to end the servers that they started.
GRACE = 15.0
#: Exit codes beside those of pytest: the change is outside of functions; the tests took too long.
NOT_HERE, TOO_LONG = 100, 101


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Run tests, by their names and in this order, until one fails. The file is changed already; ``before`` is its old source."""

    file: str
    before: str
    tests: Sequence[str]
    #: For so many seconds at most.
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the tests of a request ended."""

    code: int
    #: The test that failed; empty where none did.
    failed: str = ""


class Runner:
    """A pytest plugin that answers requests in place of running all that was collected."""

    def __init__(self, asker: socket.socket) -> None:
        self._asker = asker
        self._code = 0
        #: Where a fork says which test failed.
        self._failed = -1

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        items = {item.nodeid: item for item in session.items}
        known = functions()
        session.items[:] = []
        # A collection of garbage would copy all that a fork shares.
        gc.collect()
        gc.freeze()
        for line in self._asker.makefile():
            request = Request(**json.loads(line))
            # Some may be gone since it was learnt which tests reach a line.
            chosen = [items[name] for name in request.tests if name in items]
            told, self._failed = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            child = os.fork()
            if not child:
                os.setsid()
                if not exchanged(request, known):
                    os._exit(NOT_HERE)
                session.items[:] = chosen
                break
            os.close(self._failed)
            code = _code(child, request.seconds)
            self._asker.sendall(_line(Answer(code=code, failed=_said(told))))
            os.close(told)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os.write(self._failed, f"{report.nodeid}\n".encode())

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._code = int(exitstatus)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        # What is found where all is taken apart is no test's fault, and to take apart what a fork shares would copy it.
        os._exit(self._code)


def _code(child: int, seconds: float) -> int:
    """Return how a fork ended, soon after so many seconds at the latest."""
    descriptor = os.pidfd_open(child)
    in_time = _ended(descriptor, seconds)
    if not in_time:
        os.kill(child, signal.SIGINT)
        if not _ended(descriptor, GRACE):
            os.killpg(child, signal.SIGKILL)
    os.close(descriptor)
    with suppress(ProcessLookupError):
        # What it leaves behind.
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if in_time else TOO_LONG


def _said(told: int) -> str:
    try:
        # Of a test, what it left may fail as well.
        return os.read(told, 1 << 16).decode().partition("\n")[0]
    except BlockingIOError:
        # No test failed, and something that one of them started is left.
        return ""


def _ended(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


# --- exchanging code ----------------------------------------------------------------------------------------------------


def functions() -> dict[tuple[str, str, int], list[FunctionType]]:
    """Return all functions that there are, by the file, name and line of their code."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            found.setdefault(_key(one.__code__), []).append(one)
    return found


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def exchanged(request: Request, known: Mapping[tuple[str, str, int], Sequence[FunctionType]]) -> bool:
    """Give the functions of a changed file their new code; return whether that is the whole change."""
    before = compile(request.before, request.file, "exec", dont_inherit=True)
    after = compile(Path(request.file).read_text(), request.file, "exec", dont_inherit=True)
    try:
        every = list(_pairs(before, after))
        changed = [(old, new) for old, new in every if not _is_alike(old, new)]
        if any(_is_several(old, known, [one for one, _ in every]) for old, _ in changed):
            return False
        pairs = [(known.get(_key(old), ()), new) for old, new in changed]
        for found, new in pairs:
            for function in found:
                function.__code__ = new
    except ValueError:
        # What is around a function knows which names it shares with it.
        return False
    # What ran once, when its module was imported, is not there any more.
    return all(found for found, _ in pairs)


def _is_alike(one: object, other: object) -> bool:
    """Whether two constants are the same, and of code all but its lines."""
    if not isinstance(one, CodeType) or not isinstance(other, CodeType):
        # 1 is not True here, and a tuple may hold either.
        return repr(one) == repr(other)
    if (one.co_code, one.co_names, one.co_varnames) != (other.co_code, other.co_names, other.co_varnames):
        return False
    return len(one.co_consts) == len(other.co_consts) and all(map(_is_alike, one.co_consts, other.co_consts))


def _is_several(code: CodeType, known: Mapping[tuple[str, str, int], Sequence[FunctionType]], every: Sequence[CodeType]) -> bool:
    """Whether a function is there as another's, too: two lambdas on one line, or what it made, as its module was imported."""
    made = any(_key(one) in known for one in code.co_consts if isinstance(one, CodeType))
    return made or sum(_key(one) == _key(code) for one in every) > 1


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield the functions of a module or class, before and after.

    Raises:
        ValueError: The module or class itself is changed.
    """
    if (old.co_code, old.co_names) != (new.co_code, new.co_names):
        raise ValueError
    for one, other in zip_longest(old.co_consts, new.co_consts):
        if not isinstance(one, CodeType) or not isinstance(other, CodeType):
            if not _is_alike(one, other):
                raise ValueError
        elif one.co_flags & _OPTIMIZED:
            yield one, other
        else:
            yield from _pairs(one, other)


#: Of functions, and not of the bodies of classes: CO_OPTIMIZED of code.h.
_OPTIMIZED = 1


def written(request: Request) -> bytes:
    """Return a request as a line."""
    return _line(request)


def answered(line: str) -> Answer:
    """Return the answer that a line is."""
    return Answer(**json.loads(line))


def _line(one: Request | Answer) -> bytes:
    return json.dumps(asdict(one)).encode() + b"\n"


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connected:
        pytest.main(sys.argv[2:], plugins=[Runner(connected)])
