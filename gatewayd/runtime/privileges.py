"""Give up root's privileges: become the user who owns the state folder, so that no file in it belongs to root.

Secrets are files that only root may read, and a state folder may lie where only root may enter, as with ``DynamicUser=``
(systemd.exec(5)), which releases before had. So one capability is kept: to search and read (capabilities(7),
CAP_DAC_READ_SEARCH), but not to write or to change. Code that the state folder's user could have written is not run with
that capability: see ``gatewayd.config.accepted``.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from gatewayd.runtime.prctl import forbid_dumps

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["become_owner", "mighty"]

# linux/prctl.h and linux/capability.h.
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """Capabilities 0 to 31; a second one has the others."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def mighty() -> bool:
    """Whether this process may read files that its user may not: it is root, or has kept that capability."""
    return os.geteuid() == 0 or bool(_capabilities(ctypes.CDLL(None))[0].effective & 1 << _CAP_DAC_READ_SEARCH)


def _capabilities(libc: ctypes.CDLL) -> ctypes.Array[_Sets]:
    sets = (_Sets * 2)()
    libc.capget(ctypes.byref(_Header(_VERSION_3, 0)), sets)
    return sets


def become_owner(folder: Path) -> None:
    """Become the user and group that own ``folder``, if this is root and they are not. Call it before starting any thread."""
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    libc = ctypes.CDLL(None)
    libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    # In a container root may lack the capability: then the folder must be accessible anyway.
    kept = _capabilities(libc)[0].permitted & 1 << _CAP_DAC_READ_SEARCH
    libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), (_Sets * 2)(_Sets(kept, kept, kept)))
    # The worker processes need it, too, and a program only inherits ambient capabilities.
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)
    # What held until now is forgotten with the user.
    forbid_dumps()
