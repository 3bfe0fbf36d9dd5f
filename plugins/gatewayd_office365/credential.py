"""The credential ``office365``: access tokens of Microsoft Entra for an app with a client secret or a certificate.

Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow"; RFC 6749 section 4.4, RFC 7521 section 4.2.
"""

from __future__ import annotations

import re
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gatewayd import Credential, Expiry, HttpClient, HttpPool, Token, TransientError
from gatewayd_office365.certificate import ends_at, read_certificate, signed
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.json_objects import json_object
from gatewayd_office365.token_faults import token_error

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Office365Credential", "token_of"]

#: The API of IMAP, POP3 and SMTP.
_OUTLOOK = "https://outlook.office365.com"
_ANSWER = 1 << 18
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: A token goes into a header field as it is. Real ones have about 2,000 characters.
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
#: Seconds that a token may last: a tenant's policy can say a day at most.
_LONGEST = 86400.0
_OK = 200
_RENEW = "make a new one, upload it for the app in the Microsoft Entra admin center, and put it where `certificate` points."

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """What proves to Microsoft Entra who the app is."""

    #: The fields of the request.
    form: Mapping[str, str] = field(repr=False)
    #: What no message may show.
    hidden: str = field(repr=False)
    #: The thumbprint of the certificate; empty for a secret.
    thumbprint: str = ""


class Office365Credential(Credential):
    """Gets access tokens of Microsoft Entra for an app with a secret or a certificate; they open every mailbox that the app may."""

    kind = "office365"
    serves_all_users = True
    Options = Office365CredentialOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: Office365CredentialOptions

    def obtain(self, user: str, resource: str) -> Token:
        """See ``Credential``: one POST. The scope is that of the resource; without one, that of IMAP, POP3 and SMTP."""
        del user
        options = self.options
        url = f"{options.authority}/{options.tenant}/oauth2/v2.0/token"
        proof = self._proof(url)
        form = {
            "grant_type": "client_credentials",
            "client_id": options.client,
            "scope": f"{resource or _OUTLOOK}/.default",
            **proof.form,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "client-request-id": str(uuid.uuid4()),
        }
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
            raise token_error(answer, said, pool.where, proof.hidden, thumbprint=proof.thumbprint)
        return token_of(said, pool.where)

    def expiry(self) -> Expiry | None:
        """See ``Credential``: a certificate says itself when it ends."""
        certificate = self.options.certificate
        if certificate is None:
            return super().expiry()
        ends = ends_at(certificate)
        return None if ends is None else Expiry(day=ends.date(), what="certificate", advice=_RENEW)

    def _proof(self, endpoint: str) -> _Proof:
        options = self.options
        if options.certificate is None:
            secret = options.secret.reveal() if options.secret else ""
            return _Proof(form={"client_secret": secret}, hidden=secret)
        certificate = read_certificate(options.certificate, datetime.now(UTC))
        assertion = signed(certificate, client=options.client, endpoint=endpoint, now=time.time())
        form = {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return _Proof(form=form, hidden=assertion, thumbprint=certificate.thumbprint)

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
