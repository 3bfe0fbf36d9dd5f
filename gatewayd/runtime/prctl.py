"""Set attributes of this process that Python has no function for (prctl(2)): no core file, and its name in ps(1)."""

from __future__ import annotations

import ctypes
import resource

__all__ = ["forbid_dumps", "set_name"]

# linux/prctl.h.
_PR_SET_DUMPABLE, _PR_SET_NAME = 4, 15


def forbid_dumps() -> None:
    """Have the kernel write no core file of this process, and of those that it forks, whatever ``ulimit -c`` says.

    A core would hold tokens, passwords and mail. Only root may then trace the process or read its memory, environment and
    open files; it may itself, apart from some files of /proc/self that belong to root now.

    A process that becomes another user must call this again. Another program that it starts has no more of this than a limit of 0
    (setrlimit(2), RLIMIT_CORE), which the kernel heeds unless cores go to a program.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def set_name(name: str) -> None:
    """Set the name of this process that ps(1) and top(1) show, of which there are 15 bytes. Call it in the main thread.

    After ``forbid_dumps``, /proc/self/comm can be written by root alone.
    """
    text = ctypes.create_string_buffer(name.encode())
    _prctl(_PR_SET_NAME, ctypes.addressof(text))


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    # It fails only where the kernel does not know the option.
    libc.prctl(option, value, 0, 0, 0)
