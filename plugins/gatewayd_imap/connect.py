"""Connect, start TLS and log in: one step, with one deadline."""

from __future__ import annotations

import imaplib
from binascii import b2a_base64
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import AuthError, GatewaydError, TokenRefused, logged_in, refusal_reason, tls_context, token_mechanism, token_message
from gatewayd_imap.client import ImapClient, MailBox
from gatewayd_imap.faults import errors

if TYPE_CHECKING:
    import ssl

    from gatewayd_imap.options import ImapOptions

__all__ = ["capabilities", "connect", "drop", "hang_up"]

_LOGOUT_SECONDS = 2.0


def connect(options: ImapOptions) -> MailBox:
    """Return a logged-in mailbox. Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``."""
    context = None if options.security == "none" else tls_context(options.ca_file)
    return logged_in(options, lambda secret: _session(options, context, secret))


def _session(options: ImapOptions, context: ssl.SSLContext | None, secret: str) -> MailBox:
    """Return a mailbox that is logged in to by this password or access token."""
    # Known before we connect: a server may know the secret and repeat it in its greeting, which errors must not show.
    with errors(options, (secret,), "no session"):
        client = ImapClient(options, context if options.security == "tls" else None, (secret,))
    try:
        if context and options.security == "starttls":
            _start_tls(client, options, context)
        return _log_in(client, options, secret)
    except BaseException:
        hang_up(client)
        raise


def hang_up(client: ImapClient) -> None:
    """Log out if the server still answers, and close. Never raises, and takes a few seconds at most."""
    # LOGOUT from a selected folder expunges nothing (RFC 3501 section 6.1.3), CLOSE would.
    with suppress(OSError, imaplib.IMAP4.error, GatewaydError, UnicodeError), client.step("LOGOUT", seconds=_LOGOUT_SECONDS):
        client.logout()
    drop(client)


def drop(client: ImapClient) -> None:
    """Close the connection without logging out. Never raises."""
    with suppress(OSError):
        client.shutdown()


def capabilities(mailbox: MailBox) -> frozenset[str]:
    """Ask for the server's capabilities for this user. It may have more after the log-in than before."""
    _, lines = mailbox.client.capability()
    return frozenset(word for line in lines if isinstance(line, bytes) for word in line.decode("latin-1").upper().split())


def _start_tls(client: ImapClient, options: ImapOptions, context: ssl.SSLContext) -> None:
    """Start TLS (RFC 3501 section 6.2.1). Data that came before the handshake is dropped, since anybody may have sent it."""
    # After PREAUTH, STARTTLS is not possible (RFC 8314 section 5.1).
    if "STARTTLS" not in client.capabilities or client.state != "NONAUTH":
        raise AuthError(
            f"{options.where}: the server does not offer STARTTLS",
            advice="Use `security: tls` (port 993) if the server has it. Without TLS the password would be sent in plain text.",
        )
    with client.errors("STARTTLS was refused"):
        # imaplib's own starttls would wrap the socket itself.
        status, data = client.xatom("STARTTLS")
        if status != "OK":
            raise client.refused(data, "STARTTLS was refused")
        client.start_tls(context)


def _log_in(client: ImapClient, options: ImapOptions, secret: str) -> MailBox:
    if "\0" in options.username + secret:
        raise AuthError(f"{options.where}: username or password holds a NUL, which IMAP can't send", advice="Correct it.")
    if client.state != "NONAUTH":
        raise AuthError(
            f"{options.where}: the server takes us for somebody already (PREAUTH), and does not say for whom",
            advice="Use a port or an address at which it asks for `username` and `password`.",
        )
    mailbox = MailBox(client)
    if options.credential:
        _by_token(client, options, secret)
    else:
        _by_password(mailbox, options, secret)
    return mailbox


def _by_password(mailbox: MailBox, options: ImapOptions, password: str) -> None:
    client = mailbox.client
    plain_text = all(sign.isascii() and sign.isprintable() for sign in options.username + password)
    disabled = "LOGINDISABLED" in client.capabilities
    if disabled and "AUTH=PLAIN" not in client.capabilities:
        raise AuthError(
            f"{options.where}: the server takes no password on this connection", advice="Use `security: tls` or `starttls`."
        )
    # A refused log-in is for a person to correct: AuthError.
    with client.errors(f"log-in as {options.username!r} was refused", AuthError):
        # LOGIN takes quoted ASCII without line breaks; AUTHENTICATE PLAIN takes anything (RFC 4616).
        log_in = mailbox.login if plain_text and not disabled else mailbox.login_utf8
        log_in(options.username, password, initial_folder=None)


def _by_token(client: ImapClient, options: ImapOptions, token: str) -> None:
    """Log in by AUTHENTICATE. The message is sent when it is asked for: some servers take no line as long as with SASL-IR."""
    offered = {word.removeprefix("AUTH=") for word in client.capabilities if word.startswith("AUTH=")}
    mechanism = token_mechanism(options, offered)
    exchange = _TokenExchange(*token_message(mechanism, options, options.username, token))
    what = f"log-in as {options.username!r} with an access token was refused"
    try:
        with client.errors(what, TokenRefused):
            # imaplib's own authenticate fails at a reason that is not in base64, before the refusal comes.
            client.literal = exchange.process  # type: ignore[assignment]  # a method may be there, too
            status, data = client.xatom("AUTHENTICATE", mechanism)
            if status != "OK":
                raise client.refused(data, what, TokenRefused)
    except TokenRefused as error:
        raise TokenRefused(f"{error.message}{refusal_reason(exchange.reason, client.secrets)}", advice=error.advice) from None
    client.state = "AUTH"


class _TokenExchange:
    """What imaplib sends after AUTHENTICATE: our message, and then our answer to the server's reason for a refusal."""

    def __init__(self, message: bytes, answer: bytes) -> None:
        self._next = [message, answer]
        #: As it came, in base64.
        self.reason = b""

    def process(self, challenge: bytes) -> bytes:
        """Return the next line for a challenge."""
        self.reason = challenge
        return b2a_base64(self._next.pop(0) if self._next else b"", newline=False)
