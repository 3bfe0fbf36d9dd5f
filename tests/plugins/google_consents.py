"""The part of the stand-in for Google that persons see: the page where they consent, refresh tokens of them, and Gmail's profile."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlencode, urlsplit

ALL_MAIL = "https://mail.google.com/"
CLIENT = "1234567890-abc.apps.googleusercontent.com"
#: Status, headers and body.
Answer: TypeAlias = "tuple[int, dict[str, str], bytes]"


@dataclass
class GoogleConsents:
    """Who has consented, and what came of it."""

    #: Who is logged in in the browser; empty: whom the link hints at.
    signed_in: str = ""
    declines: bool = False
    #: What the person has ticked.
    scope: str = ALL_MAIL
    #: Whether the Gmail API is enabled in the client's project.
    has_api: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    #: The persons of refresh tokens, and of access tokens.
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    access_tokens: dict[str, str] = field(default_factory=dict)
    _codes: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def page(self, asked: dict[str, str]) -> Answer:
        """Answer where the browser goes."""
        self.asked.append(asked)
        if asked["client_id"] != CLIENT or urlsplit(asked["redirect_uri"]).hostname not in {"localhost", "127.0.0.1"}:
            return 400, {}, b"redirect_uri_mismatch"
        assert (asked["response_type"], asked["scope"], asked["access_type"]) == ("code", ALL_MAIL, "offline")
        # Else there is no refresh token for those who have consented before.
        assert asked["prompt"] == "consent"
        assert asked["code_challenge_method"] == "S256"
        told = {"error": "access_denied"}
        if not self.declines:
            code = f"4/0code~{len(self._codes)}"
            self._codes[code] = (self.signed_in or asked["login_hint"], asked["redirect_uri"], asked["code_challenge"])
            told = {"code": code, "scope": self.scope}
        return 302, {"Location": f"{asked['redirect_uri']}/?{urlencode({'state': asked['state'], **told})}"}, b""

    def redeemed(self, form: dict[str, str]) -> str:
        """Return who stands behind a code, which serves once; empty if nobody does."""
        user, redirect, challenge = self._codes.pop(form["code"], ("", "", ""))
        digest = urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        return user if (redirect, challenge) == (form["redirect_uri"], digest) else ""

    def refresh_token(self, user: str) -> str:
        """Return a new refresh token of a person."""
        text = f"1//0refresh-{len(self.refresh_tokens)}-of-a-person"
        self.refresh_tokens[text] = user
        return text

    def revoke(self) -> None:
        """Let all persons take their consents back."""
        self.refresh_tokens.clear()

    def profile(self, authorization: str) -> Answer:
        """Answer whose mailbox a token opens."""
        user = self.access_tokens.get(authorization.removeprefix("Bearer "))
        if user is None:
            return 401, {}, _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", "")
        if not self.has_api:
            return 403, {}, _error(403, "PERMISSION_DENIED", "Gmail API has not been used in project 1.", "SERVICE_DISABLED")
        return 200, {}, json.dumps({"emailAddress": user, "messagesTotal": 3, "historyId": "7"}).encode()


def _error(code: int, status: str, message: str, reason: str) -> bytes:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}}).encode()
