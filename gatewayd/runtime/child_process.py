"""What a child process of ours does first: it ends with its parent, and takes no more memory than it may."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
from pathlib import Path

__all__ = ["bound_memory", "data", "end_with_parent"]


def end_with_parent(life: int) -> None:
    """Have the kernel kill this process and its children when the parent's end of the pipe is closed (fcntl(2), F_SETSIG).

    Whatever a plugin is at by then: waiting for the parent to close a socket would take until it returns. The process must
    be the first of its group.
    """
    os.set_inheritable(life, False)
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    # It may have died before.
    if select.select([life], [], [], 0)[0]:
        raise SystemExit


def data() -> int:
    """Return how many bytes of data this process has now (proc(5), statm: data and stack, in pages)."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def bound_memory(allowed: int) -> None:
    """Take no more than so many bytes beyond what there is now, and leave no core behind."""
    memory = data() + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
