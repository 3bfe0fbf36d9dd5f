"""Python's garbage collector, as every process of gatewayd has it. It looks for cycles only: all else is freed at once."""

from __future__ import annotations

import gc

__all__ = ["collect_seldom", "leave_all"]


def collect_seldom() -> None:
    """Look for cycles seldom; best before most is imported, as what imports make is there to stay.

    What a batch makes is gone with the batch, without cycles: looking for them every 700 objects is work for nothing.
    """
    gc.set_threshold(20_000, 20, 20)


def leave_all() -> None:
    """Look at nothing that there is now any more: a process that ends would go through all modules, object by object."""
    gc.freeze()
