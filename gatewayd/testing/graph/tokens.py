"""The token endpoint of Microsoft's identity platform: client credentials (RFC 6749 section 4.4), with Microsoft's error codes."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from gatewayd.testing.graph.assertions import AssertionRefused, verify_assertion
from gatewayd.testing.graph.odata import ODataError, answered, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.testing.graph.apps import EntraApp, EntraTenant
    from gatewayd.testing.graph.wire import ServedRequest, ServedResponse

__all__ = ["IssuedToken", "LoginService"]

#: The size of a token with the roles of an ordinary app, in characters.
_TOKEN = 2_000
_SCOPE = "/.default"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TENANT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[\w-]+(?:\.[\w-]+)+")
#: Resources that a tenant knows beside Graph.
_OTHER_RESOURCES = ("https://outlook.office365.com",)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """What the stand-in knows of a token."""

    app: EntraApp
    #: The address for which it was issued, such as Graph's.
    audience: str
    roles: frozenset[str]
    #: When it ends, in seconds since 1970.
    ends: float


class _TokenRefused(Exception):
    """A refused request for a token: an AADSTS code with its HTTP status, error and text."""

    def __init__(self, code: int, status: int, error: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.error = error


class LoginService:
    """Issues tokens, and knows those that it has issued."""

    def __init__(self, tenants: Mapping[str, EntraTenant]) -> None:
        """``tenants`` are by their ids."""
        self._tenants = tenants
        #: The addresses that mean Graph, without a path.
        self.audiences = {"https://graph.microsoft.com"}
        #: How long a token lasts, in seconds. Microsoft's own last 60 to 90 minutes.
        self.lifetime = 3599
        self._issued: dict[str, IssuedToken] = {}

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
        except _TokenRefused as refused:
            return _refusal(400, "invalid_tenant", refused.code, str(refused))
        return answered(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
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
            _check_credential(app, form, endpoint)
            token, issued = self._issue(app, form)
        except _TokenRefused as refused:
            return _refusal(refused.status, refused.error, refused.code, str(refused))
        self._issued[token] = issued
        lasts = {"expires_in": self.lifetime, "ext_expires_in": self.lifetime}
        return answered(
            200, {"token_type": "Bearer", **lasts, "access_token": token}, Cache_Control="no-store, no-cache", Pragma="no-cache"
        )

    def _tenant(self, name: str) -> EntraTenant:
        found = self._tenants.get(name.lower()) or next((t for t in self._tenants.values() if t.domain == name.lower()), None)
        if not _TENANT.fullmatch(name):
            text = f"Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain."
            raise _TokenRefused(900023, 400, "invalid_request", text)
        if found is None:
            text = f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and cloud."
            raise _TokenRefused(90002, 400, "invalid_request", text)
        return found

    def _app(self, tenant: EntraTenant, client: str) -> EntraApp:
        app = tenant.apps.get(client.lower())
        if app is None:
            text = f"Application with identifier '{client}' was not found in the directory '{tenant.domain}'."
            raise _TokenRefused(700016, 400, "unauthorized_client", text)
        if not app.has_principal:
            text = f"The client application {client} is missing service principal in the tenant {tenant.id}."
            raise _TokenRefused(7000229, 400, "unauthorized_client", text)
        return app

    def _issue(self, app: EntraApp, form: Mapping[str, str]) -> tuple[str, IssuedToken]:
        if form.get("grant_type") != "client_credentials":
            text = f"The app requested an unsupported grant type '{form.get('grant_type', '')}'."
            raise _TokenRefused(70003, 400, "unsupported_grant_type", text)
        scope = form.get("scope", "")
        if not scope.endswith(_SCOPE):
            text = f"The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            raise _TokenRefused(70011, 400, "invalid_scope", text)
        audience = scope.removesuffix(_SCOPE)
        if audience not in {*self.audiences, *_OTHER_RESOURCES}:
            text = f"The resource principal named {audience} was not found in the tenant named {app.tenant}."
            raise _TokenRefused(500011, 400, "invalid_resource", text)
        if app.is_blocked:
            raise _TokenRefused(53003, 400, "access_denied", "Access has been blocked by Conditional Access policies.")
        issued = IssuedToken(app=app, audience=audience, roles=frozenset(app.roles), ends=time.time() + self.lifetime)
        return _written(issued), issued


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
            text = f"The certificate with identifier used to sign the client assertion is not registered or not fit: {refused}."
            raise _TokenRefused(700027, 401, "invalid_client", text) from None
        return
    secret = form.get("client_secret", "")
    if not secret:
        text = "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
        raise _TokenRefused(7000216, 401, "invalid_client", text)
    if not app.secret or not secrets.compare_digest(secret.encode(), app.secret.encode()):
        text = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the"
            f" client secret ID, for a secret added to app '{app.client}'."
        )
        raise _TokenRefused(7000215, 401, "invalid_client", text)
    if app.secret_ends <= time.time():
        text = f"The provided client secret keys for app '{app.client}' are expired."
        raise _TokenRefused(7000222, 401, "invalid_client", text)


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
        **({"roles": sorted(issued.roles)} if issued.roles else {}),
    }
    head = _part(json.dumps({"typ": "JWT", "alg": "RS256", "kid": secrets.token_urlsafe(20)}).encode())
    signature = secrets.token_urlsafe(256)
    missing = _TOKEN - len(head) - len(signature) - len(_part(json.dumps(claims).encode()))
    claims["xms_ftd"] = secrets.token_urlsafe(max(0, missing * 9 // 16 - 15))
    return f"{head}.{_part(json.dumps(claims).encode())}.{signature}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _ended(issued: IssuedToken) -> IssuedToken:
    return IssuedToken(app=issued.app, audience=issued.audience, roles=issued.roles, ends=0)


def _unauthorized(text: str) -> ODataError:
    return ODataError(401, "InvalidAuthenticationToken", text, WWW_Authenticate='Bearer realm="", error="invalid_token"')


def _refusal(status: int, error: str, code: int, text: str) -> ServedResponse:
    trace, correlation, stamp = new_id(), new_id(), time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return answered(
        status,
        {
            "error": error,
            "error_description": f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={code}",
        },
    )
