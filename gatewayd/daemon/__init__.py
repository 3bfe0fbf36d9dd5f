"""The process: signals, reload, systemd. One call runs it from beginning to end."""

from gatewayd.daemon.process import Daemon

__all__ = ["Daemon"]
