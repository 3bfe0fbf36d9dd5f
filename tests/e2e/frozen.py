"""Run gatewayd and freeze it by SIGSTOP, from inside, where it is about to write a batch: ``frozen.py FILE ARGUMENTS``.

It freezes once, at the first such write after FILE exists, before the transaction has begun; FILE is then removed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gatewayd.cli import run

if TYPE_CHECKING:
    from types import FrameType

    from sqlalchemy import Connection

_FILING = str(Path("gatewayd_sql", "filing.py"))


def _files_a_batch() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.endswith(_FILING):
        frame = frame.f_back
    return frame is not None


def main(file: Path, arguments: list[str]) -> int:
    """Freeze at the first batch after the file is there."""

    def begins(connection: Connection) -> None:
        if file.exists() and _files_a_batch():
            file.unlink()
            # Another thread of this process may be writing, and would keep the database locked while it is frozen.
            raw = connection.connection.dbapi_connection
            assert raw is not None
            cursor = raw.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
            os.kill(os.getpid(), signal.SIGSTOP)

    event.listen(Engine, "engine_connect", begins)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
