"""Translate a server's replies into gatewayd's five errors. Nothing else in this plugin does.

The reply's first digit and the step at which it came decide (RFC 5321 section 4.2), its words are shown and advise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import AuthError, GatewaydError, TokenRefused, TransientError, login_advice, other_protocol, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd_smtp.options import SmtpOptions

__all__ = ["LATER", "NEVER", "OK", "Goodbye", "closed", "garbled", "let_in", "log_in_refused", "reply_text", "unfit"]

#: The first digits of replies (RFC 5321 section 4.2.1).
OK, LATER, NEVER = 2, 4, 5
#: The server ends the connection (RFC 5321 section 3.8); it wants a log-in, or TLS (RFC 4954 section 6, RFC 3207 section 4).
_GOODBYE, _WHO = 421, 530
_SHOWN = 300


def reply_text(code: int, text: bytes, secrets: Sequence[str] = ()) -> str:
    """Return a server's reply as one short printable text, without our secrets."""
    return f"{code} {quoted(text, secrets, _SHOWN)}"[:_SHOWN].strip()


class Goodbye(TransientError):
    """The server ended the connection; over a new one it may well go on."""


def closed(options: SmtpOptions) -> Goodbye:
    """Return the error for a connection that the server ended."""
    return Goodbye(
        f"{options.where}: the server closed the connection",
        advice="If it lasts, see to that server, and to the network in between.",
    )


def garbled(options: SmtpOptions, text: bytes, secrets: Sequence[str] = ()) -> TransientError:
    """Return the error for a reply that is no SMTP."""
    other = other_protocol(text)
    advice = "Check that `host` and `port` are those of an SMTP server: usually 465, and 587 for `starttls`."
    if other not in ("", "SMTP"):
        advice = f"It is a server of {other}. {advice}"
    return TransientError(f"{options.where}: expected an SMTP reply, got {quoted(text, secrets, 100)!r}", advice=advice)


def unfit(options: SmtpOptions, code: int, shown: str) -> GatewaydError | None:
    """Return the error for a reply in a mail's transaction that is not about the mail; None if it is.

    ``shown`` is the reply as ``reply_text`` returns it.
    """
    if code == _GOODBYE:
        return Goodbye(
            f"{options.where}: the server said goodbye: {shown!r}",
            advice="If it lasts, see to that server, and to the network in between.",
        )
    if code == _WHO:
        advice = "Give `username` and `password`, and `security: tls` or `starttls`."
        if options.credential:
            advice = options.credential.advice("SMTP")
        return AuthError(f"{options.where}: the server wants a log-in: {shown!r}", advice=advice)
    return None if code // 100 in {OK, LATER, NEVER} else garbled(options, shown.encode())


def log_in_refused(options: SmtpOptions, code: int, text: bytes, secrets: Sequence[str], reason: str = "") -> GatewaydError:
    """Return the error for a refused log-in; ``reason`` goes behind the reply (``refusal_reason``)."""
    by = " with an access token" if options.credential else ""
    shown = reply_text(code, text, secrets)
    what = f"{options.where}: log-in as {options.username!r}{by} was refused: the server answered {shown!r}{reason}"
    if code // 100 == LATER:
        return TransientError(what, advice="If it lasts, see to that server, and to the network in between.")
    hint = login_advice("SMTP", options.host, text, username=options.username or "", token=options.credential is not None)
    if options.credential is None:
        return AuthError(what, advice=hint or "Check `username` and `password`, and that the account may send by SMTP.")
    # With a hint it would not help to ask for another token.
    return AuthError(what, advice=hint) if hint else TokenRefused(what, advice=options.credential.advice("SMTP"))


def let_in(options: SmtpOptions, reply: tuple[int, bytes], otherwise: str) -> None:
    """Raise TransientError for a refusal of the connection or of EHLO. It is about no mail, so no mail counts as refused."""
    if reply[0] // 100 == OK:
        return
    advice = "Perhaps the server does not know our address, or wants another `hello`."
    raise TransientError(f"{options.where}: {otherwise}: the server answered {reply_text(*reply)!r}", advice=advice)
