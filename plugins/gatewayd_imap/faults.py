"""Translate errors of imaplib and imap_tools, and a server's NO or BAD, into gatewayd's five errors. Nothing else does.

Response codes decide (RFC 5530), and the step at which they came. Servers that can't let anybody in at the moment may say so
without any code: those are known by their words, for a wrong password pauses an account for long.
"""

from __future__ import annotations

import imaplib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imap_tools.errors import UnexpectedCommandStatusError

from gatewayd import AuthError, GatewaydError, PermanentError, TransientError, login_advice, other_protocol, quoted, socket_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd_imap.options import ImapOptions

__all__ = ["Away", "errors", "greeted_otherwise", "refused", "response_text"]

_CODE = re.compile(rb"\[([A-Z][A-Z-]{1,40}+)[\] ]", re.IGNORECASE)
_LATER = {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA", "EXPUNGEISSUED"}
#: Of these, what is no matter of one message.
_AWAY = {"UNAVAILABLE", "INUSE", "LIMIT"}
_NOT_US = {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED"}
_NEVER = {"NONEXISTENT", "TRYCREATE", "NOPERM", "CANNOT", "READ-ONLY"}
# Gmail with 15 sessions open, Exchange while a mailbox moves or is throttled: both know the password to be right.
_NOT_CONNECTED = rb"authenticated but not connected"
_LATER_BY_WORDS = re.compile(rb"too many simultaneous connections|" + _NOT_CONNECTED, re.IGNORECASE)
#: Exchange whose mailbox servers are away: "Server Unavailable. 15"; and what others say in its place.
_NOT_NOW = re.compile(
    rb"servers? (?:is |are )?(?:currently )?(?:unavailable|busy|down)|internal (?:server )?error|try again later", re.IGNORECASE
)
#: But not if the text is about the log-in.
_WHO = re.compile(
    rb"password|credential|invalid|incorrect|wrong|fail|attempt|disabled|block|lock|suspend|denied|expired", re.IGNORECASE
)
_LOOKED = 1 << 13
#: Errors of imaplib and imap_tools for responses that they do not expect.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError)


class Away(TransientError):
    """The server can't serve any request for now: it limits us, or its mailboxes are away."""


def response_text(data: object) -> bytes:
    """Return the last line of a response, as it came."""
    last = data[-1] if isinstance(data, (list, tuple)) and data else data
    if isinstance(last, tuple):
        return b" ".join(piece for piece in last if isinstance(piece, bytes))
    return last if isinstance(last, bytes) else str(last or "").encode("utf-8", "surrogateescape")


def refused(
    options: ImapOptions, answer: bytes, what: str, otherwise: type[GatewaydError], secrets: Sequence[str]
) -> GatewaydError:
    """Return the error for a NO or BAD by its response code, or an error of class ``otherwise`` if the code is unknown."""
    credential = options.credential
    code = _CODE.search(answer[:_LOOKED])
    name = code[1].upper().decode("ascii") if code else ""
    text = f"{what}: the server answered {quoted(answer, secrets)!r}"
    start = answer[:_LOOKED]
    # It is the log-in that was refused.
    asked = issubclass(otherwise, AuthError)
    not_now = name not in _NOT_US | _NEVER and _NOT_NOW.search(start) and not _WHO.search(start)
    if name in _LATER or not_now or _LATER_BY_WORDS.search(start):
        away = name in _AWAY or (not name and b"unavailable" in start.lower())
        advice = "If it lasts, lower `connections`."
        if _NOT_CONNECTED in start.lower():
            # Exchange says the same where IMAP is off, and of a token that it takes, but whose app has no right to this mailbox.
            more = (
                f"And see whether we may open this mailbox: {credential.advice('IMAP')}" if credential else _hint(options, answer)
            )
            advice = f"{advice} {more}"
        return (Away if away else TransientError)(text, advice=advice)
    if name in _NOT_US or asked:
        advice = "Check `username` and `password`, and that the account may use IMAP."
        error = otherwise if asked else AuthError
        return error(text, advice=_hint(options, answer) or (credential.advice("IMAP") if credential else advice))
    return PermanentError(text) if name in _NEVER else otherwise(text)


def _hint(options: ImapOptions, answer: bytes) -> str:
    """Return what to do about a refused log-in as far as the answer's words tell it."""
    return login_advice("IMAP", options.host, answer, username=options.username, token=options.credential is not None)


def greeted_otherwise(options: ImapOptions, line: bytes, secrets: Sequence[str]) -> TransientError:
    """Return the error for a first line that is no greeting of IMAP."""
    other = other_protocol(line)
    text = f"{options.where}: expected an IMAP greeting, got {quoted(line, secrets)!r}"
    ports = "Check that `host` and `port` are those of an IMAP server: usually 993, and 143 for `starttls`."
    if other == "POP3":
        return TransientError(text, advice=f"It is a POP3 server: use `kind: pop3`. Else: {ports}")
    return TransientError(text, advice=f"It is a server of {other}. {ports}" if other not in ("", "IMAP") else ports)


@contextmanager
def errors(
    options: ImapOptions, secrets: Sequence[str], what: str, otherwise: type[GatewaydError] = TransientError
) -> Iterator[None]:
    """Translate errors of libraries and sockets inside the block; ``otherwise`` is for a NO or BAD without a known code."""
    text = f"{options.where}: {what}"
    try:
        with socket_errors(options, options.effective_port):
            yield
    except imaplib.IMAP4.readonly:
        raise PermanentError(f"{text}: the folder is read-only", advice="Give the user the right to change it.") from None
    except imaplib.IMAP4.abort as error:
        said, advice = response_text(error.args), ""
        if issubclass(otherwise, AuthError):
            # Courier lets in whom it then sends away, with the reason in its BYE.
            advice = _hint(options, said)
        advice = advice or "If it never works, check that `host` and `port` are those of an IMAP server."
        raise TransientError(f"{text}: the session ended: {quoted(said, secrets)}", advice=advice) from None
    except imaplib.IMAP4.error as error:
        raise refused(options, response_text(error.args), text, otherwise, secrets) from None
    except UnexpectedCommandStatusError as error:
        raise refused(options, response_text(error.command_result[1]), text, otherwise, secrets) from None
    except _UNREADABLE as error:
        shown = quoted(f"{type(error).__name__}: {error}", secrets)
        raise TransientError(
            f"{text}: the server's answer is no IMAP: {shown}",
            advice="If it lasts, see to that server, and to the network in between.",
        ) from None
