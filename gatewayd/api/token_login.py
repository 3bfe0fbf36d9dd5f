"""The YAML fields of a server that takes a password or an access token, and the log-in with a token. SASL has two mechanisms
for tokens: OAUTHBEARER (RFC 7628), and XOAUTH2, which Google and Microsoft have.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

from pydantic import Field, model_validator

from gatewayd.api.endpoint import Login
from gatewayd.api.options import Secret
from gatewayd.api.redaction import quoted
from gatewayd.api.token_source import TokenSource, TokenUse
from gatewayd.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Self

    from gatewayd.api.endpoint import Server

__all__ = ["TokenEndpoint", "TokenMechanism", "TokenRefused", "logged_in", "refusal_reason", "token_mechanism", "token_message"]

TokenMechanism: TypeAlias = Literal["OAUTHBEARER", "XOAUTH2"]
_Connected = TypeVar("_Connected")


class TokenRefused(AuthError):
    """A server refused an access token. It may take a new one."""


class _LoginFields(Protocol):
    """The YAML fields of a log-in; all are None for a server that wants none."""

    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> Secret | None: ...
    @property
    def credential(self) -> TokenSource | None: ...


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

    @property
    def token_use(self) -> TokenUse | None:
        """The tokens to log in with; None with a password."""
        return TokenUse(self.credential, self.username) if self.credential else None


def token_mechanism(server: Server, offered: Collection[str]) -> TokenMechanism:
    """Return the mechanism to use of those that a server offers, named in upper case. Raises AuthError if it takes no token."""
    if "OAUTHBEARER" in offered:
        return "OAUTHBEARER"
    if "XOAUTH2" in offered:
        return "XOAUTH2"
    raise AuthError(
        f"{server.where}: the server takes no access token on this connection: it offers neither OAUTHBEARER nor XOAUTH2",
        advice="Use `security: tls` or `starttls`. If the server wants a password, give `password` in place of `credential`.",
    )


def logged_in(server: _LoginFields, connect: Callable[[str], _Connected]) -> _Connected:
    """Return what ``connect`` returns for the password or the access token of ``server``; for "" if the server wants none.

    If ``connect`` raises TokenRefused, the token is thrown away. If there is another one then, ``connect`` is called once more with
    it. It makes a new connection at each call, since many servers close one on which a log-in was refused. Raises AuthError or
    TransientError if the password or a token can't be had, and whatever ``connect`` raises.
    """
    if server.credential is None or server.username is None:
        return connect(server.password.reveal() if server.password else "")
    token = server.credential.token(server.username)
    try:
        return connect(token)
    except TokenRefused:
        other = server.credential.token(server.username, refused=token)
        if other == token:
            # It was replaced a moment ago: the token is not at fault.
            raise
    return connect(other)


def token_message(mechanism: TokenMechanism, server: Server, username: str, token: str) -> tuple[bytes, bytes]:
    """Return the client's message for a log-in with an access token, and its answer to a challenge, neither of them in base64.

    A server sends a challenge if it refuses the token: the challenge is JSON that gives the reason, and the refusal itself
    comes after our answer (RFC 7628 section 3.2.2).
    """
    if mechanism == "XOAUTH2":
        return f"user={username}\x01auth=Bearer {token}\x01\x01".encode(), b""
    name = username.replace("=", "=3D").replace(",", "=2C")
    endpoint = f"host={server.host}\x01port={server.effective_port}"
    return f"n,a={name},\x01{endpoint}\x01auth=Bearer {token}\x01\x01".encode(), b"\x01"


def refusal_reason(challenge: bytes, secrets: Sequence[str]) -> str:
    """Return the reason in the challenge that comes before the refusal of a token, to go behind the server's refusal in an error.

    ``challenge`` is the JSON, in base64 or not; empty if there was none. The text is one line without our ``secrets``.
    """
    try:
        reason = b64decode(challenge, validate=True)
    except binascii.Error:
        reason = challenge
    return f", and its reason is {quoted(reason, secrets)!r}" if reason.strip() else ""
