"""The token endpoint of Microsoft's identity platform: for apps (RFC 6749 section 4.4) and for persons, with Microsoft's codes."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from gatewayd.testing.graph.assertions import AssertionRefused, verify_assertion
from gatewayd.testing.graph.consents import PERSONAL_GRANTS, Consents, check_client
from gatewayd.testing.graph.entra_refusals import EntraRefused
from gatewayd.testing.graph.odata import ODataError, answered
from gatewayd.testing.graph.scopes import GRAPH, OUTLOOK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.testing.graph.apps import EntraApp, EntraTenant
    from gatewayd.testing.graph.mailboxes import ExchangeMailbox
    from gatewayd.testing.graph.odata import Json
    from gatewayd.testing.graph.wire import ServedRequest, ServedResponse

__all__ = ["IssuedToken", "LoginService"]

#: The size of a token with the roles of an ordinary app, in characters.
_TOKEN = 2_000
_SCOPE = "/.default"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TENANT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """What the stand-in knows of a token."""

    app: EntraApp
    #: The address for which it was issued, such as Graph's.
    audience: str
    roles: frozenset[str]
    #: When it ends, in seconds since 1970.
    ends: float
    #: The id of the mailbox of the person who lets the app have it; empty for a token of the app's own.
    person: str = ""


class LoginService:
    """Issues tokens, and knows those that it has issued."""

    def __init__(self, tenants: Mapping[str, EntraTenant], mailboxes: Mapping[str, ExchangeMailbox]) -> None:
        """``tenants`` are by their ids, ``mailboxes`` by their ids and addresses."""
        self._tenants = tenants
        #: The addresses that mean Graph, without a path.
        self.audiences = {GRAPH}
        #: How long a token lasts, in seconds. Microsoft's own last 60 to 90 minutes.
        self.lifetime = 3599
        self._issued: dict[str, IssuedToken] = {}
        self.consents = Consents(mailboxes, self.audiences)

    @property
    def given(self) -> list[str]:
        """All tokens that were given so far, refresh tokens among them, to be looked for where none may be."""
        return [*self._issued, *self.consents.refresh_tokens]

    def expire(self) -> None:
        """Let all tokens that were issued so far end now."""
        self._issued = {token: _ended(issued) for token, issued in self._issued.items()}

    def owner(self, authorization: str) -> IssuedToken:
        """Return the token of a header ``Authorization``; raise ODataError if it is not valid for Graph now."""
        scheme, _, token = authorization.partition(" ")
        issued = self._issued.get(token.strip())
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("Access token is empty.")
        if issued is None:
            raise _unauthorized("IDX14100: JWT is not well formed, there are no dots (.).")
        if issued.ends <= time.time():
            raise _unauthorized("Lifetime validation failed, the token is expired.")
        if issued.audience not in self.audiences:
            raise _unauthorized("Access token validation failure. Invalid audience.")
        return issued

    def discovery(self, tenant: str, authority: str) -> ServedResponse:
        """Answer with the tenant's endpoints (OpenID Connect Discovery 1.0 section 4)."""
        try:
            base = f"{authority}/{self._tenant(tenant).id}"
        except EntraRefused as refused:
            return EntraRefused(refused.code, 400, "invalid_tenant", str(refused)).answer()
        return answered(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
        )

    def answer(self, tenant: str, request: ServedRequest, endpoint: str) -> ServedResponse:
        """Answer a request for a token, which came to the address ``endpoint``."""
        form = request_form(request)
        try:
            app = self._app(self._tenant(tenant), form.get("client_id", ""))
            if form.get("grant_type") in PERSONAL_GRANTS:
                told = self._for_person(app, form, endpoint)
            else:
                told = {"access_token": self._for_app(app, form, endpoint)}
        except EntraRefused as refused:
            return refused.answer()
        lasts = {"expires_in": self.lifetime, "ext_expires_in": self.lifetime}
        return answered(200, {"token_type": "Bearer", **lasts, **told}, Cache_Control="no-store, no-cache", Pragma="no-cache")

    def page(self, tenant: str, asked: Mapping[str, str]) -> ServedResponse:
        """Answer the browser of a person on the page where it consents."""
        try:
            return self.consents.page(self._app(self._tenant(tenant), asked.get("client_id", "")), asked)
        except EntraRefused as refused:
            return refused.answer()

    def device(self, tenant: str, request: ServedRequest, authority: str) -> ServedResponse:
        """Answer a request for a device code."""
        form = request_form(request)
        try:
            return self.consents.device(self._app(self._tenant(tenant), form.get("client_id", "")), form, authority)
        except EntraRefused as refused:
            return refused.answer()

    def _tenant(self, name: str) -> EntraTenant:
        found = self._tenants.get(name.lower()) or next((t for t in self._tenants.values() if t.domain == name.lower()), None)
        if not _TENANT.fullmatch(name):
            text = f"Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain."
            raise EntraRefused(900023, 400, "invalid_request", text)
        if found is None:
            text = f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and cloud."
            raise EntraRefused(90002, 400, "invalid_request", text)
        return found

    def _app(self, tenant: EntraTenant, client: str) -> EntraApp:
        app = tenant.apps.get(client.lower())
        if app is None:
            text = f"Application with identifier '{client}' was not found in the directory '{tenant.domain}'."
            raise EntraRefused(700016, 400, "unauthorized_client", text)
        if not app.has_principal:
            text = f"The client application {client} is missing service principal in the tenant {tenant.id}."
            raise EntraRefused(7000229, 400, "unauthorized_client", text)
        return app

    def _for_app(self, app: EntraApp, form: Mapping[str, str], endpoint: str) -> str:
        _check_credential(app, form, endpoint)
        if form.get("grant_type") != "client_credentials":
            text = f"The app requested an unsupported grant type '{form.get('grant_type', '')}'."
            raise EntraRefused(70003, 400, "unsupported_grant_type", text)
        scope = form.get("scope", "")
        if not scope.endswith(_SCOPE):
            text = f"The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            raise EntraRefused(70011, 400, "invalid_scope", text)
        audience = scope.removesuffix(_SCOPE)
        if audience not in {*self.audiences, OUTLOOK}:
            text = f"The resource principal named {audience} was not found in the tenant named {app.tenant}."
            raise EntraRefused(500011, 400, "invalid_resource", text)
        if app.is_blocked:
            raise EntraRefused(53003, 400, "access_denied", "Access has been blocked by Conditional Access policies.")
        return self._issue(IssuedToken(app=app, audience=audience, roles=frozenset(app.roles), ends=time.time() + self.lifetime))

    def _for_person(self, app: EntraApp, form: Mapping[str, str], endpoint: str) -> Json:
        if check_client(app, form):
            _check_credential(app, form, endpoint)
        permit, scopes = self.consents.granted(app, form)
        roles, ends = frozenset(one.permission for one in scopes), time.time() + self.lifetime
        issued = IssuedToken(app=app, audience=min(scopes).api, roles=roles, ends=ends, person=permit.person.id)
        told = {"access_token": self._issue(issued), "scope": " ".join(f"{one.api}/{one.permission}" for one in sorted(scopes))}
        return told | ({"refresh_token": self.consents.new_refresh_token(permit)} if permit.is_lasting else {})

    def _issue(self, issued: IssuedToken) -> str:
        token = _written(issued)
        self._issued[token] = issued
        return token


def request_form(request: ServedRequest) -> dict[str, str]:
    """Return the fields of a form; the client's id and secret may also come by HTTP Basic (RFC 6749 section 2.3.1)."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    scheme, _, pair = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return form
        form |= {"client_id": unquote(client), "client_secret": unquote(secret)}
    return form


def _check_credential(app: EntraApp, form: Mapping[str, str], endpoint: str) -> None:
    if form.get("client_assertion_type") == _ASSERTION:
        try:
            verify_assertion(form.get("client_assertion", ""), app, endpoint)
        except AssertionRefused as refused:
            raise EntraRefused(refused.code, 401, "invalid_client", str(refused)) from None
        return
    secret = form.get("client_secret", "")
    if not secret:
        text = "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
        raise EntraRefused(7000216, 401, "invalid_client", text)
    if not app.secret or not secrets.compare_digest(secret.encode(), app.secret.encode()):
        text = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the"
            f" client secret ID, for a secret added to app '{app.client}'."
        )
        raise EntraRefused(7000215, 401, "invalid_client", text)
    if app.secret_ends <= time.time():
        text = f"The provided client secret keys for app '{app.client}' are expired."
        raise EntraRefused(7000222, 401, "invalid_client", text)


def _written(issued: IssuedToken) -> str:
    """Return a token that looks like Microsoft's: a JWT of about 2,000 characters. Nobody can check its signature."""
    now = int(time.time())
    claims: dict[str, object] = {
        "aud": issued.audience,
        "iss": f"https://sts.windows.net/{issued.app.tenant}/",
        "iat": now,
        "nbf": now,
        "exp": int(issued.ends),
        "appid": issued.app.client,
        "appidacr": "1",
        "tid": issued.app.tenant,
        "ver": "1.0",
        # Without any permission, the claim is missing.
        **({"roles": sorted(issued.roles)} if issued.roles and not issued.person else {}),
        **({"scp": " ".join(sorted(issued.roles)), "oid": issued.person} if issued.person else {}),
    }
    head = _part(json.dumps({"typ": "JWT", "alg": "RS256", "kid": secrets.token_urlsafe(20)}).encode())
    signature = secrets.token_urlsafe(256)
    missing = _TOKEN - len(head) - len(signature) - len(_part(json.dumps(claims).encode()))
    claims["xms_ftd"] = secrets.token_urlsafe(max(0, missing * 9 // 16 - 15))
    return f"{head}.{_part(json.dumps(claims).encode())}.{signature}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _ended(issued: IssuedToken) -> IssuedToken:
    return replace(issued, ends=0)


def _unauthorized(text: str) -> ODataError:
    return ODataError(401, "InvalidAuthenticationToken", text, WWW_Authenticate='Bearer realm="", error="invalid_token"')
