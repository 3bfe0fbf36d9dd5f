"""The consent of a person to our opening its Gmail mailbox: the link to Google's page, and tokens by it.

Source: "Using OAuth 2.0 to Access Google APIs: for mobile and desktop apps"; RFC 6749 sections 4.1 and 6, RFC 7636; "Gmail API:
users.getProfile". Google gives no device codes for mail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from gatewayd import Consent, HttpClient, HttpPool
from gatewayd_google.answers import TokenRequest, address_of, granted, refused
from gatewayd_google.options import ALL_MAIL
from gatewayd_google.token_endpoint import ask, pool_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import AuthError, ConsentRequest, Grant
    from gatewayd_google.options import GoogleOptions
    from gatewayd_google.refusals import Way

__all__ = ["GoogleConsent"]

_PAGE = "https://accounts.google.com/o/oauth2/v2/auth"
_PROFILE = "/gmail/v1/users/me/profile"
#: How many bytes of a profile are read.
_ANSWER = 1 << 16


class GoogleConsent(Consent):
    """Asks Google for persons' consents, and for tokens that open the mailbox of the one who consented."""

    def __init__(self, options: GoogleOptions) -> None:
        """Keep ``options``."""
        self._options = options

    @property
    def identity(self) -> Mapping[str, str]:
        """See ``Consent``: the client."""
        return {"authority": self._options.token_url, "client": self._options.client or ""}

    def link(self, request: ConsentRequest) -> str:
        """See ``Consent``. Only with ``prompt=consent`` Google gives a refresh token to who has consented before."""
        asks = {
            "client_id": self._options.client or "",
            "response_type": "code",
            "redirect_uri": request.redirect,
            "scope": ALL_MAIL,
            "access_type": "offline",
            "prompt": "consent",
            "state": request.state,
            "code_challenge": request.challenge,
            "code_challenge_method": "S256",
            "login_hint": request.user,
        }
        return f"{_PAGE}?{urlencode(asks, quote_via=quote)}"

    def refused(self, request: ConsentRequest, error: str, words: str) -> AuthError:
        """See ``Consent``."""
        return refused(self._asked("code", request.user, request.state, request.verifier), error, words)

    def redeem(self, request: ConsentRequest, code: str) -> Grant:
        """See ``Consent``."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect,
            "code_verifier": request.verifier,
        }
        return self._granted(form, self._asked("code", request.user, code, request.verifier))

    def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
        """See ``Consent``. Google gives no other refresh token: this one stays."""
        del resource
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._granted(form, self._asked("consent", user, refresh_token))

    def names(self, grant: Grant) -> Sequence[str]:
        """See ``Consent``: the mailbox's primary address, the only one by which it can be opened."""
        options = self._options
        pool = HttpPool(options.gmail, ca_file=options.ca_file, timeout=options.timeout, field="gmail", kept=0)
        answer = HttpClient(pool).request(
            "GET",
            f"{options.gmail}{_PROFILE}",
            what="to ask whose mailbox it is",
            headers={"Authorization": f"Bearer {grant.token.text}", "Accept": "application/json"},
            limit=_ANSWER,
            deadline=options.timeout,
        )
        return [address_of(answer, self._asked("code", "the user", grant.token.text, where=pool.where))]

    def _granted(self, form: Mapping[str, str], asked: TokenRequest) -> Grant:
        secret = text_of(self._options.client_secret)
        answer = ask(self._options, {**form, "client_id": asked.client, "client_secret": secret})
        return granted(answer, replace(asked, secrets=(*asked.secrets, secret)))

    def _asked(self, way: Way, user: str, *secrets: str, where: str = "") -> TokenRequest:
        where = where or pool_of(self._options).where
        return TokenRequest(where=where, way=way, user=user, client=self._options.client or "", scope=ALL_MAIL, secrets=secrets)
