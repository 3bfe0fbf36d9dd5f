"""A command in a terminal of its own, as a person has it: what it asks is read, and answers are typed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Self

from tests.e2e.house import ROOT
from tests.patience import BUSY, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.house import House

__all__ = ["Terminal"]


class Terminal:
    """Runs a command while the block lasts."""

    def __init__(self, house: House, *arguments: object, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {"TERM": "dumb", "COLUMNS": "200", **(environment or {})}
        self._command = [sys.executable, "-m", "gatewayd", "--config", str(house.folder), *map(str, arguments)]
        #: All that the terminal has shown, what was typed included.
        self.shown = ""
        self._read_to = 0

    def __enter__(self) -> Self:
        self._leader, terminal = pty.openpty()
        environment = os.environ | self._environment
        self._process = subprocess.Popen(
            self._command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, cwd=ROOT, start_new_session=True
        )
        os.close(terminal)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(BUSY)
        os.close(self._leader)

    @property
    def pid(self) -> int:
        """The process of the command."""
        return self._process.pid

    def wait_for(self, text: str, seconds: float = 20) -> str:
        """Wait until the terminal shows ``text`` behind what was waited for before; return what stood between."""
        watch = Stopwatch()
        while text not in self.shown[self._read_to :]:
            assert watch.seconds < seconds, f"{text!r} is not shown:\n{self.shown}"
            assert self._read(), f"the command has ended without {text!r}:\n{self.shown}"
        between, _, _ = self.shown[self._read_to :].partition(text)
        self._read_to += len(between) + len(text)
        return between

    def type(self, line: str) -> None:
        """Type a line. What has no room in the terminal waits until the command has read some."""
        self.type_raw(line.encode() + b"\n")

    def type_raw(self, raw: bytes) -> None:
        """Type bytes as they are."""
        while raw:
            raw = raw[os.write(self._leader, raw[:1024]) :]
            self._read(0.05)

    def ended(self, seconds: float = 20) -> int:
        """Wait until the command has ended; return its exit code."""
        watch = Stopwatch()
        while self._read():
            assert watch.seconds < seconds, f"it goes on:\n{self.shown}"
        return self._process.wait(seconds * BUSY)

    def _read(self, seconds: float = 0.2) -> bool:
        """Read what there is; return False once there will be nothing more."""
        if not select.select([self._leader], [], [], seconds)[0]:
            return True
        try:
            raw = os.read(self._leader, 65536)
        except OSError:
            # Linux says so once nobody has the terminal open.
            return False
        self.shown += raw.decode(errors="replace")
        return bool(raw)
