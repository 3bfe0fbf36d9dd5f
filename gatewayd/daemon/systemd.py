"""Report the daemon's state to systemd: the sending side of sd_notify(3). Without ``$NOTIFY_SOCKET`` nothing is sent.

Nothing here raises or waits.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Notifier"]


class Notifier:
    """Sends to the socket that ``$NOTIFY_SOCKET`` names. Used by one thread."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ (sd_notify(3)); other kinds of sockets are not supported.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name if name.startswith("/") else ""
        self._owed: dict[str, str] = {}
        #: Within how many seconds ``watchdog`` must be called again; None where nobody watches (sd_watchdog_enabled(3)).
        self.watchdog_seconds = _watchdog(environment)

    def ready(self) -> None:
        """Say that the daemon is up, or that a reload is done."""
        self._send(READY="1")

    def status(self, text: str) -> None:
        """Say in one line how the daemon is, for ``systemctl status``."""
        self._send(STATUS=" ".join(text.split()))

    def reloading(self) -> None:
        """Say that a reload begins. ``Type=notify-reload`` wants the time in the same datagram."""
        self._send(RELOADING="1", MONOTONIC_USEC=str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000))

    def stopping(self) -> None:
        """Say that the daemon is about to end."""
        self._send(STOPPING="1")

    def watchdog(self) -> None:
        """Say that the daemon makes progress."""
        self._send(WATCHDOG="1")

    def _send(self, **fields: str) -> None:
        if not self._address:
            return
        self._owed = {name: value for name, value in self._owed.items() if name not in fields} | fields
        text = "\n".join(f"{name}={value}" for name, value in self._owed.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(errors="replace"), self._address)
        except OSError:
            # The other side is busy or gone. The next message has these fields, too, so that a READY=1 does not get lost.
            return
        self._owed = {}


def _watchdog(environment: Mapping[str, str]) -> float | None:
    period, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    watched = period.isascii() and period.isdigit() and int(period) > 0 and pid in {"", str(os.getpid())}
    return int(period) / 1e6 if watched else None
