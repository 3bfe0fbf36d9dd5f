"""Configure Python's garbage collector, which only looks for reference cycles, in every process of gatewayd."""

from __future__ import annotations

import gc

__all__ = ["collect_seldom", "leave_all"]


def collect_seldom() -> None:
    """Look for cycles rarely; call it before most imports, since imported objects stay.

    The objects of a batch have no cycles and are freed with it, so that looking for cycles every 700 objects is useless work.
    """
    gc.set_threshold(20_000, 20, 20)


def leave_all() -> None:
    """Never look at the objects that exist now: a process that ends would otherwise visit each object of all modules."""
    gc.freeze()
