"""Translate errors of Microsoft's log-in service into gatewayd's five errors: the table of all that are known.

Source: "Microsoft Entra authentication and authorization error codes". The numbers decide, then the word of OAuth (RFC 6749
section 5.2), and never the text. Microsoft may change the numbers, so what is unknown still has an advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatewayd import AuthError, TransientError, quoted, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import GatewaydError, HttpAnswer

__all__ = ["APP", "TOKEN_FAULTS", "TokenFault", "token_error"]

#: The page of the app.
APP = "in the Microsoft Entra admin center (entra.microsoft.com), App registrations, your app"
_LATER = frozenset({429, 500, 502, 503, 504})
#: Numbers that say "later", whatever stands beside them: services behind the log-in that are away, and too many requests.
_LATER_NUMBERS = frozenset({50033, 50087, 50196, 70012, 90006, 90012, 90024, 90033, 90055, 90090})
#: What identifies a request with Microsoft's support.
_TRACE = re.compile(r"[0-9A-Za-z-]{1,64}")
#: More numbers than any answer has.
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFault:
    """One kind of refusal."""

    #: The numbers behind AADSTS.
    codes: tuple[int, ...]
    #: The words of OAuth that it stands for where no number is known.
    words: tuple[str, ...] = ()
    #: What the app proves itself with, if the words mean this for it alone.
    of: Literal["", "secret", "certificate"] = ""
    #: Whether the words stand for it beside a number that no row has, too.
    any_number: bool = False
    verb: type[AuthError] = AuthError
    what: str
    advice: str


TOKEN_FAULTS = (
    TokenFault(
        codes=(7000215,),
        words=("invalid_client",),
        of="secret",
        what="the client secret is wrong",
        advice=f"Give the secret's Value, not its Secret ID; it is shown once. Make a new one {APP}, Certificates & secrets.",
    ),
    TokenFault(
        codes=(7000222,),
        what="the client secret has expired",
        advice=f"Make a new one {APP}, Certificates & secrets, and put its Value where `secret` points.",
    ),
    TokenFault(
        codes=(7000216,),
        what="no client secret was sent",
        advice="Put the secret's Value where `secret` points.",
    ),
    TokenFault(
        codes=(700027,),
        words=("invalid_client",),
        of="certificate",
        what="the certificate does not prove the app's identity",
        advice=f"Upload the certificate that is used here {APP}, Certificates & secrets, and compare the thumbprints there.",
    ),
    TokenFault(
        codes=(700026,),
        of="certificate",
        what="no certificate is registered for the app",
        advice=f"Upload the certificate that is used here {APP}, Certificates & secrets, Certificates.",
    ),
    TokenFault(
        codes=(1000502, 7000274),
        of="certificate",
        what="the certificate has ended, or does not begin yet",
        advice=f"Make a new one, upload it {APP}, Certificates & secrets, and put it where `certificate` points.",
    ),
    TokenFault(
        codes=(7000214, 7000277),
        of="certificate",
        what="the certificate was revoked",
        advice=f"Make a new one with a new key, upload it {APP}, Certificates & secrets, and put it where `certificate` points.",
    ),
    TokenFault(
        codes=(700024,),
        of="certificate",
        what="what the certificate signed is of another time",
        advice="Set the clock of this machine: `timedatectl` shows whether it is synchronised.",
    ),
    TokenFault(
        codes=(700023,),
        of="certificate",
        what="what the certificate signed is for another tenant or cloud",
        advice="Check `tenant` and `authority`: the address where tokens are asked for is signed, too.",
    ),
    TokenFault(
        codes=(700016,),
        words=("unauthorized_client",),
        what="the tenant has no such app",
        advice="Check `client` and `tenant`: both are on the page Overview of the app registration.",
    ),
    TokenFault(
        codes=(70001, 7000112),
        what="the app is disabled in the tenant",
        advice="Enable it in the Microsoft Entra admin center, Enterprise applications, your app, Properties, Enabled for users to "
        "sign-in.",
    ),
    TokenFault(
        codes=(7000229,),
        what="the app has no service principal in the tenant",
        advice=f"Have an administrator consent {APP}, API permissions, Grant admin consent.",
    ),
    TokenFault(
        codes=(90002, 900023),
        words=("invalid_request", "invalid_tenant"),
        what="there is no such tenant",
        advice="Check `tenant`: the Directory (tenant) ID on the page Overview of the app registration. And `authority`.",
    ),
    TokenFault(
        codes=(70011, 1002012, 500011),
        words=("invalid_scope", "invalid_resource"),
        what="the tenant knows no such API as the token is for",
        advice="Check that `graph` and `authority` belong to the same cloud.",
    ),
    TokenFault(
        codes=(53003,),
        words=("access_denied", "invalid_grant"),
        what="a policy of Conditional Access blocks the app",
        advice="Have an administrator allow this machine's address in the Microsoft Entra admin center, Conditional Access, the "
        "policy for workload identities.",
    ),
    TokenFault(
        codes=(65001,),
        what="nobody has consented to the app's permissions",
        advice=f"Have an administrator consent {APP}, API permissions, Grant admin consent.",
    ),
)
_UNKNOWN = TokenFault(
    codes=(),
    what="the log-in service refuses the app",
    advice="Look the code up at https://login.microsoftonline.com/error, and check `tenant`, `client` and what proves the app.",
)


def token_error(
    answer: HttpAnswer,
    said: Mapping[str, object],
    where: str,
    hidden: Sequence[str],
    *,
    thumbprint: str = "",
    faults: Sequence[TokenFault] = TOKEN_FAULTS,
) -> GatewaydError:
    """Return the error for an answer that is no token; ``said`` is its body. ``where`` begins the message, which has no ``hidden``.

    ``thumbprint`` is that of the app's certificate, where it has no secret. The first of ``faults`` that fits has the text.
    """
    word = said["error"] if isinstance(said.get("error"), str) else ""
    codes, way = _codes(said), "certificate" if thumbprint else "secret"
    if answer.status in _LATER or word == "temporarily_unavailable" or not codes.isdisjoint(_LATER_NUMBERS):
        text = f"{where}: no access token: HTTP {answer.status}{_trace(said)}"
        return TransientError(
            text, retry_after=retry_after(answer.headers), advice="If it lasts, see https://status.cloud.microsoft."
        )
    known = next((one for one in faults if not codes.isdisjoint(one.codes)), None)
    meant = (one for one in faults if word in one.words and one.of in ("", way) and (one.any_number or not codes))
    fault = known or next(meant, _UNKNOWN)
    number = f"AADSTS{min(codes)}" if codes else quoted(str(word), hidden, 40) or f"HTTP {answer.status}"
    words = ""
    if known is None and (codes or fault is _UNKNOWN):
        words = f": {quoted(str(said.get('error_description', '')), hidden)}"
    shown = f", thumbprint {thumbprint}" if thumbprint and fault.of == "certificate" else ""
    return fault.verb(f"{where}: {fault.what} ({number}{shown}{_trace(said)}){words}", advice=fault.advice)


def _codes(said: Mapping[str, object]) -> set[int]:
    given = said.get("error_codes")
    return {one for one in given[:_MOST] if isinstance(one, int)} if isinstance(given, list) else set()


def _trace(said: Mapping[str, object]) -> str:
    trace = said.get("trace_id")
    return f", trace id {trace}" if isinstance(trace, str) and _TRACE.fullmatch(trace) else ""
