"""The YAML fields of the credential ``office365``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gatewayd import ConfigPath, Credential, Day, Duration, HttpUrl, Secret

if TYPE_CHECKING:
    from datetime import date
    from typing import Self

__all__ = ["GUID", "Client", "Office365CredentialOptions", "SecureUrl", "Tenant", "refuse_two_proofs"]

GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
#: A domain with at least one dot.
_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


def _tenant(text: str) -> str:
    if not (GUID.fullmatch(text) or _DOMAIN.fullmatch(text)):
        raise ValueError("expected the Directory (tenant) ID, or one of the tenant's domains such as example.com")
    return text


def _client(text: str) -> str:
    if not GUID.fullmatch(text):
        raise ValueError("expected the Application (client) ID, such as 11111111-2222-3333-4444-555555555555")
    return text


def _secure(url: str) -> str:
    if urlsplit(url).scheme != "https" or urlsplit(url).query:
        raise ValueError("expected a URL such as https://graph.microsoft.com/v1.0, with https and without a query")
    return url.rstrip("/")


Tenant = Annotated[str, AfterValidator(_tenant)]
Client = Annotated[str, AfterValidator(_client)]
SecureUrl = Annotated[HttpUrl, AfterValidator(_secure)]


def refuse_two_proofs(secret: Secret | None, certificate: Secret | None, secret_expires: date | None) -> None:
    """Raise ValueError where fields of a secret stand beside those of a certificate."""
    if certificate is None:
        return
    if secret is not None:
        raise ValueError("expected either 'secret' or 'certificate', found both")
    if secret_expires is not None:
        raise ValueError("secret_expires: it goes with 'secret'; a certificate says itself when it ends")


class Office365CredentialOptions(Credential.Options, use_attribute_docstrings=False):
    """An app that is registered with Microsoft Entra, and its client secret or certificate; or that persons consent to."""

    tenant: Tenant = Field(description="The Directory (tenant) ID, or a domain of the tenant.")
    client: Client = Field(description="The Application (client) ID of the app registration.")
    secret: Secret | None = Field(None, description="The client secret's Value, as a reference; not its Secret ID.")
    certificate: Secret | None = Field(
        None,
        description="In place of a client secret: a private key (RSA) and the certificate that is uploaded for the app, as one PEM "
        "file. When it ends is told as with `secret_expires`.",
    )
    secret_expires: Day | None = Field(
        None, description="The day on which the secret ends: `status`, the log and a metric tell of it from 30 days before."
    )
    authority: SecureUrl = Field(
        "https://login.microsoftonline.com", description="Microsoft's log-in service; another one for national clouds."
    )
    ca_file: ConfigPath | None = Field(None, description="Certificates to trust in place of the system's, as a PEM file.")
    timeout: Duration = Field(60.0, description="How long a request for a token may take.", gt=0, le=3600)
    consent: bool = Field(
        False,
        description="Each mailbox's user consents, by `gatewayd account connect ACCOUNT`; the app opens no other mailbox. A "
        "public client then needs neither `secret` nor `certificate`.",
    )
    device_code: bool = Field(
        False,
        description="Whether `gatewayd account connect` may use a device code. Many tenants block these. Goes with `consent`.",
    )
    graph: SecureUrl = Field(
        "https://graph.microsoft.com/v1.0",
        description="The base address of Microsoft Graph, which says whose mailbox it is; another one for national clouds.",
    )

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if self.secret is None and self.certificate is None and not self.consent:
            raise ValueError("expected either 'secret' or 'certificate', found neither")
        if self.device_code and not self.consent:
            raise ValueError("device_code: it goes with 'consent'")
        if self.device_code and (self.secret or self.certificate):
            raise ValueError("device_code: it is for public clients, which have neither 'secret' nor 'certificate'")
        refuse_two_proofs(self.secret, self.certificate, self.secret_expires)
        return self
