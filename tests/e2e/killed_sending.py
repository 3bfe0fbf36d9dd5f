"""Run gatewayd and kill it with SIGKILL at the n-th time that a delivery comes to a stage: ``killed_sending.py STAGE N ARGUMENTS``.

Stages are ``taking`` and ``settling``, within the transaction, and ``taken`` and ``settled``, when it is committed.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from gatewayd.cli import run

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.pool import ConnectionPoolEntry

#: By what is executed: the stage, and the one that it is when the transaction is over.
STAGES = {
    re.compile(r"UPDATE delivery SET .*coalesce\(delivery\.was_due"): ("taking", "taken"),
    re.compile(r"UPDATE delivery SET .*\btries="): ("settling", "settled"),
}
_NEXT = "stage that comes with the commit"


def main(stage: str, number: int, arguments: list[str]) -> int:
    """Count stages, and die at the chosen one."""
    seen: Counter[str] = Counter()

    def reached(name: str) -> None:
        seen[name] += 1
        if name == stage and seen[name] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def executed(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        for pattern, (now, then) in STAGES.items():
            if pattern.match(statement):
                connection.info[_NEXT] = then
                reached(now)

    def back(_connection: object, record: ConnectionPoolEntry) -> None:
        info: dict[Any, Any] = record.info
        if then := info.pop(_NEXT, ""):
            reached(then)

    event.listen(Engine, "after_cursor_execute", executed)
    event.listen(Pool, "checkin", back)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
