"""Run gatewayd and kill it with SIGKILL at the n-th event of the database, from inside: ``killed.py EVENT N ARGUMENTS``.

Events are ``begin`` and ``commit`` of a transaction, ``execute`` of a statement, and ``rename`` of a file, which comes just
after it; ``commit@NAME`` counts only those of threads of that name. N 0 kills nothing; how many events of each kind there were
is printed at the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gatewayd.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = {"begin": "begin", "commit": "commit", "execute": "after_cursor_execute"}


def main(kind: str, number: int, arguments: list[str]) -> int:
    """Count events, and die at the chosen one."""
    seen: Counter[str] = Counter()
    of, _, thread = kind.partition("@")

    def counting(name: str) -> Callable[..., None]:
        def happened(*_: object) -> None:
            if name == of and thread and threading.current_thread().name != thread:
                return
            seen[name] += 1
            if name == of and seen[name] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return happened

    for name, hook in EVENTS.items():
        event.listen(Engine, hook, counting(name))
    renamed = counting("rename")
    sys.addaudithook(lambda name, _: renamed() if name == "os.rename" else None)  # noqa: TID251  this process is its own
    code = run(arguments)
    print(json.dumps(seen), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
