"""The YAML fields of accounts of kind ``office365``, which may import and send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from gatewayd import ConfigPath, Day, Duration, Secret, TokenSource, TokenUse, Transport
from gatewayd_office365.credential import Office365Credential
from gatewayd_office365.credential_options import GUID, Client, Office365CredentialOptions, SecureUrl, Tenant, refuse_two_proofs

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Office365Options"]

#: No quote: some links of Graph have the mailbox between quotes.
_ADDRESS = re.compile(r"[^\s@/'\"\\\x00-\x1f]{1,64}@[^\s@/'\"\\\x00-\x1f]{1,255}")
_FIELDS = Office365CredentialOptions.model_fields


def _mailbox(text: str) -> str:
    if not (GUID.fullmatch(text) or _ADDRESS.fullmatch(text)):
        raise ValueError("expected the user's Object ID, such as 11111111-2222-3333-4444-555555555555, or the mailbox's address")
    return text


class Office365Options(Transport.Options, use_attribute_docstrings=False):
    """A mailbox of Exchange Online, and the app that opens it: ``credential``, or the fields of one."""

    mailbox: Annotated[str, AfterValidator(_mailbox)] = Field(
        description="The mailbox: the user's Object ID, or its address. A shared mailbox is a user, too."
    )
    credential: TokenSource | None = Field(
        None,
        description="The name of one of `credentials` in `gatewayd.yaml`, or its `kind` and fields. Else its fields stand here.",
    )
    tenant: Tenant | None = Field(None, description=_FIELDS["tenant"].description)
    client: Client | None = Field(None, description=_FIELDS["client"].description)
    secret: Secret | None = Field(None, description=_FIELDS["secret"].description)
    certificate: Secret | None = Field(None, description=_FIELDS["certificate"].description)
    secret_expires: Day | None = Field(None, description=_FIELDS["secret_expires"].description)
    authority: SecureUrl = Field(
        "https://login.microsoftonline.com",
        description=f"{_FIELDS['authority'].description} Goes with `tenant` and `client`.",
    )
    graph: SecureUrl = Field(
        "https://graph.microsoft.com/v1.0", description="The base address of Microsoft Graph; another one for national clouds."
    )
    ca_file: ConfigPath | None = Field(None, description=_FIELDS["ca_file"].description)
    timeout: Duration = Field(
        60.0,
        description="How long each part of a request may take. A long answer may take longer while at least 8 KiB a second come.",
        gt=0,
        le=3600,
    )

    mime_bytes: int = Field(
        2 << 20,
        description="A mail of up to so many bytes goes to Exchange in one piece; of a larger one, each file goes by itself. "
        "Exchange takes up to some 3 MB in one piece, and has lost such mail above 2 MB.",
        ge=0,
        le=3 << 20,
    )

    _tokens: TokenSource = PrivateAttr()

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        own = {"tenant": self.tenant, "client": self.client, "secret": self.secret or self.certificate}
        given = [name for name in ("tenant", "client", "secret", "certificate") if getattr(self, name) is not None]
        lacks = [name for name, value in own.items() if value is None]
        if self.credential is None and lacks:
            expected = "expected either 'credential', or 'tenant', 'client' and one of 'secret' and 'certificate'"
            raise ValueError(f"{expected}; {lacks[0]!r} is missing")
        given += [name for name in ("authority", "secret_expires") if name in self.model_fields_set]
        if self.credential is not None and given:
            raise ValueError(f"expected {given[0]!r} among the fields of the credential, and not beside 'credential'")
        refuse_two_proofs(self.secret, self.certificate, self.secret_expires)
        self._tokens = self.credential or TokenSource(Office365Credential(self._app()))
        return self

    def _app(self) -> Office365CredentialOptions:
        own = type(self).model_fields
        return Office365CredentialOptions(**{name: getattr(self, name) for name in _FIELDS if name in own})

    @property
    def tokens(self) -> TokenSource:
        """The tokens for the mailbox."""
        return self._tokens

    @property
    def token_use(self) -> TokenUse:
        """The tokens that open the mailbox."""
        return TokenUse(self.tokens, self.mailbox, self.resource)

    @property
    def app(self) -> str:
        """The app that makes requests: Microsoft counts the requests of each."""
        found = self.tokens.options
        return found.client.lower() if isinstance(found, Office365CredentialOptions) else repr(self.tokens)

    @property
    def resource(self) -> str:
        """What tokens are asked for: the base address of Graph without its path."""
        parts = urlsplit(self.graph)
        return f"{parts.scheme}://{parts.netloc}"
