"""Run gatewayd and hold it where it is about to write a batch, so that it can be frozen there: ``frozen.py FILE ARGUMENTS``.

It is held once, at the first such write after FILE exists, before the transaction has begun: FILE is then called ``FILE.held``, and
it goes on when that is removed, which ``FILE.tried`` tells. The other threads of the process go on meanwhile.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gatewayd.cli import run

if TYPE_CHECKING:
    from types import FrameType

_FILING = str(Path("gatewayd_sql", "filing.py"))


def _files_a_batch() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.endswith(_FILING):
        frame = frame.f_back
    return frame is not None


def main(file: Path, arguments: list[str]) -> int:
    """Hold the first batch after the file is there."""
    held = file.with_suffix(".held")

    def begins(*_: object) -> None:
        if not file.exists() or not _files_a_batch():
            return
        try:
            file.rename(held)
        except FileNotFoundError:
            # Another visit was first.
            return
        while held.exists():
            time.sleep(0.01)
        file.with_suffix(".tried").touch()

    event.listen(Engine, "engine_connect", begins)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
