"""Write files of the config after root's privileges are gone: they are root's own where ``gatewayd install`` has put them.

A command becomes the owner of the state folder before it runs any plugin's code. So files are written by a child process that was
forked before: it runs nothing else, and hears from this process only that its time has come, with what a person typed meanwhile.
Plugins may have a say in that: what writes must hold against anything that it is given.
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
def written_later(folder: Path, write: Callable[[str], Iterable[str]]) -> Iterator[Callable[[str], list[str]]]:
    """Give what runs ``write`` once, with the privileges that this process has now, and returns the lines that it yields.

    It is given a text, which ``write`` gets and never trusts; empty where all is settled already.
    It raises the PermanentError that ``write`` raised. Enter it before any thread is started.
    """
    if not config.state_is_anothers(folder):
        yield lambda said: [*write(said)]
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
        yield lambda said: _asked(start, hear, said)
    finally:
        # Who was never told to begin ends, too.
        os.close(start)
        os.close(hear)
        os.waitpid(pid, 0)


def _asked(start: int, hear: int, said: str) -> list[str]:
    with os.fdopen(os.dup(start), "w") as words:
        words.write(json.dumps(said) + "\n")
    with os.fdopen(os.dup(hear)) as answers:
        answered = answers.read()
    if not answered:
        raise PermanentError("the process that writes the config's files was killed", advice="Run the command again to finish it.")
    answer = json.loads(answered)
    if "error" in answer:
        raise PermanentError(answer["error"], advice=answer["advice"])
    return [str(line) for line in answer["lines"]]


def _child(go: int, say: int, write: Callable[[str], Iterable[str]]) -> NoReturn:
    """Wait for the word, write, and say what was done."""
    try:
        with os.fdopen(go) as words:
            said = words.readline()
        if said.endswith("\n"):
            try:
                answer: dict[str, object] = {"lines": [*write(json.loads(said))]}
            except PermanentError as error:
                answer = {"error": error.message, "advice": error.advice}
            with os.fdopen(say, "w") as answers:
                json.dump(answer, answers)
    finally:
        # Neither what is open here nor what runs at the exit is this process's own.
        os._exit(0)
