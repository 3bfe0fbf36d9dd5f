"""Events that a test hears of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable


def events(**heard: Callable[..., object]) -> Events:
    """Events some of whose methods are these functions, by name."""
    made = Events()
    for name, function in heard.items():
        setattr(made, name, function)
    return made
