"""The YAML fields of the forwarder ``smtp``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from gatewayd import Forwarder, Secret, Server, TokenSource, TokenUse

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SmtpOptions"]


class SmtpOptions(Forwarder.Options, Server, use_attribute_docstrings=False):
    """How to reach and log in to an SMTP server. The port is 465 for ``tls``, 587 for ``starttls``, 25 for ``none``."""

    # RFC 8314 section 3.3, RFC 6409.
    ports = {"tls": 465, "starttls": 587, "none": 25}  # noqa: RUF012  nobody changes it

    username: str | None = Field(
        None, description="Name to log in with; without it mail is handed over with no log-in.", min_length=1, max_length=1000
    )
    password: Secret | None = Field(None, description="Password to log in with, as a reference; goes with `username`.")
    credential: TokenSource | None = Field(
        None,
        description="What gets an access token to log in with, in place of a password: the name of one of `credentials` in "
        "`gatewayd.yaml`, or its `kind` and fields; goes with `username`.",
    )
    hello: str | None = Field(
        None,
        description="Name that we greet the server with (EHLO); by default our own address on the connection.",
        max_length=253,
        pattern=r"^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[A-Za-z0-9.:-]+\])$",
    )

    messages_per_connection: int = Field(
        10,
        description="After so many messages the connection is made anew. Servers put off what comes behind their own bound.",
        ge=1,
        le=10_000,
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if self.password is not None and self.credential is not None:
            raise ValueError("expected either 'password' or 'credential', found both")
        if (self.username is None) != (self.password is None and self.credential is None):
            raise ValueError(
                "username goes with a password or credential; "
                "expected both, or neither for a server that takes mail without a log-in"
            )
        return self

    @property
    def token_use(self) -> TokenUse | None:
        """The tokens to log in with; None without a credential."""
        return TokenUse(self.credential, self.username) if self.credential and self.username else None

    @property
    def command_seconds(self) -> float:
        """Seconds that the answer to MAIL, RCPT or DATA may take.

        Five times ``timeout``, at most five minutes: a server may look senders and recipients up elsewhere. With the default
        ``timeout`` these are the five minutes of RFC 5321 section 4.5.3.2.
        """
        return max(self.timeout, min(5 * self.timeout, 300.0))

    @property
    def patience(self) -> float:
        """Seconds that the answer to a mail's end may take.

        Ten times ``timeout``, at most ten minutes: who hangs up early makes the server deliver what we then send again
        (RFC 5321 section 4.5.3.2.6, RFC 1047). With the default ``timeout`` these are RFC 5321's ten minutes.
        """
        return max(self.timeout, min(10 * self.timeout, 600.0))
