"""The command ``web``."""

from __future__ import annotations

from gatewayd import Command
from gatewayd_web.options import WebOptions

__all__ = ["Web"]


class Web(Command):
    """Serve the pages for people, at the address that ``web: listen`` of gatewayd.yaml names, until it is told to end."""

    kind = "web"
    Options = WebOptions
    options: WebOptions

    def run(self) -> int:
        """See ``Command``."""
        from gatewayd_web.serving import serve  # noqa: PLC0415  slow to import, and every command may load this plugin

        return serve(self.folder)
