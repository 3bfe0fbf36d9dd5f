"""What persons consent to: the page that they open, and the codes and refresh tokens that come of it.

Source: "Microsoft identity platform and OAuth 2.0 authorization code flow"; RFC 6749 sections 4.1 and 6; RFC 7636 (PKCE); RFC 8628
(device codes).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from gatewayd.testing.graph.entra_refusals import EntraRefused
from gatewayd.testing.graph.odata import answered
from gatewayd.testing.graph.scopes import is_lasting, one_api, scopes_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gatewayd.testing.graph.apps import EntraApp
    from gatewayd.testing.graph.mailboxes import ExchangeMailbox
    from gatewayd.testing.graph.scopes import Scope
    from gatewayd.testing.graph.wire import ServedResponse

__all__ = ["PERSONAL_GRANTS", "Consents", "check_client"]

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: The kinds of grants behind which a person stands.
PERSONAL_GRANTS = {"authorization_code", "refresh_token", _DEVICE_GRANT}
_CODE_SECONDS, _DEVICE_SECONDS = 600, 900
#: Why a refresh token is not valid any more.
_ENDS = {
    50173: "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or"
    " reset their password.",
    700082: "The refresh token has expired due to inactivity. It was inactive for 90.00:00:00.",
    70043: "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.",
    70000: "Provided grant is invalid or malformed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Permit:
    """What a person let an app have, as it stands behind a code or a refresh token."""

    app: EntraApp
    person: ExchangeMailbox
    #: Whether a refresh token goes with it.
    is_lasting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    permit: _Permit
    redirect: str
    challenge: str
    ends: float


@dataclass(slots=True, kw_only=True)
class _Device:
    app: EntraApp
    scope: str
    user_code: str
    ends: float
    permit: _Permit | None = None
    is_declined: bool = False


class Consents:
    """Who has consented to what. To be used with the lock of the service held, except for what tests set."""

    def __init__(self, mailboxes: Mapping[str, ExchangeMailbox], graph: Collection[str]) -> None:
        """``mailboxes`` are by id, and by address in lower case; ``graph`` are the addresses of Graph."""
        self._mailboxes = mailboxes
        self._graph = graph
        #: Who is logged in where the page is opened, and consents there. None: whom the link hints at.
        self.signed_in: ExchangeMailbox | None = None
        #: That person says no.
        self.declines = False
        #: A refresh token is refused once it was used. Microsoft itself takes it until it ends.
        self.refuses_used = False
        #: Seconds between two requests with a device code.
        self.interval = 5
        self._consented: dict[tuple[str, str], set[Scope]] = {}
        self._codes: dict[str, _Code] = {}
        self._devices: dict[str, _Device] = {}
        #: What stands behind each refresh token that was given.
        self.refresh_tokens: dict[str, _Permit] = {}
        #: Refresh tokens that are not valid any more, with the code that says why.
        self._ended: dict[str, int] = {}

    # --- for tests ------------------------------------------------------------------------------------------------

    def end(self, person: ExchangeMailbox, code: int = 50173) -> None:
        """Let a person's refresh tokens end, for the reason of an AADSTS code: 50173 after a change of the password."""
        self._ended |= {text: code for text, permit in self.refresh_tokens.items() if permit.person is person}

    def withdraw(self, person: ExchangeMailbox, app: EntraApp) -> None:
        """Let a person take back what it has consented to."""
        self._consented.pop((app.client, person.id), None)

    def enter(self, user_code: str, person: ExchangeMailbox, *, declines: bool = False) -> None:
        """Let a person log in with the code that a device shows, and consent; or not."""
        (device,) = (one for one in self._devices.values() if one.user_code == user_code)
        device.is_declined = declines
        if not declines:
            device.permit = self._permit(device.app, person, device.scope)

    # --- the page -------------------------------------------------------------------------------------------------

    def page(self, app: EntraApp, asked: Mapping[str, str]) -> ServedResponse:
        """Answer where the browser goes once the person has decided. Raises EntraRefused where it stays."""
        redirect = asked.get("redirect_uri", "")
        if _without_port(redirect) not in app.redirects:
            text = f"The redirect URI '{redirect}' specified in the request does not match those configured for '{app.client}'."
            raise EntraRefused(50011, 400, "invalid_request", text)
        try:
            told = {"code": self._code(app, asked, redirect)}
        except EntraRefused as refused:
            told = {"error": refused.error, "error_description": refused.description}
        told |= {"state": asked["state"]} if "state" in asked else {}
        return answered(302, None, Location=f"{redirect}?{urlencode(told)}")

    def _code(self, app: EntraApp, asked: Mapping[str, str], redirect: str) -> str:
        if asked.get("response_type") != "code" or asked.get("response_mode", "query") != "query":
            raise EntraRefused(700054, 400, "unsupported_response_type", "The response_type is not enabled for the application.")
        if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
            raise EntraRefused(501491, 400, "invalid_request", "The method of the Code_Challenge is not supported.")
        scope = asked.get("scope", "")
        if not scopes_of(scope, self._graph):
            raise EntraRefused(900144, 400, "invalid_request", "The request body must contain the following parameter: 'scope'.")
        person = self.signed_in or self._mailboxes.get(asked.get("login_hint", "").lower())
        if person is None or person.tenant != app.tenant:
            raise EntraRefused(50020, 400, "access_denied", "The user account does not exist in the tenant.")
        if self.declines:
            raise EntraRefused(65004, 400, "access_denied", "User declined to consent to access the app.")
        code, permit = f"1.A{secrets.token_urlsafe(400)}", self._permit(app, person, scope)
        ends = time.time() + _CODE_SECONDS
        self._codes[code] = _Code(permit=permit, redirect=redirect, challenge=asked.get("code_challenge", ""), ends=ends)
        return code

    def _permit(self, app: EntraApp, person: ExchangeMailbox, scope: str) -> _Permit:
        self._consented.setdefault((app.client, person.id), set()).update(scopes_of(scope, self._graph))
        return _Permit(app=app, person=person, is_lasting=is_lasting(scope))

    # --- tokens ---------------------------------------------------------------------------------------------------

    def granted(self, app: EntraApp, form: Mapping[str, str]) -> tuple[_Permit, frozenset[Scope]]:
        """Return who stands behind a request for a token, and what that person lets the app have of the API that is asked for.

        Raises EntraRefused.
        """
        kind, scope = form["grant_type"], form.get("scope", "")
        if kind == _DEVICE_GRANT:
            permit, scope = self._polled(app, form)
        elif kind == "refresh_token":
            permit = self._refreshed(app, form)
        else:
            permit = self._redeemed(app, form)
        scopes = scopes_of(scope, self._graph)
        api, consented = one_api(scopes), self._consented.get((app.client, permit.person.id), set())
        if not scopes <= consented:
            text = f"The user or administrator has not consented to use the application with ID '{app.client}'."
            raise EntraRefused(65001, 400, "invalid_grant", text)
        if self.refuses_used and kind == "refresh_token":
            self._ended[form["refresh_token"]] = 70000
        return permit, frozenset(one for one in consented if one.api == api)

    def new_refresh_token(self, permit: _Permit) -> str:
        """Return another refresh token; there is one in each answer."""
        text = f"1.A{secrets.token_urlsafe(750)}"
        self.refresh_tokens[text] = permit
        return text

    def device(self, app: EntraApp, form: Mapping[str, str], authority: str) -> ServedResponse:
        """Answer a request for a device code (RFC 8628 section 3.2). Raises EntraRefused."""
        one_api(scopes_of(form.get("scope", ""), self._graph))
        if not app.allows_device_code:
            raise _needs_secret()
        code, user_code = f"1.A{secrets.token_urlsafe(200)}", secrets.token_hex(5).upper()[:9]
        ends = time.time() + _DEVICE_SECONDS
        self._devices[code] = _Device(app=app, scope=form.get("scope", ""), user_code=user_code, ends=ends)
        url = f"{authority}/common/oauth2/deviceauth"
        message = f"To sign in, use a web browser to open the page {url} and enter the code {user_code} to authenticate."
        found = {"user_code": user_code, "device_code": code, "verification_uri": url, "message": message}
        return answered(200, {**found, "expires_in": _DEVICE_SECONDS, "interval": self.interval})

    def _redeemed(self, app: EntraApp, form: Mapping[str, str]) -> _Permit:
        found = self._codes.pop(form.get("code", ""), None)
        if found is None or found.permit.app is not app:
            raise EntraRefused(70000, 400, "invalid_grant", "The provided value for the input parameter 'code' is not valid.")
        if found.ends <= time.time():
            raise EntraRefused(70008, 400, "invalid_grant", "The provided authorization code has expired.")
        if found.redirect != form.get("redirect_uri"):
            raise EntraRefused(500112, 400, "invalid_grant", "The reply address does not match that of the authorization code.")
        if found.challenge and found.challenge != _challenge(form.get("code_verifier", "")):
            raise EntraRefused(501481, 400, "invalid_grant", "The Code_Verifier does not match the code_challenge supplied.")
        return found.permit

    def _refreshed(self, app: EntraApp, form: Mapping[str, str]) -> _Permit:
        text = form.get("refresh_token", "")
        permit = self.refresh_tokens.get(text)
        code = self._ended.get(text, 0 if permit and permit.app is app else 70000)
        if permit is None or code:
            raise EntraRefused(code, 400, "invalid_grant", _ENDS[code])
        return permit

    def _polled(self, app: EntraApp, form: Mapping[str, str]) -> tuple[_Permit, str]:
        code = form.get("device_code", "")
        found = self._devices.get(code)
        if found is None or found.app is not app:
            raise EntraRefused(70018, 400, "bad_verification_code", "Invalid verification code.")
        if found.is_declined:
            raise EntraRefused(65004, 400, "authorization_declined", "User declined to consent to access the app.")
        if found.ends <= time.time():
            raise EntraRefused(70019, 400, "expired_token", "Verification code expired.")
        if found.permit is None:
            raise EntraRefused(70016, 400, "authorization_pending", "Authorization is pending. Continue polling.")
        del self._devices[code]
        return found.permit, found.scope


def check_client(app: EntraApp, form: Mapping[str, str]) -> bool:
    """Whether the app proves itself; public clients must not, and others must. Raises EntraRefused."""
    proves = any(form.get(name) for name in ("client_secret", "client_assertion"))
    if app.is_public and proves:
        text = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
        raise EntraRefused(700025, 401, "invalid_client", text)
    if not app.is_public and not proves:
        raise _needs_secret()
    return proves


def _needs_secret() -> EntraRefused:
    """Return the refusal of an app that does not prove itself."""
    text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    return EntraRefused(7000218, 401, "invalid_client", text)


def _without_port(url: str) -> str:
    """Return a redirect URI as it is compared with those that are registered: on this machine, any port will do (RFC 8252)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc="localhost").geturl() if parts.hostname == "localhost" else url


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
