"""The consent of a person whose mailbox no administrator may open: the link to Microsoft's page, and tokens by it.

Source: "Microsoft identity platform and OAuth 2.0 authorization code flow" and "... device authorization grant flow"; RFC 6749
sections 4.1 and 6, RFC 7636, RFC 8628; "Get user", "Microsoft Graph permissions reference".
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from gatewayd import AuthError, Consent, ConsentEnded, DeviceCode, Grant, HttpAnswer, HttpClient, HttpPool, TransientError
from gatewayd_office365.access_tokens import TOKEN, token_of
from gatewayd_office365.consent_faults import CODE_FAULTS, DEVICE_FAULTS, REFRESH_FAULTS
from gatewayd_office365.graph_faults import GraphAnswer
from gatewayd_office365.json_objects import json_object, text_of
from gatewayd_office365.token_faults import APP, token_error
from gatewayd_office365.token_requests import OUTLOOK, asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import ConsentRequest
    from gatewayd_office365.credential_options import Office365CredentialOptions
    from gatewayd_office365.token_faults import TokenFault
    from gatewayd_office365.token_requests import EntraAnswer

__all__ = ["Office365Consent"]

#: What the app wants to do in a mailbox, by the API.
_OUTLOOK = ("IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send")
_GRAPH = ("Mail.ReadWrite", "Mail.Send")
_READING = "Mail.Read"
_LASTING = "offline_access"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_PROFILE = 1 << 20
#: More names than any mailbox has.
_MOST = 1000
_FORBIDDEN = frozenset({401, 403})
#: What is shown to a person of a device code.
_SHOWN = re.compile(r"[\x21-\x7e]{1,300}")
#: Bounds of the times that a device code has, in seconds, and how much longer to wait after ``slow_down``.
_INTERVAL, _MOST_INTERVAL, _LASTS, _SLOWER = 5.0, 60.0, 3600.0, 5.0
_NUMBER = re.compile(r"AADSTS([0-9]{1,9}):")


class Office365Consent(Consent):
    """Asks Microsoft Entra for persons' consents, and for tokens that open the mailbox of the one who consented."""

    def __init__(self, options: Office365CredentialOptions) -> None:
        """Keep ``options``."""
        self._options = options
        graph = urlsplit(options.graph)
        self._graph = f"{graph.scheme}://{graph.netloc}"
        self._profile = f"{self._graph}/User.Read"

    @property
    def identity(self) -> Mapping[str, str]:
        """See ``Consent``: the app in its tenant, at this authority."""
        options = self._options
        return {"authority": options.authority.lower(), "tenant": options.tenant.lower(), "client": options.client.lower()}

    # --- the person's page ----------------------------------------------------------------------------------------------

    def link(self, request: ConsentRequest) -> str:
        """See ``Consent``. It asks for the permissions of mail that are needed, and for that to see whose mailbox it is."""
        asks = {
            "client_id": self._options.client,
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": request.redirect,
            "scope": " ".join([*_needed(request), self._profile, _LASTING]),
            "state": request.state,
            "code_challenge": request.challenge,
            "code_challenge_method": "S256",
            # A browser may be logged in as somebody else.
            "prompt": "select_account",
            **({"login_hint": request.user} if "@" in request.user else {}),
        }
        return f"{self._options.authority}/{self._options.tenant}/oauth2/v2.0/authorize?{urlencode(asks, quote_via=quote)}"

    def refused(self, request: ConsentRequest, error: str, words: str) -> AuthError:
        """See ``Consent``."""
        number = _NUMBER.match(words)
        said = {"error": error, "error_description": words, "error_codes": [int(number[1])] if number else []}
        answer = HttpAnswer(status=400, reason="", headers={}, body=b"")
        where = urlsplit(self._options.authority).netloc
        found = token_error(answer, said, where, (request.state, request.verifier), faults=CODE_FAULTS)
        return AuthError(found.message, advice=found.advice)

    def redeem(self, request: ConsentRequest, code: str) -> Grant:
        """See ``Consent``: the token is for Graph, which tells the names."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect,
            "code_verifier": request.verifier,
            "scope": f"{self._profile} {_LASTING}",
        }
        answer = asked(self._options, form, hidden=(code, request.verifier))
        return self._lasting(_without_end(answer, CODE_FAULTS))

    # --- a device code --------------------------------------------------------------------------------------------------

    def device(self, request: ConsentRequest) -> DeviceCode | None:
        """See ``Consent``: only if the config allows it. A token of it is for one API, so it asks for no permission of another."""
        if not self._options.device_code:
            return None
        scopes = [*_needed(request), *([self._profile] if request.resource == self._graph else []), _LASTING]
        answer = _without_end(asked(self._options, {"scope": " ".join(scopes)}, place="devicecode"), DEVICE_FAULTS)
        said = answer.said
        shown = [text_of(said, name) for name in ("user_code", "verification_uri", "device_code")]
        if not all(map(_SHOWN.fullmatch, shown[:2])) or not TOKEN.fullmatch(shown[2]):
            raise TransientError(f"{answer.where}: the answer has no device code", advice=_SERVER)
        return DeviceCode(
            user_code=shown[0],
            url=shown[1],
            device_code=shown[2],
            interval=_seconds(said.get("interval"), _INTERVAL, _MOST_INTERVAL),
            lasts=_seconds(said.get("expires_in"), _LASTS, _LASTS),
        )

    def poll(self, code: DeviceCode) -> Grant | DeviceCode:
        """See ``Consent``. The tokens that come of a code may be for IMAP, so one for Graph is asked for then."""
        form = {"grant_type": _DEVICE_GRANT, "device_code": code.device_code}
        answer = asked(self._options, form, hidden=(code.device_code,))
        if answer.refusal == "authorization_pending":
            return code
        if answer.refusal == "slow_down":
            return replace(code, interval=code.interval + _SLOWER)
        first = self._lasting(_without_end(answer, DEVICE_FAULTS))
        second = _grant(_without_end(self._renewal(self._profile, first.refresh_token), REFRESH_FAULTS))
        return replace(second, refresh_token=second.refresh_token or first.refresh_token)

    # --- tokens ---------------------------------------------------------------------------------------------------------

    def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
        """See ``Consent``. Microsoft gives another refresh token each time."""
        del user
        if resource == self._graph:
            # A token has all permissions that the person consented to, whichever is asked for; this one always is among them.
            answer = self._renewal(self._profile, refresh_token).checked(REFRESH_FAULTS)
            if _READING in text_of(answer.said, "scope"):
                return _grant(answer)
            refresh_token = text_of(answer.said, "refresh_token") or refresh_token
        # Where that has none for mail, the authority says so itself.
        return _grant(self._renewal(" ".join(_mail(resource)), refresh_token).checked(REFRESH_FAULTS))

    def _renewal(self, scope: str, refresh_token: str) -> EntraAnswer:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": f"{scope} {_LASTING}"}
        return asked(self._options, form, hidden=(refresh_token,))

    def _lasting(self, answer: EntraAnswer) -> Grant:
        found = _grant(answer)
        if not found.refresh_token:
            advice = f"Add the delegated permission offline_access, {APP}, API permissions."
            raise AuthError(f"{answer.where}: the answer has no refresh token", advice=advice)
        return found

    # --- whose mailbox it is --------------------------------------------------------------------------------------------

    def names(self, grant: Grant) -> Sequence[str]:
        """See ``Consent``: all addresses of the mailbox, the user's name for the log-in, and the User Object ID."""
        options = self._options
        headers = {"Authorization": f"Bearer {grant.token.text}", "Accept": "application/json"}
        pool = HttpPool(options.graph, ca_file=options.ca_file, timeout=options.timeout, field="graph", kept=0)
        with closing(pool):
            what = "the question whose mailbox it is"
            query = "$select=id,mail,userPrincipalName,proxyAddresses"
            got = HttpClient(pool).request(
                "GET",
                f"{options.graph}/me?{query}",
                what=what,
                headers=headers,
                limit=_PROFILE,
                deadline=options.timeout,
            )
        answer = GraphAnswer(
            status=got.status, headers=got.headers, data=json_object(got.body) or {}, where=f"{pool.where}: {what}"
        )
        if answer.status in _FORBIDDEN:
            advice = f"Add the delegated permission User.Read of Microsoft Graph, {APP}, API permissions, and connect once more."
            raise AuthError(answer.error.message, advice=advice)
        found = _names(answer.checked().data)
        if not found:
            raise TransientError(f"{answer.where}: the answer has no name", advice="Check that `graph` is Microsoft Graph.")
        return found


_SERVER = "Check that `authority` is Microsoft's log-in service."


def _mail(resource: str) -> list[str]:
    names = _GRAPH if resource else _OUTLOOK
    return [f"{resource or OUTLOOK}/{name}" for name in names]


def _needed(request: ConsentRequest) -> list[str]:
    """Return the permissions that the accounts need. What is sent is a draft before, which only who may change mail can make."""
    if not request.resource:
        return _mail("")
    change, send = _mail(request.resource)
    return [change if request.changes or request.sends else f"{request.resource}/{_READING}", *([send] if request.sends else [])]


def _without_end(answer: EntraAnswer, faults: Sequence[TokenFault]) -> EntraAnswer:
    """Return an answer; a refusal ends no consent, since there was none yet."""
    try:
        return answer.checked(faults)
    except ConsentEnded as error:
        raise AuthError(error.message, advice=error.advice) from None


def _grant(answer: EntraAnswer) -> Grant:
    refresh = text_of(answer.said, "refresh_token")
    if refresh and not TOKEN.fullmatch(refresh):
        raise TransientError(f"{answer.where}: the answer has a refresh token that is none", advice=_SERVER)
    return Grant(token_of(answer.said, answer.where), refresh)


def _names(said: Mapping[str, object]) -> list[str]:
    more = said.get("proxyAddresses")
    addresses = [
        one[5:] for one in (more if isinstance(more, list) else [])[:_MOST] if isinstance(one, str) and one[:5].lower() == "smtp:"
    ]
    found = [text_of(said, "mail"), text_of(said, "userPrincipalName"), *addresses, text_of(said, "id")]
    return list(dict.fromkeys(name for name in found if name))


def _seconds(given: object, usual: float, most: float) -> float:
    return min(float(given), most) if isinstance(given, int | float) and given > 0 else usual
