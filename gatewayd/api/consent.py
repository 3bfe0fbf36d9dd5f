"""A person's own consent, for a mailbox that no administrator may open: how an authority asks for it, and the tokens that it gives
then (RFC 6749 section 4.1, RFC 7636, RFC 8252, RFC 8628).

``gatewayd account connect`` gets the consent. Its refresh token is kept in the store, sealed, and access tokens come by it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.credential import Token

__all__ = ["Consent", "ConsentEnded", "ConsentRequest", "DeviceCode", "Grant"]


class ConsentEnded(AuthError):
    """A refresh token is no longer taken: only the person can help, by a new consent.

    The advice need not say so: the kernel ends it with the command for that.
    """


@dataclass(frozen=True, slots=True)
class Grant:
    """What an authority gives for a code or a refresh token."""

    token: Token
    #: Takes the place of the one that was used; empty: that one stays (RFC 6749 section 6).
    refresh_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """One request for a person's consent."""

    #: The account's name for the mailbox: an address, or what else its authority calls it.
    user: str
    #: What tokens are wanted for, as ``Credential.obtain`` gets it.
    resource: str = ""
    #: Whether the accounts that it is for change mail in the mailbox, and whether they send: nothing more is asked for.
    changes: bool = True
    sends: bool = True
    #: The address that the person ends at: on their own machine, and nothing listens there (RFC 8252 section 7.3).
    redirect: str
    #: Comes back with the code, as it is.
    state: str = field(repr=False)
    #: Shows that who redeems the code is who asked for it (RFC 7636 section 4.1).
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """The verifier's digest, for the link; its method is ``S256`` (RFC 7636 section 4.2)."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """A short code that the person types in at an address (RFC 8628 section 3.2)."""

    user_code: str
    url: str
    device_code: str = field(repr=False)
    #: Seconds to wait before each ``Consent.poll``.
    interval: float
    #: Seconds that it is valid for, from when it was asked for.
    lasts: float


class Consent(ABC):
    """Asks an authority for persons' consents, and for tokens by them. One for each credential; several threads use it.

    Making one does no I/O and can't fail. Each step on the network has a deadline. All that use it raise AuthError, with an advice
    that says what to do and where, or TransientError; no error has a code or token in it.
    """

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """Return what the authority ties refresh tokens to, and no rename changes: itself, a tenant, the client.

        With another identity, each person consents again.

            {"authority": "https://login.microsoftonline.com", "tenant": "...", "client": "5e1f..."}
        """

    @abstractmethod
    def link(self, request: ConsentRequest) -> str:
        """Return the address that the person opens, with the request's user, redirect, state and challenge. Does no I/O."""

    @abstractmethod
    def refused(self, request: ConsentRequest, error: str, words: str) -> AuthError:
        """Return the error for an address that came back without a code (RFC 6749 section 4.1.2.1). Does no I/O.

        ``error`` and ``words`` are foreign: its parameters ``error`` and ``error_description``, each empty if it has none.
        """

    @abstractmethod
    def redeem(self, request: ConsentRequest, code: str) -> Grant:
        """Return the tokens for a code, with a refresh token, and an access token by which ``names`` can ask."""

    @abstractmethod
    def names(self, grant: Grant) -> Sequence[str]:
        """Ask whose mailbox a new grant opens; return all its names, the best known first: addresses, ids.

        The consent is kept only if the account's user is among them; upper and lower case are the same.
        """

    @abstractmethod
    def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
        """Return an access token for ``resource``; see ``Credential.obtain``.

        Raises ConsentEnded if the authority does not take the refresh token: revoked, expired, ended by a new password.
        """

    def device(self, request: ConsentRequest) -> DeviceCode | None:
        """Ask for a device code. By default None: the config doesn't allow it, or the authority has none.

        It has no use for the request's redirect, state and verifier.
        """
        del request
        return None

    def poll(self, code: DeviceCode) -> Grant | DeviceCode:
        """Ask once whether the person has consented; return the tokens, as ``redeem`` does, or the code to go on with.

        That has a longer ``interval`` if the authority says ``slow_down`` (RFC 8628 section 3.5). Called only for a code of
        ``device``. Raises AuthError if the person declined or the code has expired.
        """
        raise NotImplementedError
