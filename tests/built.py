"""Folders that take long to build, and that all processes of a run and later ones use."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["built_once"]


def built_once(tree: Path, build: Callable[[Path], object]) -> Path:
    """Return a folder. If it isn't there yet, one process builds it, under another name until it is whole; the others wait."""
    tree.parent.mkdir(exist_ok=True)
    with tree.with_name(f"{tree.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            new = tree.with_name(f"{tree.name}.{os.getpid()}")
            build(new)
            new.rename(tree)
    return tree
