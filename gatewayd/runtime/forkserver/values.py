"""What the fork server is asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ChildRequest"]

#: Where the kernel says with which umask this process makes files: umask(2) can't ask without changing it.
_STATUS = Path("/proc/self/status")
#: The usual one.
_UMASK = 0o022


def _folder() -> str:
    with suppress(OSError):
        return str(Path.cwd())
    # It is gone; the server is in it, too.
    return "."


def _umask() -> int:
    lines = _STATUS.read_text().splitlines()
    # Kernels before 4.7 don't say it.
    return next((int(line.partition(":")[2], 8) for line in lines if line.startswith("Umask:")), _UMASK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """One child: what it runs, and what it takes over from who asks for it."""

    #: A module of gatewayd's with a function ``main``, which is given the numbers of the files, then the other arguments.
    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: str = field(default_factory=_folder)
    umask: int = field(default_factory=_umask)
