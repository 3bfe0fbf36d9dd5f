"""Connect, start TLS and log in."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import (
    AuthError,
    GatewaydError,
    TransientError,
    logged_in,
    refusal_reason,
    socket_errors,
    tls_context,
    token_mechanism,
    token_message,
)
from gatewayd_smtp.client import SmtpClient
from gatewayd_smtp.faults import LATER, OK, let_in, log_in_refused, reply_text

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from gatewayd_smtp.options import SmtpOptions

__all__ = ["connect", "hang_up"]

_QUIT_SECONDS = 1.0
#: A command line may have 512 bytes with its CRLF (RFC 5321 section 4.5.3.1.4). A longer first answer is sent when asked for.
_LONGEST_COMMAND = 510
_GO_ON = 334


def connect(options: SmtpOptions) -> SmtpClient:
    """Return a client that may send. Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``."""
    context = None if options.security == "none" else tls_context(options.ca_file)
    return logged_in(options, lambda secret: _client(options, context, secret))


def _client(options: SmtpOptions, context: ssl.SSLContext | None, secret: str) -> SmtpClient:
    """Return a client that is logged in by this password or access token; it is empty without a log-in."""
    client = SmtpClient(options)
    client.secrets = (secret,)
    with socket_errors(options, options.effective_port):
        greeting = client.open(context if options.security == "tls" else None)
        try:
            let_in(options, greeting, "the server takes no mail now")
            _greet(client, options)
            if context and options.security == "starttls":
                _start_tls(client, options, context)
                # The extensions offered before TLS don't count: anybody may have sent them (RFC 3207 section 4.2).
                _greet(client, options)
            _log_in(client, options, secret)
            client.logged_in = True
        except BaseException:
            client.close()
            raise
    return client


def hang_up(client: SmtpClient) -> None:
    """Say QUIT and close. Never raises, and takes a second at most."""
    with suppress(OSError, GatewaydError):
        client.connection.step("QUIT", seconds=_QUIT_SECONDS, rate=0)
        client.putcmd("QUIT")
        client.reply("QUIT", _QUIT_SECONDS)
    client.close()


def _greet(client: SmtpClient, options: SmtpOptions) -> None:
    let_in(options, client.ehlo(), f"our greeting as {client.local_hostname} was refused")


def _start_tls(client: SmtpClient, options: SmtpOptions, context: ssl.SSLContext) -> None:
    """Start TLS (RFC 3207). Data that came before the handshake is an error, since anybody may have sent it."""
    offered = client.has_extn("starttls")
    code, text = client.docmd("STARTTLS") if offered else (0, b"")
    if code // 100 == LATER:
        raise TransientError(f"{options.where}: STARTTLS was refused: the server answered {reply_text(code, text)!r}")
    if code // 100 != OK:
        reason = f"refuses STARTTLS: it answered {reply_text(code, text)!r}" if offered else "does not offer STARTTLS"
        advice = "Use `security: tls` (port 465) if the server has it. Without TLS mail would be sent in plain text."
        raise AuthError(f"{options.where}: the server {reason}", advice=advice)
    client.wrap(context)


def _log_in(client: SmtpClient, options: SmtpOptions, secret: str) -> None:
    """Log in, if there is a ``username``. The options require TLS, or ``insecure: true``."""
    if options.username is None:
        return
    if "\0" in options.username + secret:
        raise AuthError(f"{options.where}: username or password holds a NUL, which SMTP can't send", advice="Correct it.")
    offered = client.esmtp_features.get("auth", "").upper().split()
    if options.credential:
        _by_token(client, options, options.username, secret, offered)
    else:
        _by_password(client, options, options.username, secret, offered)


def _by_password(client: SmtpClient, options: SmtpOptions, username: str, password: str, offered: Sequence[str]) -> None:
    """Log in by AUTH PLAIN (RFC 4616), or by LOGIN if PLAIN is not offered."""
    if "PLAIN" in offered:
        code, answer = _auth(client, "PLAIN", [_encoded(f"\0{username}\0{password}")])
    elif "LOGIN" in offered:
        code, answer = _auth(client, "LOGIN", [_encoded(username), _encoded(password)])
    else:
        advice = "Use `security: tls` or `starttls`; leave out username and password if it wants none."
        raise AuthError(f"{options.where}: the server offers no log-in by AUTH PLAIN or LOGIN on this connection", advice=advice)
    if code // 100 != OK:
        raise log_in_refused(options, code, answer, client.secrets)


def _by_token(client: SmtpClient, options: SmtpOptions, username: str, token: str, offered: Sequence[str]) -> None:
    """Log in by an access token. The message is sent when it is asked for, since it is longer than a command may be."""
    mechanism = token_mechanism(options, offered)
    message, answer = token_message(mechanism, options, username, token)
    code, text = client.docmd(f"AUTH {mechanism}")
    reason = b""
    if code == _GO_ON:
        code, text = client.docmd(_encoded(message))
    if code == _GO_ON:
        reason = text
        code, text = client.docmd(_encoded(answer))
    if code // 100 != OK:
        raise log_in_refused(options, code, text, client.secrets, refusal_reason(reason, client.secrets))


def _encoded(text: str | bytes) -> str:
    return b64encode(text.encode() if isinstance(text, str) else text).decode("ascii")


def _auth(client: SmtpClient, mechanism: str, answers: list[str]) -> tuple[int, bytes]:
    """Answer the server's challenges; return the first reply that is no challenge (RFC 4954 section 4)."""
    first = f"AUTH {mechanism}"
    if mechanism == "PLAIN" and len(first) + len(answers[0]) < _LONGEST_COMMAND:
        first = f"{first} {answers.pop(0)}"
    code, text = client.docmd(first)
    while code == _GO_ON and answers:
        code, text = client.docmd(answers.pop(0))
    return code, text
