"""The credential ``office365``: access tokens of Microsoft Entra for an app with a client secret or a certificate.

Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow"; RFC 6749 section 4.4, RFC 7521 section 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Credential, Expiry
from gatewayd_office365.access_tokens import token_of
from gatewayd_office365.certificate import ends_at
from gatewayd_office365.consent import Office365Consent
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.token_requests import OUTLOOK, asked

if TYPE_CHECKING:
    from gatewayd import Consent, Token

__all__ = ["Office365Credential"]

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


class Office365Credential(Credential):
    """Gets access tokens of Microsoft Entra for an app with a secret or a certificate; they open every mailbox that the app may.

    With ``consent`` they open the mailbox of each person who has consented.
    """

    kind = "office365"
    serves_all_users = True
    Options = Office365CredentialOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: Office365CredentialOptions

    def obtain(self, user: str, resource: str) -> Token:
        """See ``Credential``: one POST. The scope is that of the resource; without one, that of IMAP, POP3 and SMTP."""
        del user
        form = {"grant_type": "client_credentials", "scope": f"{resource or OUTLOOK}/.default"}
        answer = asked(self.options, form).checked()
        return token_of(answer.said, answer.where)

    def consent(self) -> Consent | None:
        """See ``Credential``."""
        return Office365Consent(self.options) if self.options.consent else None

    def expiry(self) -> Expiry | None:
        """See ``Credential``: a certificate says itself when it ends."""
        certificate = self.options.certificate
        if certificate is None:
            return super().expiry()
        ends = ends_at(certificate)
        return None if ends is None else Expiry(day=ends.date(), what="certificate", advice=_RENEW)

    def advice(self, protocol: str) -> str:
        """See ``Credential``: what to do in Exchange, where a mailbox refuses tokens that Microsoft Entra gave."""
        permission, right, switch = _ADVICE.get(protocol, _ADVICE["IMAP"])
        if self.options.consent:
            return (
                f"Check that `username` is the mailbox of the person who consented, and that {protocol} is on for it, in Exchange "
                f"Online PowerShell: Set-CASMailbox -Identity MAILBOX {switch}. Exchange takes up to two hours for that."
            )
        return (
            f"Give the app the permission {permission} of Office 365 Exchange Online, with admin consent. Then, in Exchange Online "
            f"PowerShell, with ID = the Object ID of the enterprise application (not that of the app registration) and MAILBOX = "
            f"`username`: New-ServicePrincipal -AppId {self.options.client} -ObjectId ID; {right}; "
            f"Set-CASMailbox -Identity MAILBOX {switch}. Exchange takes up to two hours for each change."
        )
