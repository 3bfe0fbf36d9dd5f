"""Circles and robots: which mail a rule must not send on as mail, or it would never come to an end (promise P7).

Circles, robots' answers and the reports of mail systems are withheld, whatever the rule says. What programs send of themselves,
to lists or in bulk, makes no circle; but few want it sent on, so that only a rule which asks for it takes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd.signing import HOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.mail import Mail
    from gatewayd.signing import Signer

__all__ = ["MAX_HOPS", "by_program", "hops", "withheld"]

#: How often a mail may have been forwarded by gatewayds, whoever's they are, and how many servers it may have come through.
MAX_HOPS = 5
_MAX_RECEIVED = 50

_HOP = HOP.lower()
#: The first word of a value; comments (RFC 5322 section 3.2.2) and parameters stand behind it or before it.
_COMMENT = re.compile(r"\([^()]*\)")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
#: Headers that robots give their answers, older than RFC 3834. X-Auto-Response-Suppress is none: people's programs give it, too.
_ANSWERS = ("x-autoreply", "x-autorespond", "x-autoresponder")
_LISTS = ("list-id", "list-post", "list-unsubscribe")
_NO = {"", "no", "false"}


def hops(mail: Mail) -> Sequence[str]:
    """Return the values of the mail's hop headers, the newest first."""
    return [value for name, value in mail.headers if name == _HOP]


def withheld(mail: Mail, signer: Signer) -> str:
    """Return why no rule may forward the mail, in words for people; empty where one may."""
    headers = _headers(mail)
    return _circle(mail, signer, headers) or _answer(headers) or _system(mail, headers)


def by_program(mail: Mail) -> str:
    """Return by what a program's mail, or one to many, is known as such (RFC 3834 section 5, RFC 2919); empty for any other."""
    headers = _headers(mail)
    sent = [word for word in _words(headers, "auto-submitted") if word != "no"]
    if sent:
        return f"a program sent it of itself (Auto-Submitted: {sent[0][:50]})"
    bulk = [word for word in _words(headers, "precedence") if word in {"bulk", "list", "junk"}]
    if bulk:
        return f"it went to many (Precedence: {bulk[0]})"
    listed = next((name for name in _LISTS if name in headers), "")
    return f"it came through a mailing list ({listed.title()})" if listed else ""


def _headers(mail: Mail) -> Mapping[str, Sequence[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in mail.headers:
        headers.setdefault(name, []).append(value)
    return headers


def _circle(mail: Mail, signer: Signer, headers: Mapping[str, Sequence[str]]) -> str:
    hopped = headers.get(_HOP, ())
    if any(signer.purpose(value) for value in hopped):
        return f"it would go in a circle: we have forwarded it before ({HOP})"
    if any(signer.purpose(one) for one in (mail.message_id, *headers.get("resent-message-id", ()))):
        return "it would go in a circle: it is a mail of our own that came back"
    if any(signer.purpose(one) == "forward" for one in mail.references):
        return "it would go in a circle: it answers a mail that we have forwarded"
    if len(hopped) > MAX_HOPS:
        return f"it seems to go in a circle: it was forwarded {len(hopped)} times ({HOP})"
    received = len(headers.get("received", ()))
    if received > _MAX_RECEIVED:
        return f"it seems to go in a circle: it came through {received} servers (Received)"
    return ""


def _answer(headers: Mapping[str, Sequence[str]]) -> str:
    if "auto-replied" in _words(headers, "auto-submitted"):
        return "it is the answer of a robot (Auto-Submitted: auto-replied)"
    if any(word.replace("-", "_") == "auto_reply" for word in _words(headers, "precedence")):
        return "it is the answer of a robot (Precedence: auto_reply)"
    for name in _ANSWERS:
        if any(value.strip().lower() not in _NO for value in headers.get(name, ())):
            return f"it is the answer of a robot ({name.title()})"
    return ""


def _system(mail: Mail, headers: Mapping[str, Sequence[str]]) -> str:
    # The first one is the only one that counts (RFC 2045 section 5.2), as in the parser.
    if headers.get("content-type", ("",))[0].lower().startswith("multipart/report"):
        return "it is a report of a mail system (multipart/report)"
    # A server that delivers puts its own on top (RFC 5321 section 4.4).
    if "".join(headers.get("return-path", ("-",))[0].split()) == "<>":
        return "it is a message of a mail system (Return-Path: <>)"
    if mail.sender is not None and mail.sender.email.lower().partition("@")[0] == "mailer-daemon":
        return "it is a message of a mail system (From: MAILER-DAEMON)"
    return ""


def _words(headers: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    """Return the first word of each header of that name, in lower case."""
    found = (_WORD.search(_COMMENT.sub(" ", value[:1000])) for value in headers.get(name, ()))
    return [word[0].lower() for word in found if word]
