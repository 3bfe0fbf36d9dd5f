"""Translate a server's ``-ERR`` into gatewayd's five errors. Nothing else in this plugin does.

The step and the response code decide (RFC 2449 section 8, RFC 3206). Only a refused log-in without a code is told by its words:
RFC 1939 has none but words for a mailbox that is locked, and a wrong password pauses an account for long.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd import AuthError, GatewaydError, PermanentError, TransientError, login_advice, other_protocol, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd_pop3.wire import Wire

__all__ = ["closed", "garbled", "refused"]

_CODE = re.compile(rb"-ERR\s{1,9}\[([^\]\s]{1,40}+)", re.IGNORECASE)
_LATER = (b"IN-USE", b"LOGIN-DELAY", b"SYS/TEMP")
_NOT_US = (b"AUTH", b"SYS/PERM")
_SHOWN = 200

_MAILBOX = rb"(?:mail[ -]?(?:drop|box|file)|inbox|spool|folder)"
_TAKEN = rb"(?:lock|in use|busy|open)"
#: Another session has locked the mailbox (RFC 1939 section 4): "maildrop already locked", "Unable to lock your mailbox".
_LOCKED = re.compile(rb"%b[^\r\n]{0,60}%b|%b[^\r\n]{0,60}%b" % (_MAILBOX, _TAKEN, _TAKEN, _MAILBOX), re.IGNORECASE)
#: Nobody can log in at the moment, or we log in too often.
_NOT_NOW = re.compile(
    rb"interval|too (?:soon|often|frequent)|try (?:it )?(?:again|later)|temporar|log-?in limit|in progress|already locked"
    rb"|(?:too many|maximum)[^\r\n]{0,30}(?:connection|session|user)"
    rb"|(?:server|system|service)[^\r\n]{0,30}(?:busy|unavailable|down)"
    rb"|(?:another|other|concurrent)[^\r\n]{0,30}(?:session|connection|client)",
    re.IGNORECASE,
)
#: But not if the text is about the log-in.
_WHO = re.compile(rb"password|credential|invalid|incorrect|wrong|fail|attempt|disabled|suspend|denied|expired", re.IGNORECASE)


def refused(wire: Wire, reply: bytes, what: str, otherwise: type[GatewaydError] = PermanentError) -> GatewaydError:
    """Return the error for an ``-ERR`` by its response code, or an error of class ``otherwise`` if the code is unknown."""
    code = _CODE.match(reply)
    name = code[1].upper() if code else b""
    text = f"{wire.where}: {what}: the server answered {quoted(reply, wire.secrets, _SHOWN)!r}"
    start = reply[:_SHOWN]
    # It is the log-in that was refused.
    asked = issubclass(otherwise, AuthError)
    locked = _LOCKED.search(start) or (_NOT_NOW.search(start) and not _WHO.search(start))
    if name.startswith(_LATER) or (locked and asked and not name.startswith(_NOT_US)):
        return TransientError(text, advice="Another program may have the mailbox open; POP3 allows one at a time.")
    if name.startswith(_NOT_US) or asked:
        options, credential = wire.options, wire.options.credential
        hint = login_advice("POP3", options.host, start, username=options.username, token=credential is not None)
        advice = "Check `username` and `password`, and that the account may use POP3."
        error = otherwise if asked else AuthError
        return error(text, advice=hint or (credential.advice("POP3") if credential else advice))
    return otherwise(text)


def closed(where: str) -> TransientError:
    """Return the error for a connection that the server ended."""
    return TransientError(
        f"{where}: the server closed the connection", advice="If it lasts, see to that server, and to the network in between."
    )


def garbled(where: str, reply: bytes, secrets: Sequence[str] = ()) -> TransientError:
    """Return the error for a reply that is no POP3."""
    other = other_protocol(reply)
    advice = "Check that `host` and `port` are those of a POP3 server: usually 995, and 110 for `starttls`."
    if other == "IMAP":
        advice = f"It is an IMAP server: use `kind: imap`. Else: {advice}"
    elif other not in ("", "POP3"):
        advice = f"It is a server of {other}. {advice}"
    return TransientError(f"{where}: expected a POP3 reply, got {quoted(reply, secrets, _SHOWN)!r}", advice=advice)
