"""What imaplib, imap_tools and a server's NO or BAD mean in the kernel's verbs. Nothing else in this plugin decides that.

Response codes decide (RFC 5530), and the step at which they came. Two servers refuse a log-in for want of room without
any code: those are known by their words.
"""

from __future__ import annotations

import imaplib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imap_tools.errors import UnexpectedCommandStatusError

from gatewayd import AuthError, GatewaydError, PermanentError, TransientError, socket_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd_imap.options import ImapOptions

__all__ = ["errors", "login_errors", "refused", "said"]

_CODE = re.compile(r"\[([A-Z][A-Z-]+)[\] ]", re.IGNORECASE)
_LATER = {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA", "EXPUNGEISSUED"}
_NOT_US = {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED"}
_NEVER = {"NONEXISTENT", "TRYCREATE", "NOPERM", "CANNOT", "READ-ONLY"}
# Gmail with 15 sessions open, Exchange while a mailbox moves or is throttled: both know the password to be right.
_LATER_BY_WORDS = re.compile(r"too many simultaneous connections|authenticated but not connected", re.IGNORECASE)
_SHOWN = 200


def said(data: object) -> str:
    """Return what a server answered as one short printable text."""
    first = data[-1] if isinstance(data, (list, tuple)) and data else data
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first or "")
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_SHOWN].strip())


def refused(answer: str, what: str, otherwise: type[GatewaydError]) -> GatewaydError:
    """Return the error for a NO or BAD: by its response code, where it has none we know ``otherwise``."""
    code = _CODE.search(answer)
    name = code[1].upper() if code else ""
    text = f"{what}: the server answered {answer!r}"
    if name in _LATER or _LATER_BY_WORDS.search(answer):
        return TransientError(text, advice="It is tried again. If it lasts, lower `connections`.")
    if name in _NOT_US or otherwise is AuthError:
        return AuthError(text, advice="Check `username` and `password`, and that the account may use IMAP.")
    return PermanentError(text) if name in _NEVER else otherwise(text)


@contextmanager
def errors(options: ImapOptions, what: str, otherwise: type[GatewaydError] = TransientError) -> Iterator[None]:
    """Translate what the libraries and sockets raise inside the block; ``otherwise`` is for a NO or BAD without a known code."""
    text = f"{options.where}: {what}"
    try:
        with socket_errors(options, options.effective_port):
            yield
    except imaplib.IMAP4.readonly:
        raise PermanentError(f"{text}: the folder is read-only", advice="Give the user the right to change it.") from None
    except imaplib.IMAP4.abort as error:
        advice = "It is tried again. If it never works, check that `host` and `port` are those of an IMAP server."
        raise TransientError(f"{text}: the session ended: {said(str(error))}", advice=advice) from None
    except imaplib.IMAP4.error as error:
        raise refused(said(str(error)), text, otherwise) from None
    except UnexpectedCommandStatusError as error:
        raise refused(said(error.command_result[1]), text, otherwise) from None
    except (UnicodeError, TypeError, OverflowError) as error:
        # imaplib takes what a server says for ASCII, and a CAPABILITY for a line, without looking.
        raise TransientError(f"{text}: the server's answer is no IMAP: {said(str(error))}") from None


@contextmanager
def login_errors(options: ImapOptions, password: str) -> Iterator[None]:
    """As ``errors``, for the log-in: a refusal is ours to mend, and a server that echoes the password is not quoted."""
    what = f"log-in as {options.username!r} was refused"
    try:
        with errors(options, what, AuthError):
            yield
    except GatewaydError as error:
        if password in error.message:
            raise type(error)(f"{options.where}: {what}", advice=error.advice) from None
        raise
