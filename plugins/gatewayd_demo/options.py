"""The flags of the command ``demo``."""

from __future__ import annotations

from pydantic import Field

from gatewayd import Command, ConfigPath

__all__ = ["DemoOptions"]


class DemoOptions(Command.Options, use_attribute_docstrings=False):
    """How long the demo goes on, and what it leaves."""

    once: bool = Field(False, description="One full round without a terminal: exits 0, or 1 if an expected filing is missing.")
    keep: ConfigPath | None = Field(None, description="A new or empty folder for config and state, which stays when the demo ends.")
