"""Connect, start TLS and log in: one step, with one deadline."""

from __future__ import annotations

import imaplib
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import AuthError, GatewaydError, tls_context
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
    # Read before we connect: a server may know the password and repeat it in its greeting, which errors must not show.
    password = options.password.reveal()
    with errors(options, (password,), "no session"):
        client = ImapClient(options, context if options.security == "tls" else None, (password,))
    try:
        if context and options.security == "starttls":
            _start_tls(client, options, context)
        return _log_in(client, options, password)
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


def _log_in(client: ImapClient, options: ImapOptions, password: str) -> MailBox:
    if "\0" in options.username + password:
        raise AuthError(f"{options.where}: username or password holds a NUL, which IMAP can't send", advice="Correct it.")
    if client.state != "NONAUTH":
        raise AuthError(
            f"{options.where}: the server takes us for somebody already (PREAUTH), and does not say for whom",
            advice="Use a port or an address at which it asks for `username` and `password`.",
        )
    plain_text = all(sign.isascii() and sign.isprintable() for sign in options.username + password)
    disabled = "LOGINDISABLED" in client.capabilities
    if disabled and "AUTH=PLAIN" not in client.capabilities:
        raise AuthError(
            f"{options.where}: the server takes no password on this connection", advice="Use `security: tls` or `starttls`."
        )
    mailbox = MailBox(client)
    # A refused log-in is for a person to correct: AuthError.
    with client.errors(f"log-in as {options.username!r} was refused", AuthError):
        # LOGIN takes quoted ASCII without line breaks; AUTHENTICATE PLAIN takes anything (RFC 4616).
        log_in = mailbox.login if plain_text and not disabled else mailbox.login_utf8
        log_in(options.username, password, initial_folder=None)
    return mailbox
