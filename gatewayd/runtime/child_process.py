"""Set up a child process: it ends with its parent, and its memory is bounded."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
from pathlib import Path

__all__ = ["bound_memory", "data", "end_with_parent"]


def end_with_parent(life: int) -> None:
    """Have the kernel kill this process and its children when the parent's end of the pipe ``life`` is closed (fcntl(2), F_SETSIG).

    That works at any point within a plugin's code; reading from a pipe would have to wait until the plugin returns. The process
    must be the leader of its process group.
    """
    os.set_inheritable(life, False)
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    # The parent may have ended before.
    if select.select([life], [], [], 0)[0]:
        raise SystemExit


def data() -> int:
    """Return the size of this process's data and stack in bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def bound_memory(allowed: int) -> None:
    """Limit memory to ``allowed`` bytes more than are used now, and write no core file."""
    memory = data() + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
