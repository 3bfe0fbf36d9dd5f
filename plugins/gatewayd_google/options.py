"""The YAML fields of the credential ``google``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gatewayd import ConfigPath, Credential, Duration, HttpUrl, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

__all__ = ["ALL_MAIL", "TOKEN_URL", "GoogleOptions"]

#: Where Google gives tokens, and the audience of what a service account signs for that, wherever it is sent.
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  an address, no secret
#: The scope for IMAP, POP3 and SMTP.
ALL_MAIL: Final = "https://mail.google.com/"


def _https(url: str) -> str:
    if not url.startswith("https:"):
        raise ValueError(f"expected https, since secrets go there, such as {TOKEN_URL}")
    return url


class GoogleOptions(Credential.Options, use_attribute_docstrings=False):
    """The YAML fields of the credential ``google``: either a service account, or a client that users consent to."""

    service_account: Secret | None = Field(
        None,
        description="The key of a service account with domain-wide delegation, as the JSON file that Google gives. It opens the "
        "mailbox of each account's `username`.",
    )
    scope: Literal["https://mail.google.com/", "https://www.googleapis.com/auth/gmail.imap_admin"] = Field(
        ALL_MAIL,
        description="What the service account may do, as the admin console has it. `gmail.imap_admin` is for IMAP only: it shows "
        "all labels, also those that the user hides from IMAP.",
    )
    client: str | None = Field(
        None,
        description="The client ID of an OAuth client, which ends in `.apps.googleusercontent.com`.",
        min_length=1,
        max_length=500,
    )
    client_secret: Secret | None = Field(None, description="The OAuth client's secret.")
    refresh_token: Secret | None = Field(None, description="What the user's consent gave. It opens that user's mailbox alone.")
    token_url: Annotated[HttpUrl, AfterValidator(_https)] = Field(TOKEN_URL, description="Where tokens are asked for.")
    ca_file: ConfigPath | None = Field(
        None, description="Certificates to trust for `token_url` in place of the system's, as a PEM file."
    )
    timeout: Duration = Field(30.0, description="How long it may take to get a token, connecting included.", gt=0, le=60)

    consent: bool = Field(
        False,
        description="In place of `refresh_token`: each mailbox's user consents, by `gatewayd account connect ACCOUNT`. Goes with "
        "`client` and `client_secret`.",
    )
    gmail: Annotated[HttpUrl, AfterValidator(_https)] = Field(
        "https://gmail.googleapis.com", description="Where Gmail is asked whose mailbox a consent opens."
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        other = {"refresh_token": self.refresh_token, "consent": self.consent or None}
        client = {"client": self.client, "client_secret": self.client_secret}
        given = [name for name, value in (client | other).items() if value is not None]
        expected = "expected either 'service_account', or 'client', 'client_secret' and one of 'refresh_token' and 'consent'"
        if self.service_account is not None and given:
            raise ValueError(f"{expected}, found 'service_account' and {_words(given)}")
        if self.service_account is None and (None in client.values() or len(given) != len(client) + 1):
            only = "only " if 0 < len(given) <= len(client) else ""
            raise ValueError(f"{expected}, found {only}{_words(given)}")
        if self.service_account is None and self.scope != ALL_MAIL:
            raise ValueError("scope: it goes with 'service_account'; others have the scope that their user consented to")
        return self


def _words(names: Iterable[str]) -> str:
    *before, last = [f"'{name}'" for name in names] or ["neither"]
    return f"{', '.join(before)} and {last}" if before else last
