"""The command ``demo``."""

from __future__ import annotations

from gatewayd import Command
from gatewayd_demo.options import DemoOptions

__all__ = ["Demo"]


class Demo(Command):
    """Show the main job on this machine: three mailboxes, two tour operators, and mail that keeps coming."""

    kind = "demo"
    Options = DemoOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: DemoOptions

    def run(self) -> int:
        """See ``Command``."""
        from gatewayd_demo import show  # noqa: PLC0415  rich is slow to import, and every command loads this plugin

        return show.run(self.options)
