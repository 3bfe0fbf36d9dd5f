"""The role ``Credential``, which proves who we are by an access token in place of a password (RFC 6749, RFC 6750)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeGuard

from gatewayd.api.expiry import Expiry, expiry_of
from gatewayd.api.roles import Plugin

if TYPE_CHECKING:
    from gatewayd.api.consent import Consent

__all__ = ["Credential", "Token", "is_token"]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, as an authority gave it."""

    #: Printable ASCII (RFC 6749 appendix A.12).
    text: str = field(repr=False)
    #: Seconds that it is valid, from when it was asked for.
    lasts: float


def is_token(found: object) -> TypeGuard[Token]:
    """Whether a plugin gave a token that can be sent: its text is printable ASCII, and its seconds are a number."""
    if not isinstance(found, Token) or type(found.text) is not str or type(found.lasts) not in {int, float}:
        return False
    return bool(found.text) and found.text.isascii() and found.text.isprintable()


class Credential(Plugin):
    """Proves who we are to servers, by access tokens that it gets from an authority."""

    #: One token opens the mailboxes of all users. Else each user needs one.
    serves_all_users: ClassVar[bool] = False

    def __init__(self, options: Credential.Options) -> None:
        """Keep ``options``. Does no I/O and can't fail."""
        self.options = options

    @abstractmethod
    def obtain(self, user: str, resource: str) -> Token:
        """Ask the authority for a new access token.

        ``user`` is the name that the account logs in with; empty if the credential serves all users. ``resource`` is the base
        address of the API that the token is for, such as ``https://graph.microsoft.com``; empty for IMAP, POP3 and SMTP.

        Called when a token is needed and none is kept that lasts, by one thread at a time for each user and resource; the others
        wait for it, at most two minutes. Each step on the network has a deadline. Raises AuthError (a secret or permission is
        wrong; the advice says where to mend it) or TransientError, with ``retry_after`` if the authority gave it.

            return Token(answer["access_token"], lasts=answer["expires_in"])
        """

    def consent(self) -> Consent | None:
        """Return how persons consent to our opening their mailboxes, if the options say that they do. Does no I/O.

        Then tokens come by their refresh tokens, and ``obtain`` is never called.
        """
        return None

    def advice(self, protocol: str) -> str:
        """Return what to do if the authority gave a token and a mail server then refuses it. Does no I/O; never raises.

        ``protocol`` is ``IMAP``, ``POP3`` or ``SMTP``.
        """
        return f"Check `username`, and that this credential may open its mailbox by {protocol}."

    def expiry(self) -> Expiry | None:
        """Return when its secret ends; None if that is unknown. By default the option ``secret_expires``. Never raises.

        Called by ``status``, and each quarter of a minute by a daemon in a thread of its own; it may read the file of a secret, and
        use no network.
        """
        return expiry_of(self.options)
