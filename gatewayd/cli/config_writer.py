"""Write files of the config after root's privileges are gone: they are root's own where ``gatewayd install`` has put them.

A command becomes the owner of the state folder before it runs any plugin's code. So what is to be written is settled before, and
done by a child process that was forked then: it runs nothing else, and hears from this process only that its time has come.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd import config
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import NoReturn

__all__ = ["written_later"]


@contextmanager
def written_later(folder: Path, write: Callable[[], Iterable[str]]) -> Iterator[Callable[[], list[str]]]:
    """Give what runs ``write`` once, with the privileges that this process has now, and returns the lines that it yields.

    It raises the PermanentError that ``write`` raised. Enter it before any thread is started.
    """
    if not config.state_is_anothers(folder):
        yield lambda: [*write()]
        return
    go, start = os.pipe()
    hear, say = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(start)
        os.close(hear)
        _child(go, say, write)
    os.close(go)
    os.close(say)
    try:
        yield lambda: _asked(start, hear)
    finally:
        # Who was never told to begin ends, too.
        os.close(start)
        os.close(hear)
        os.waitpid(pid, 0)


def _asked(start: int, hear: int) -> list[str]:
    os.write(start, b"x")
    with os.fdopen(os.dup(hear)) as answers:
        said = answers.read()
    if not said:
        raise PermanentError("the process that writes the config's files was killed", advice="Run the command again to finish it.")
    answer = json.loads(said)
    if "error" in answer:
        raise PermanentError(answer["error"], advice=answer["advice"])
    return [str(line) for line in answer["lines"]]


def _child(go: int, say: int, write: Callable[[], Iterable[str]]) -> NoReturn:
    """Wait for the word, write, and say what was done."""
    try:
        if os.read(go, 1):
            try:
                answer: dict[str, object] = {"lines": [*write()]}
            except PermanentError as error:
                answer = {"error": error.message, "advice": error.advice}
            with os.fdopen(say, "w") as answers:
                json.dump(answer, answers)
    finally:
        # Neither what is open here nor what runs at the exit is this process's own.
        os._exit(0)
