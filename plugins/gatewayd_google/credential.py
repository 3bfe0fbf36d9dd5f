"""The credential ``google``: asks Google for access tokens, as a service account, or by what users consented to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd import Credential
from gatewayd_google.answers import TokenRequest, given
from gatewayd_google.consent import GoogleConsent
from gatewayd_google.options import ALL_MAIL, GoogleOptions
from gatewayd_google.service_account import read_key, signed
from gatewayd_google.token_endpoint import ask, pool_of, text_of

if TYPE_CHECKING:
    from gatewayd import Consent, Secret, Token

__all__ = ["Google"]

_ACCESS = "https://admin.google.com/ac/apps/gmail/enduseraccess"


class Google(Credential):
    """Opens Gmail's mailboxes by access tokens, by a service account or by the consent of users (OAuth 2.0)."""

    kind = "google"
    Options = GoogleOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: GoogleOptions

    def obtain(self, user: str, resource: str) -> Token:
        """See ``Credential``. Each user has tokens of its own."""
        del resource
        options = self.options
        if options.service_account is not None:
            return self._by_account(options.service_account, user)
        client, secret, refresh = options.client or "", text_of(options.client_secret), text_of(options.refresh_token)
        form = {"grant_type": "refresh_token", "client_id": client, "client_secret": secret, "refresh_token": refresh}
        asked = TokenRequest(
            where=pool_of(self.options).where,
            way="refresh token",
            user=user,
            client=client,
            scope=ALL_MAIL,
            secrets=(secret, refresh),
        )
        return given(ask(self.options, form), asked)

    def consent(self) -> Consent | None:
        """See ``Credential``."""
        return GoogleConsent(self.options) if self.options.consent else None

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
            where=pool_of(self.options).where,
            way="service account",
            user=user,
            client=account.client_id,
            scope=self.options.scope,
            account=account.client_email,
            secrets=(assertion, account.private_key),
        )
        return given(ask(self.options, form), asked)
