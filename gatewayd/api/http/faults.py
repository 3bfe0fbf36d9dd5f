"""Translate errors of sockets, TLS and HTTP into gatewayd's five errors, and read how long a server asks us to wait."""

from __future__ import annotations

import re
import socket
import ssl
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gatewayd.api.http.messages import Cut, Malformed
from gatewayd.errors import AuthError, GatewaydError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BROKEN", "AnswerLost", "retry_after", "translated"]

#: What may lie between us and a whole answer.
BROKEN = (OSError, EOFError, Malformed, TransientError)
_NETWORK = "If it lasts, see to that server, and to the network in between."
#: A day: who asks for more is asked again before.
_MOST_PATIENCE = 86400.0
_SECONDS = re.compile("[0-9]{1,18}")


class AnswerLost(TransientError):
    """Something of a request was sent, and no whole answer came: the server may have acted on it.

    Any other error before the answer's head says that nothing was sent, so that the server surely has not.
    """

    def __init__(
        self, message: str, *, advice: str = "", retry_after: float | None = None, status: int | None = None, reason: str = ""
    ) -> None:
        super().__init__(message, advice=advice, retry_after=retry_after)
        #: The status and its words, if they came before the rest was lost; else None and empty.
        self.status = status
        self.reason = reason


def translated(error: Exception, where: str, field: str) -> GatewaydError:  # noqa: PLR0911  one line for each kind of fault
    """Return the error for what a library raised, naming ``where`` and the YAML ``field`` with the server's URL."""
    if isinstance(error, GatewaydError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = f"Correct the host in `{field}` to the name in the certificate, or set `ca_file` to the CA that signed it."
        return AuthError(f"{where}: the server's certificate is not trusted: {error.verify_message}", advice=advice)
    if isinstance(error, ssl.SSLError):
        advice = f"Check that the port of `{field}` speaks TLS at once."
        return TransientError(f"{where}: TLS failed: {error.reason or 'the connection ended'}", advice=advice)
    if isinstance(error, socket.gaierror):
        return TransientError(f"{where}: host not found: {error.strerror}", advice=f"Check `{field}` and the name server.")
    if isinstance(error, ConnectionRefusedError):
        return TransientError(f"{where}: connection refused", advice=f"Check the port of `{field}`, and that the server runs.")
    if isinstance(error, OSError):
        return TransientError(f"{where}: connection lost: {error.strerror or error}", advice=_NETWORK)
    if isinstance(error, Cut):
        return TransientError(f"{where}: {error}", advice=_NETWORK)
    return TransientError(f"{where}: {error}", advice=f"Check that `{field}` is that of an HTTP server.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks us to wait, at most a day; None where it does not say (RFC 9110 section 10.2.3)."""
    text = headers.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        return min(float(text), _MOST_PATIENCE)
    try:
        moment = parsedate_to_datetime(text)
        # Each date is in GMT, also in the old form that does not say so (RFC 9110 section 5.6.7).
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _MOST_PATIENCE)
