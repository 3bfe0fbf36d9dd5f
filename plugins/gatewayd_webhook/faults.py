"""Translate errors of sockets, TLS and http.client into gatewayd's five errors. Nothing else in this plugin does."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd import AuthError, GatewaydError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd_webhook.options import WebhookOptions

__all__ = ["BROKEN", "errors", "printable", "private"]

#: What may stand between us and an answer. ValueError: http.client takes a chunk of negative length for a number.
BROKEN = (OSError, http.client.HTTPException, ValueError)


def printable(text: str, length: int = 200) -> str:
    """Return a server's words on one line, cut, without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:length]


def private(options: WebhookOptions) -> AuthError:
    """Return the error for a host that has no public address. It names none: what lies inside is nobody's business."""
    return AuthError(
        f"{options.where}: the host has no public address, so nothing is sent there",
        advice=f"Correct `url`; if the host is meant to be inside your network, allow it: allow_private: [{options.host}]",
    )


@contextmanager
def errors(options: WebhookOptions) -> Iterator[None]:
    """Translate what is raised inside the block."""
    try:
        yield
    except BROKEN as error:
        raise _verb(error, options) from error


def _verb(error: Exception, options: WebhookOptions) -> GatewaydError:  # noqa: PLR0911  one line for each kind of fault
    where = options.where
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "Correct the host in `url` to the name in the certificate, or set `ca_file` to the CA that signed it."
        return AuthError(f"{where}: the server's certificate is not trusted: {error.verify_message}", advice=advice)
    if isinstance(error, ssl.SSLError):
        advice = "Check that the port of `url` speaks TLS at once."
        return TransientError(f"{where}: TLS failed: {error.reason or 'the connection ended'}", advice=advice)
    if isinstance(error, TimeoutError):
        advice = "Check `url` and the firewall; raise `timeout` and `deadline` if the server is slow."
        return TransientError(
            f"{where}: no answer within {options.timeout:g} s a step and {options.deadline:g} s in all", advice=advice
        )
    if isinstance(error, socket.gaierror):
        return TransientError(f"{where}: host not found: {error.strerror}", advice="Check `url` and the name server.")
    if isinstance(error, ConnectionRefusedError):
        return TransientError(f"{where}: connection refused", advice="Check the port of `url`, and that the server runs.")
    if isinstance(error, http.client.RemoteDisconnected):
        return TransientError(
            f"{where}: the server closed the connection without an answer",
            advice="If it lasts, see to that server, and to the network in between.",
        )
    if isinstance(error, OSError):
        return TransientError(
            f"{where}: connection lost: {error.strerror or error}",
            advice="If it lasts, see to that server, and to the network in between.",
        )
    shown = printable(f"{type(error).__name__}: {error}")
    return TransientError(f"{where}: expected an HTTP answer, got {shown}", advice="Check that `url` is that of an HTTP server.")
