"""Translate what a plugin raises for a command: whatever is none of the five errors is the plugin's own fault."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.config import AccountConfig

__all__ = ["guarded"]


@contextmanager
def guarded(role: str, account: AccountConfig) -> Iterator[None]:
    """Guard the calls inside the block of a plugin in its ``role`` for an account."""
    try:
        yield
    except GatewaydError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"the {role} of account {account.name} failed: {where(error)}") from error
