"""The YAML fields of a server that takes a password or an access token. And the SASL mechanisms for tokens: OAUTHBEARER
(RFC 7628), and XOAUTH2, which Google and Microsoft have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, model_validator

from gatewayd.api.credential import TokenSource
from gatewayd.api.endpoint import Login
from gatewayd.api.options import Secret

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Self

__all__ = ["TokenEndpoint", "TokenMechanism", "token_mechanism", "token_message"]

TokenMechanism: TypeAlias = Literal["OAUTHBEARER", "XOAUTH2"]


class TokenEndpoint(Login):
    """The YAML fields of a server that one logs in to with a password or an access token. Mix it into an ``Options`` model."""

    password: Secret | None = Field(None, description="Password to log in with, as a reference. Either this or `credential`.")
    credential: TokenSource | None = Field(
        None,
        description="What gets an access token to log in with, in place of a password: the name of one of `credentials` in "
        "`gatewayd.yaml`, or its `kind` and fields.",
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.password is None) == (self.credential is None):
            found = "neither" if self.password is None else "both"
            raise ValueError(f"expected either 'password' or 'credential', found {found}")
        return self


def token_mechanism(offered: Collection[str]) -> TokenMechanism | None:
    """Return the mechanism to use of those that a server offers, named in upper case; None if it takes no token."""
    return "OAUTHBEARER" if "OAUTHBEARER" in offered else "XOAUTH2" if "XOAUTH2" in offered else None


def token_message(mechanism: TokenMechanism, server: Login, token: str) -> tuple[bytes, bytes]:
    """Return the client's message for a log-in with an access token, and its answer to a challenge, neither of them in base64.

    A server sends a challenge if it refuses the token: the challenge is JSON that gives the reason, and the refusal itself
    comes after our answer (RFC 7628 section 3.2.2).
    """
    if mechanism == "XOAUTH2":
        return f"user={server.username}\x01auth=Bearer {token}\x01\x01".encode(), b""
    name = server.username.replace("=", "=3D").replace(",", "=2C")
    endpoint = f"host={server.host}\x01port={server.effective_port}"
    return f"n,a={name},\x01{endpoint}\x01auth=Bearer {token}\x01\x01".encode(), b"\x01"
