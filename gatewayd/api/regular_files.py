"""Read a file up to a size limit, and refuse what is no regular file: a pipe or a device could keep us waiting."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_regular"]


def read_regular(path: Path, most: int) -> bytes:
    """Return the first ``most`` bytes of a regular file; raises OSError, for what is none (a FIFO, a device, a folder) as well.

    A FIFO that nobody writes to would be waited for, and a device may never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(found):
            # ``fdopen`` would name a folder by its number.
            reason = "Is a directory" if stat.S_ISDIR(found) else "Not a regular file"
            raise OSError(errno.EISDIR if stat.S_ISDIR(found) else errno.EINVAL, reason, str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)
