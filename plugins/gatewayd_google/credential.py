"""The credential ``google``: asks Google for access tokens, as a service account or with a user's refresh token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gatewayd import Credential, HttpClient, HttpPool
from gatewayd_google.answers import TokenRequest, given
from gatewayd_google.options import ALL_MAIL, GoogleOptions
from gatewayd_google.service_account import read_key, signed

if TYPE_CHECKING:
    from gatewayd import Secret, Token

__all__ = ["Google"]

_ASK = "to ask for an access token"
#: How many bytes of an answer are read.
_ANSWER = 1 << 16
_ACCESS = "https://admin.google.com/ac/apps/gmail/enduseraccess"


class Google(Credential):
    """Opens Gmail's mailboxes by access tokens, by a service account or one user's consent (OAuth 2.0)."""

    kind = "google"
    Options = GoogleOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: GoogleOptions

    def obtain(self, user: str, resource: str) -> Token:
        """See ``Credential``. Each user has tokens of its own."""
        del resource
        options = self.options
        if options.service_account is not None:
            return self._by_account(options.service_account, user)
        client, secret, refresh = options.client or "", _text(options.client_secret), _text(options.refresh_token)
        form = {"grant_type": "refresh_token", "client_id": client, "client_secret": secret, "refresh_token": refresh}
        asked = TokenRequest(
            where=self._pool().where, way="refresh token", user=user, client=client, scope=ALL_MAIL, secrets=(secret, refresh)
        )
        return self._ask(form, asked)

    def advice(self, protocol: str) -> str:
        """See ``Credential``."""
        if self.options.scope != ALL_MAIL and protocol != "IMAP":
            return f"The scope {self.options.scope} is for IMAP only: delegate {ALL_MAIL}, and leave `scope` out."
        whose = "who consented" if self.options.service_account is None else "with Gmail, by its primary address"
        return f"Check that `username` is the user {whose}, and that the organisation allows IMAP and POP for it ({_ACCESS})."

    def _by_account(self, secret: Secret, user: str) -> Token:
        account = read_key(secret)
        assertion = signed(account, secret, user=user, scope=self.options.scope, now=time.time())
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        asked = TokenRequest(
            where=self._pool().where,
            way="service account",
            user=user,
            client=account.client_id,
            scope=self.options.scope,
            account=account.client_email,
            secrets=(assertion, account.private_key),
        )
        return self._ask(form, asked)

    def _ask(self, form: dict[str, str], asked: TokenRequest) -> Token:
        answer = HttpClient(self._pool()).request(
            "POST",
            self.options.token_url,
            what=_ASK,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            # An environment variable need not be UTF-8.
            body=urlencode(form, errors="surrogateescape").encode("ascii"),
            limit=_ANSWER,
            deadline=self.options.timeout,
        )
        return given(answer, asked)

    def _pool(self) -> HttpPool:
        # No connection is kept: the next token is an hour away.
        return HttpPool(
            self.options.token_url, ca_file=self.options.ca_file, timeout=self.options.timeout, field="token_url", kept=0
        )


def _text(secret: Secret | None) -> str:
    return secret.reveal() if secret else ""
