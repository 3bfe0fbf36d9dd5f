"""The flags of ``gatewayd web``."""

from __future__ import annotations

from gatewayd import Command

__all__ = ["WebOptions"]


class WebOptions(Command.Options):
    """Everything else stands in ``gatewayd.yaml``, under ``web``."""
