"""Advise on a refused log-in by the server's own words. They never decide what the refusal is: its code and its plugin do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.login_refusals import LOGIN_REFUSALS

if TYPE_CHECKING:
    from gatewayd.api.login_refusals import MailProtocol

__all__ = ["login_advice"]

#: How much of an answer is looked through, in bytes.
_LOOKED = 1 << 13


def login_advice(protocol: MailProtocol, host: str, answer: bytes, *, username: str, token: bool = False) -> str:
    """Return what to do about a refused log-in; empty if the answer tells no more than that it was refused.

    :param host: the server, as the config names it: some words mean something with one provider only.
    :param answer: what the server said, as it came.
    :param token: an access token was refused, not a password. Then its credential knows most of what may be wrong.
    """
    said = b" ".join(answer[:_LOOKED].lower().split()).decode("latin-1")
    server = host.lower().rstrip(".")
    for one in LOGIN_REFUSALS:
        fits = protocol in one.protocols and (one.token or not token) and (not one.domains or _within(server, one.domains))
        if fits and any(word.lower() in said for word in one.words):
            return one.advice.replace("MAILBOX", username)
    return ""


def _within(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
