"""What poplib and a server's ``-ERR`` mean in the kernel's verbs. Nothing else in this plugin decides that.

The server's words are shown, but never decide: only the response codes do (RFC 2449 section 8, RFC 3206), and the step.
"""

from __future__ import annotations

import poplib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd import AuthError, GatewaydError, PermanentError, TransientError, socket_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd_pop3.options import Pop3Options

__all__ = ["closed", "errors", "garbled", "login_errors", "refused", "said"]

_CODE = re.compile(r"-ERR\s+\[([^\]\s]+)", re.IGNORECASE)
_LATER = ("IN-USE", "LOGIN-DELAY", "SYS/TEMP")
_NOT_US = ("AUTH", "SYS/PERM")
_SHOWN = 200


def said(reply: bytes) -> str:
    """Return a server's reply as one short printable text."""
    text = reply[:_SHOWN].decode("utf-8", "replace").strip()
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def refused(reply: bytes, what: str, otherwise: type[GatewaydError] = PermanentError) -> GatewaydError:
    """Return the error for an ``-ERR``: by its response code, where it has none we know ``otherwise``."""
    code = _CODE.match(said(reply))
    name = code[1].upper() if code else ""
    text = f"{what}: the server answered {said(reply)!r}"
    if name.startswith(_LATER):
        return TransientError(
            text, advice="Another program may have the mailbox open; POP3 allows one at a time. It is tried again."
        )
    if name.startswith(_NOT_US) or otherwise is AuthError:
        return AuthError(text, advice="Check `username` and `password`, and that the account may use POP3.")
    return otherwise(text)


def closed(where: str) -> TransientError:
    """Return the error for a connection that the server ended."""
    return TransientError(f"{where}: the server closed the connection", advice="It is tried again.")


def garbled(where: str, reply: bytes) -> TransientError:
    """Return the error for bytes that are no POP3."""
    return TransientError(
        f"{where}: expected a POP3 reply, got {said(reply)!r}", advice="Check that `host` and `port` are those of a POP3 server."
    )


@contextmanager
def errors(options: Pop3Options, otherwise: type[GatewaydError], what: str) -> Iterator[None]:
    """Translate what poplib and sockets raise inside the block; ``otherwise`` is for an ``-ERR`` without a known code."""
    where = f"{options.host}:{options.effective_port}"
    try:
        with socket_errors(options, options.effective_port):
            yield
    except poplib.error_proto as error:
        reply = error.args[0] if error.args else b""
        if isinstance(reply, str):
            # Text is poplib's own word: the connection ended, or a line had no end.
            raise (closed(where) if reply.endswith("EOF") else garbled(where, reply.encode())) from None
        if not reply.startswith(b"-ERR"):
            raise garbled(where, reply) from None
        raise refused(reply, f"{where}: {what}", otherwise) from None


@contextmanager
def login_errors(options: Pop3Options, password: str) -> Iterator[None]:
    """As ``errors``, for the log-in: a refusal is ours to mend, and a server that echoes the password is not quoted."""
    where = f"{options.host}:{options.effective_port}"
    try:
        with errors(options, AuthError, f"log-in as {options.username!r} was refused"):
            yield
    except GatewaydError as error:
        if password in error.message:
            raise type(error)(f"{where}: log-in as {options.username!r} was refused", advice=error.advice) from None
        raise
