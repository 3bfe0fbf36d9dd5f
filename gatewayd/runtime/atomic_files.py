"""Write a file whole or not at all, so that it outlives a crash of the machine."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["replace_file", "sync", "write_file"]


def write_file(
    path: Path,
    raw: bytes,
    *,
    mode: int = 0o600,
    owner: tuple[int, int] | None = None,
    replace: bool = True,
    sync_folder: bool = True,
) -> None:
    """Write a file whole or not at all. Several processes may do so at once.

    ``mode`` are its rights, whatever the umask is, and ``owner`` its user and group, which only root can set; None: this process's.
    With ``replace=False`` one that exists stays as it is. With ``sync_folder=False`` its name is not on the disk until the caller
    has done ``sync`` with the folder, once for many files.
    Raises OSError; then the file is as it was.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(raw)
        sync(new)
        if replace:
            new.replace(path)
        else:
            with suppress(FileExistsError):
                # Unlike a rename, a link replaces no file.
                os.link(new, path)
        if sync_folder:
            sync(path.parent)
    finally:
        new.unlink(missing_ok=True)


def replace_file(new: Path, path: Path) -> None:
    """Let a finished file take the place of another one in its folder, once all of it is on the disk. Raises OSError."""
    sync(new)
    new.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Let a file's content, or the names in a folder, outlive a crash of the machine. Raises OSError."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
