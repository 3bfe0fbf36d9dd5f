"""A stand-in for Google's token endpoint: it checks what it is asked as Google does, and refuses in Google's words."""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatewayd import Secret
from gatewayd_google.credential import Google
from gatewayd_google.options import GoogleOptions
from tests.plugins.google_consents import ALL_MAIL, CLIENT, GoogleConsents
from tests.plugins.webhook_site import tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER = "sales@example.com"
ACCOUNT = "gatewayd@project.iam.gserviceaccount.com"
ACCOUNT_ID = "104857600123456789012"
CLIENT_SECRET = "GOCSPX-secret~of+the.client"
REFRESH_TOKEN = "1//0refresh-token-of-the-user"
#: What a user's consent gives, and where the browser ends then.
CODE, REDIRECT = "4/0code", "http://127.0.0.1:1"
AUDIENCE = "https://oauth2.googleapis.com/token"
#: How many seconds off an assertion's time may be.
_SLACK = 300


@cache
def private_key(number: int) -> rsa.RSAPrivateKey:
    """One of several keys."""
    del number
    return rsa.generate_private_key(65537, 2048)


def pem(number: int = 0) -> str:
    return private_key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(**changes: object) -> dict[str, object]:
    """What the console gives for a service account."""
    found: dict[str, object] = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": pem(),
        "client_email": ACCOUNT,
        "client_id": ACCOUNT_ID,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": AUDIENCE,
        "universe_domain": "googleapis.com",
    }
    return found | changes


@dataclass
class GoogleSite:
    """What Google knows, and what it was asked."""

    url: str
    ca_file: Path
    users: set[str] = field(default_factory=lambda: {USER})
    #: The scopes that the service account is delegated for.
    delegated: set[str] = field(default_factory=lambda: {ALL_MAIL})
    #: How many seconds its clock is ahead of ours.
    ahead: float = 0.0
    #: How many seconds a token lasts.
    lasts: int = 3599
    forms: list[dict[str, str]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    #: Answers as they are, in place of its own: status, headers, body.
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    #: A field of the form that it repeats in a refusal, and where there.
    repeats: tuple[str, str] | None = None
    #: Makes the token of a user; by default none that a mail server would take.
    mint: Callable[[str], str] | None = None
    given: list[str] = field(default_factory=list)
    consents: GoogleConsents = field(default_factory=GoogleConsents)

    @property
    def base(self) -> str:
        """The address in place of all of Google's."""
        return self.url.removesuffix("/token")

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.forms.append(dict(form))
        if self.answers:
            return self.answers.pop(0)
        if self.repeats:
            name, place = self.repeats
            return 400, {}, json.dumps({"error": "invalid_grant", place: form[name]}).encode()
        flows = {"refresh_token": self._refresh, "authorization_code": self._code}
        wrong = flows.get(form["grant_type"], self._assertion)(form)
        if wrong:
            status, error, words = wrong
            return status, {}, json.dumps({"error": error, "error_description": words}).encode()
        return 200, {}, json.dumps(self._told(form)).encode()

    def _told(self, form: dict[str, str]) -> dict[str, object]:
        person, number = form.get("person", ""), len(self.given) + 1
        user = person or (self.claims[-1]["sub"] if self.claims else USER)
        self.given.append(self.mint(user) if self.mint else f"ya29.token-{number}")
        body: dict[str, object] = {"access_token": self.given[-1], "expires_in": self.lasts, "token_type": "Bearer"}
        self.consents.access_tokens[self.given[-1]] = user
        body["scope"] = self.consents.scope if person else ALL_MAIL
        if form["grant_type"] == "authorization_code":
            body["refresh_token"] = self.consents.refresh_token(person) if person else REFRESH_TOKEN
        return body

    def _assertion(self, form: dict[str, str]) -> tuple[int, str, str] | None:  # noqa: PLR0911  one line for each refusal
        text, _, signature = form["assertion"].rpartition(".")
        head, claims = (json.loads(_decoded(part)) for part in text.split("."))
        self.claims.append(claims)
        assert head == {"alg": "RS256", "typ": "JWT", "kid": key_file()["private_key_id"]}
        now = time.time() + self.ahead
        if abs(now - claims["iat"]) > _SLACK or not 0 < claims["exp"] - claims["iat"] <= 3600:
            words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            return 400, "invalid_grant", words
        try:
            private_key(0).public_key().verify(_decoded(signature), text.encode(), padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            return 400, "invalid_grant", "Invalid JWT Signature."
        if claims["iss"] != ACCOUNT:
            return 400, "invalid_grant", "Invalid grant: account not found"
        if claims["aud"] != AUDIENCE:
            return 400, "invalid_grant", "Invalid JWT: wrong audience"
        if claims["sub"] not in self.users:
            return 400, "invalid_grant", "Invalid email or User ID"
        if claims["scope"] not in self.delegated:
            return 401, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method."
        return None

    def _refresh(self, form: dict[str, str]) -> tuple[int, str, str] | None:
        if (form["client_id"], form["client_secret"]) != (CLIENT, CLIENT_SECRET):
            return 401, "invalid_client", "Unauthorized"
        form["person"] = self.consents.refresh_tokens.get(form["refresh_token"], "")
        if form["refresh_token"].endswith("-of-a-person") and not form["person"]:
            return 400, "invalid_grant", "Token has been expired or revoked."
        if form["refresh_token"] != REFRESH_TOKEN and not form["person"]:
            return 400, "invalid_grant", "Bad Request"
        return None

    def _code(self, form: dict[str, str]) -> tuple[int, str, str] | None:
        if (form["client_id"], form["client_secret"]) != (CLIENT, CLIENT_SECRET):
            return 401, "invalid_client", "Unauthorized"
        form["person"] = self.consents.redeemed(form)
        is_right = form["person"] or (form["code"], form["redirect_uri"]) == (CODE, REDIRECT)
        return None if is_right else (400, "invalid_grant", "Bad Request")


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@contextmanager
def google(tmp_path: Path) -> Iterator[GoogleSite]:
    """Run the stand-in."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), strict_parsing=True)
            self.send(*site.answer({name: value for name, (value,) in form.items()}))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/gmail/v1/users/me/profile":
                self.send(*site.consents.profile(self.headers["Authorization"]))
            else:
                asked = parse_qs(parts.query, strict_parsing=True)
                self.send(*site.consents.page({name: value for name, (value,) in asked.items()}))

        def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = tls_context(tmp_path).wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        site = GoogleSite(f"https://localhost:{server.server_address[1]}/token", tmp_path / "ca.pem")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def secret(folder: Path, name: str, text: str) -> Secret:
    (folder / name).write_text(text)
    return Secret("file", str(folder / name))


def by_account(site: GoogleSite, key: object = None, **fields: object) -> Google:
    """The credential with a service account."""
    folder = site.ca_file.parent
    text = key if isinstance(key, str) else json.dumps(key or key_file())
    given = {"service_account": secret(folder, "sales.json", text), "token_url": site.url, "ca_file": site.ca_file}
    return Google(GoogleOptions.model_validate(given | fields))


def by_consent(site: GoogleSite, **fields: object) -> Google:
    """The credential with a refresh token."""
    folder = site.ca_file.parent
    given: dict[str, object] = {
        "client": CLIENT,
        "client_secret": secret(folder, "client", CLIENT_SECRET),
        "refresh_token": secret(folder, "refresh", REFRESH_TOKEN),
        "token_url": site.url,
        "ca_file": site.ca_file,
    }
    return Google(GoogleOptions.model_validate(given | fields))
