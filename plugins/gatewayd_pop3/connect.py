"""Connect, start TLS and log in, by poplib."""

from __future__ import annotations

import poplib
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import AuthError, TransientError, socket_errors, tls_context
from gatewayd_pop3.faults import errors, login_errors, refused
from gatewayd_pop3.wire import WINDOW, Wire, accepted

if TYPE_CHECKING:
    import ssl

    from gatewayd_pop3.options import Pop3Options

__all__ = ["connect", "cut", "hang_up"]


class _Pop(poplib.POP3):
    """poplib's client, with TLS from the first byte if it is given a context, and no open socket where it can't be built."""

    def __init__(self, options: Pop3Options, context: ssl.SSLContext | None) -> None:
        self._context = context
        try:
            super().__init__(options.host, options.effective_port, timeout=options.timeout)
        except BaseException:
            if hasattr(self, "sock"):
                hang_up(self)
            raise

    def _create_socket(self, timeout: float) -> socket.socket:
        sock = socket.create_connection((self.host, self.port), timeout)
        return self._context.wrap_socket(sock, server_hostname=self.host) if self._context else sock


def hang_up(pop: poplib.POP3) -> None:
    """Close the connection without a word, whatever its state: without QUIT a server deletes nothing (RFC 1939 section 6)."""
    with suppress(OSError):
        pop.close()


def cut(pop: poplib.POP3) -> None:
    """Break the connection under whatever another thread does with it; it then reads the stream's end. Never raises."""
    # poplib forgets a socket that it closed.
    sock: socket.socket | None = pop.sock
    if sock is not None:
        with suppress(OSError):
            # Not SSLSocket's own: that one first lets go of TLS, so that the other thread could send a last word in plain text.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def connect(options: Pop3Options) -> Wire:
    """Return a logged-in connection. Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``."""
    context = None if options.security == "none" else tls_context(options.ca_file)
    with errors(options, TransientError, "the server refuses connections"):
        pop = _Pop(options, context if options.security == "tls" else None)
    try:
        if context and options.security == "starttls":
            _start_tls(pop, options, context)
        _log_in(pop, options)
        wire = Wire(pop, options)
        # Asked after the log-in: a server may offer more to those it knows (RFC 2449 section 5).
        wire.window = WINDOW if "PIPELINING" in _capabilities(wire) else 1
    except BaseException:
        hang_up(pop)
        raise
    return wire


def _capabilities(wire: Wire) -> frozenset[str]:
    """Return the words that CAPA lists, in upper case; none where the server has no CAPA (RFC 2449 section 5)."""
    _, body = wire.ask("CAPA", multiline=True)
    return frozenset(line.split()[0].upper() for line in body.decode("latin-1").splitlines() if line.strip())


def _start_tls(pop: poplib.POP3, options: Pop3Options, context: ssl.SSLContext) -> None:
    """Go on in TLS (RFC 2595 section 4). What came before the handshake is dropped, so nobody can slip replies in.

    ``poplib.stls`` would ask for CAPA once more, and dies of a line in it that is empty or not ASCII.
    """
    wire = Wire(pop, options)
    if "STLS" not in _capabilities(wire):
        raise AuthError(
            f"{wire.where}: the server does not offer STLS",
            advice="Use `security: tls` (port 995) if the server has it. Without TLS the password would be sent in plain text.",
        )
    status, _ = wire.ask("STLS")
    if not accepted(status):
        raise refused(status, f"{wire.where}: STLS was refused", TransientError)
    with socket_errors(options, options.effective_port):
        pop.sock = context.wrap_socket(pop.sock, server_hostname=options.host)
    pop.file = pop.sock.makefile("rb")


def _log_in(pop: poplib.POP3, options: Pop3Options) -> None:
    password = options.password.reveal()
    for name, text in (("username", options.username), ("password", password)):
        if set(text) & set("\r\n\0"):
            raise AuthError(
                f"the {name} holds a line break or NUL, which POP3 can't send",
                advice=f"Correct `{name}`, or change it at the server.",
            )
    with login_errors(options, password):
        pop.user(options.username)
        pop.pass_(password)
