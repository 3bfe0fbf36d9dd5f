"""How Microsoft's identity platform refuses: its codes, and the answer that has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.testing.graph.odata import answered, new_id

if TYPE_CHECKING:
    from gatewayd.testing.graph.wire import ServedResponse

__all__ = ["EntraRefused"]


class EntraRefused(Exception):
    """A refused request: an AADSTS code with its HTTP status, error and text."""

    def __init__(self, code: int, status: int, error: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.error = error

    @property
    def description(self) -> str:
        """The text with its code, as answers have it, without the ids of the request."""
        return f"AADSTS{self.code}: {self}"

    def answer(self) -> ServedResponse:
        """Return the answer (RFC 6749 section 5.2)."""
        trace, correlation, stamp = new_id(), new_id(), time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        return answered(
            self.status,
            {
                "error": self.error,
                "error_description": f"{self.description} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
                "error_codes": [self.code],
                "timestamp": stamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
            },
        )
