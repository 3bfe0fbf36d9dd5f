"""The credential ``office365``: access tokens of Microsoft Entra for an app with a client secret.

Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow"; RFC 6749 section 4.4.
"""

from __future__ import annotations

import re
import uuid
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gatewayd import Credential, HttpClient, HttpPool, Token, TransientError
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.json_objects import json_object
from gatewayd_office365.token_faults import token_error

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Office365Credential", "token_of"]

#: The API of IMAP, POP3 and SMTP.
_OUTLOOK = "https://outlook.office365.com"
_ANSWER = 1 << 18
#: A token goes into a header field as it is. Real ones have about 2,000 characters.
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
#: Seconds that a token may last: a tenant's policy can say a day at most.
_LONGEST = 86400.0
_OK = 200

#: What an administrator does in Exchange for each protocol: the permission of the app, the right, and what switches it on.
_ADVICE = {
    "IMAP": (
        "IMAP.AccessAsApp",
        "Add-MailboxPermission -Identity MAILBOX -User ID -AccessRights FullAccess",
        "-ImapEnabled $true",
    ),
    "POP3": ("POP.AccessAsApp", "Add-MailboxPermission -Identity MAILBOX -User ID -AccessRights FullAccess", "-PopEnabled $true"),
    "SMTP": (
        "SMTP.SendAsApp",
        "Add-RecipientPermission -Identity MAILBOX -Trustee ID -AccessRights SendAs",
        "-SmtpClientAuthenticationDisabled $false",
    ),
}


class Office365Credential(Credential):
    """Gets access tokens of Microsoft Entra for an app with a client secret; they open every mailbox that the app may open."""

    kind = "office365"
    serves_all_users = True
    Options = Office365CredentialOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: Office365CredentialOptions

    def obtain(self, user: str, resource: str) -> Token:
        """See ``Credential``: one POST. The scope is that of the resource; without one, that of IMAP, POP3 and SMTP."""
        del user
        options = self.options
        secret = options.secret.reveal()
        form = {
            "grant_type": "client_credentials",
            "client_id": options.client,
            "client_secret": secret,
            "scope": f"{resource or _OUTLOOK}/.default",
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "client-request-id": str(uuid.uuid4()),
        }
        url = f"{options.authority}/{options.tenant}/oauth2/v2.0/token"
        pool = HttpPool(options.authority, ca_file=options.ca_file, timeout=options.timeout, field="authority", kept=0)
        with closing(pool):
            answer = HttpClient(pool).request(
                "POST",
                url,
                what="the request for an access token",
                headers=headers,
                body=urlencode(form).encode(),
                limit=_ANSWER,
                repeat=True,
            )
        said = json_object(answer.body) or {}
        if answer.status != _OK:
            raise token_error(answer, said, pool.where, secret)
        return token_of(said, pool.where)

    def advice(self, protocol: str) -> str:
        """See ``Credential``: what to do in Exchange, where a mailbox refuses tokens that Microsoft Entra gave."""
        permission, right, switch = _ADVICE.get(protocol, _ADVICE["IMAP"])
        return (
            f"Give the app the permission {permission} of Office 365 Exchange Online, with admin consent. Then, in Exchange Online "
            f"PowerShell, with ID = the Object ID of the enterprise application (not that of the app registration) and MAILBOX = "
            f"`username`: New-ServicePrincipal -AppId {self.options.client} -ObjectId ID; {right}; "
            f"Set-CASMailbox -Identity MAILBOX {switch}. Exchange takes up to two hours for each change."
        )


def token_of(said: Mapping[str, object], where: str) -> Token:
    """Return the token that an answer has. Raises TransientError, which names ``where``, if it has none."""
    text, lasts = said.get("access_token"), said.get("expires_in")
    if isinstance(lasts, str) and lasts.isascii() and lasts.isdigit():
        # Some older answers give the number as a text.
        lasts = int(lasts[:9])
    if not isinstance(text, str) or not _TOKEN.fullmatch(text) or not isinstance(lasts, int | float) or not lasts > 0:
        raise TransientError(
            f"{where}: the answer has no access token", advice="Check that `authority` is Microsoft's log-in service."
        )
    return Token(text, lasts=float(min(lasts, _LONGEST)))
