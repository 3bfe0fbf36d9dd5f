"""Serve the metrics. As long as their address can't be bound it is tried again, and mail goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.errors import ConfigError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from gatewayd.config.models.main import MetricsConfig
    from gatewayd.runtime.metrics import Metrics, MetricsServer

__all__ = ["MetricsServing"]

#: Seconds between two tries to bind the address.
_AGAIN = 30.0


class MetricsServing:
    """Used by the main thread."""

    def __init__(self, metrics: Metrics, config: MetricsConfig | None) -> None:
        """Without a ``config`` they are not served."""
        self._metrics = metrics
        self._config = config
        self._server: MetricsServer | None = None
        self._at = 0.0
        self._failed = False

    def look(self) -> None:
        """Begin to serve, if a try is due and the address can be bound."""
        now = time.monotonic()
        if self._config is None or self._server is not None or now < self._at:
            return
        self._at = now + _AGAIN
        try:
            self._server = self._metrics.serve(self._config.host, self._config.port)
        except ConfigError as error:
            if not self._failed:
                journal.metrics_failed(error)
            self._failed = True
            return
        started(self._server.run, "metrics")

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()
