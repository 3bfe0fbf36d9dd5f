"""Connect, start TLS and log in."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from gatewayd import (
    AuthError,
    Connection,
    TokenRefused,
    TransientError,
    logged_in,
    refusal_reason,
    socket_errors,
    tls_context,
    token_mechanism,
    token_message,
)
from gatewayd_pop3.faults import refused
from gatewayd_pop3.wire import WINDOW, Wire, accepted, challenges

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from gatewayd import GatewaydError
    from gatewayd_pop3.options import Pop3Options

__all__ = ["connect"]


def connect(options: Pop3Options) -> Wire:
    """Return a logged-in connection. Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``.

    Connecting and logging in are one step, of ``timeout`` in all.
    """
    context = None if options.security == "none" else tls_context(options.ca_file)
    return logged_in(options, lambda secret: _session(options, context, secret))


def _session(options: Pop3Options, context: ssl.SSLContext | None, secret: str) -> Wire:
    """Return a connection that is logged in to by this password or access token."""
    with socket_errors(options, options.effective_port):
        connection = Connection(options, options.effective_port, context if options.security == "tls" else None)
    wire = Wire(connection, options)
    # From the greeting on: a server may know the secret and repeat it.
    wire.secrets = (secret,)
    try:
        _expect(wire, wire.greeting(), "the server refuses connections", TransientError)
        if context and options.security == "starttls":
            _start_tls(wire, context)
        _log_in(wire, options, secret)
        # Asked again after the log-in: a server may then offer more (RFC 2449 section 5).
        wire.window = WINDOW if "PIPELINING" in _capabilities(wire) else 1
    except BaseException:
        wire.close()
        raise
    return wire


def _expect(wire: Wire, status: bytes, otherwise: str, error: type[GatewaydError]) -> None:
    if not accepted(status):
        raise refused(wire, status, otherwise, error)


def _capabilities(wire: Wire) -> Mapping[str, Sequence[str]]:
    """Return the capabilities and their arguments, in upper case; none if the server has no CAPA (RFC 2449 section 5)."""
    _, body = wire.ask("CAPA", multiline=True)
    return {words[0]: words[1:] for line in body.decode("latin-1").upper().splitlines() if (words := line.split())}


def _start_tls(wire: Wire, context: ssl.SSLContext) -> None:
    """Start TLS (RFC 2595 section 4). Data that came before the handshake is an error, since anybody may have sent it."""
    if "STLS" not in _capabilities(wire):
        raise AuthError(
            f"{wire.where}: the server does not offer STLS",
            advice="Use `security: tls` (port 995) if the server has it. Without TLS the password would be sent in plain text.",
        )
    _expect(wire, wire.ask("STLS")[0], "STLS was refused", TransientError)
    wire.start_tls(context)


def _log_in(wire: Wire, options: Pop3Options, secret: str) -> None:
    offered = _capabilities(wire)
    # Without UTF8 a server may send a substitute for a message with raw UTF-8 in its header (RFC 6856 section 2). It is sent
    # before the log-in, and its refusal does no harm.
    if "UTF8" in offered:
        wire.ask("UTF8")
    if options.credential:
        _by_token(wire, options, secret, offered.get("SASL", ()))
    else:
        _by_password(wire, options, secret)
    wire.logged_in = True


def _by_password(wire: Wire, options: Pop3Options, password: str) -> None:
    for name, text in (("username", options.username), ("password", password)):
        if set(text) & set("\r\n\0"):
            raise AuthError(
                f"the {name} holds a line break or NUL, which POP3 can't send",
                advice=f"Correct `{name}`, or change it at the server.",
            )
    for command in (f"USER {options.username}", f"PASS {password}"):
        _expect(wire, wire.ask(command)[0], f"log-in as {options.username!r} was refused", AuthError)


def _by_token(wire: Wire, options: Pop3Options, token: str, offered: Sequence[str]) -> None:
    """Log in by AUTH (RFC 5034). The message is sent when it is asked for, since it is longer than a command may be."""
    mechanism = token_mechanism(options, offered)
    message, answer = token_message(mechanism, options, options.username, token)
    reply = wire.auth(f"AUTH {mechanism}")
    reason = b""
    if challenges(reply):
        reply = wire.auth(b64encode(message).decode("ascii"))
    if challenges(reply):
        reason = reply[2:]
        reply = wire.auth(b64encode(answer).decode("ascii"))
    if not reply.startswith(b"+OK"):
        what = f"log-in as {options.username!r} with an access token was refused"
        error = refused(wire, reply, what, TokenRefused)
        raise type(error)(f"{error.message}{refusal_reason(reason, wire.secrets)}", advice=error.advice)
