"""The tokens of a credential, which all accounts with the same credential share: asked for once, kept while they last."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from pydantic_core import core_schema

from gatewayd.api.credential import Credential, is_token
from gatewayd.api.expiry import Expiry
from gatewayd.api.options import Secret
from gatewayd.errors import AuthError, GatewaydError, PluginError, TransientError, without_text

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    from gatewayd.api.consent import Consent
    from gatewayd.api.credential import Token

__all__ = ["ConsentKeeper", "TokenSource", "TokenUse"]

#: A token is renewed so many seconds before it ends, or at half of its life if it lives for less than twice as long.
_MARGIN = 300.0
#: Seconds for which all who want a token get the error of the last try, and no request is made: after a refusal, and after another
#: error, unless the authority asks for longer.
_REFUSED, _FAILED = 30.0, 5.0
_LONGEST = 3600.0
#: After a token was refused, the next refusal within so many seconds has no new one asked for: a mailbox that refuses every token
#: would else cost one at each log-in.
_AT_ONCE = 60.0
#: Seconds to wait for another thread that asks for the same token.
_PATIENCE = 120.0


class ConsentKeeper(Protocol):
    """Keeps what persons consented to, and gets access tokens by it. Any thread may use it."""

    def renewed(self, use: TokenUse) -> Token:
        """Return a new access token. What must be kept for the next one is on the disk then. Raises as ``Credential.obtain``."""

    def mark(self, use: TokenUse) -> bytes:
        """Return a mark that changes when the person consents anew. Raises TransientError."""


class TokenSource:
    """The tokens of one credential. All accounts with the same credential share them, also over reloads of the config.

    It is the type of a field of ``Options`` that takes a credential. Any thread may use it. Two are equal if they have the same
    kind and options.
    """

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._consent = credential.consent()
        # All fields, whatever a plugin's own repr leaves out. References to secrets are in the text, and no secret.
        self._id = (type(credential), repr(dict(credential.options)))
        with _opening:
            self._tokens = _shared.get(self._id) or _Tokens()
            _shared[self._id] = self._tokens

    @property
    def kind(self) -> str:
        """The credential's kind."""
        return self._credential.kind

    @property
    def options(self) -> Credential.Options:
        """The credential's options."""
        return self._credential.options

    @property
    def consent(self) -> Consent | None:
        """How persons consent; None if the credential needs no consents."""
        return self._consent

    def keep_consents(self, keeper: ConsentKeeper) -> None:
        """Let ``keeper`` get the tokens of all sources that are equal to this one. Needed where there is a ``consent``."""
        self._tokens.keeper = keeper

    def consent_mark(self, user: str) -> bytes:
        """Return a mark that changes when a person consents anew or the refresh token is replaced; empty if there is none."""
        found = b""
        if self._consent is not None and self._tokens.keeper is not None:
            with suppress(GatewaydError):
                found = self._tokens.keeper.mark(TokenUse(self, user))
        return found

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The references to secrets in its options."""
        return tuple(one for one in dict(self.options).values() if isinstance(one, Secret))

    @property
    def ca_file(self) -> Path | None:
        """The file with the certificates to trust, if its options name one."""
        found = getattr(self._credential.options, "ca_file", None)
        return found if isinstance(found, Path) else None

    def token(self, user: str, resource: str = "", *, refused: str = "") -> str:
        """Return an access token; see ``Credential.obtain`` for the parameters.

        ``refused`` is a token that a server has refused just now. Another one is returned; but the same, if this took the place of
        a refused one less than a minute ago. Raises AuthError or TransientError.
        """
        whose = "" if self._credential.serves_all_users and self._consent is None else user
        slot = self._tokens.slot(whose, resource)
        if not slot.lock.acquire(timeout=_PATIENCE):
            raise TransientError(f"no access token within {_PATIENCE:g} s: another thread has been asking for it for so long")
        try:
            if refused and slot.text == refused:
                slot.throw_away()
            if not slot.text or time.monotonic() >= slot.renew_at:
                self._renew(slot, whose, resource, refused)
            return slot.text
        finally:
            slot.lock.release()

    def advice(self, protocol: str) -> str:
        """See ``Credential.advice``. Never raises: an error of the credential must not hide what it advises about."""
        try:
            return str(self._credential.advice(protocol))
        except Exception:  # noqa: BLE001  a plugin may raise anything
            return Credential.advice(self._credential, protocol)

    def expiry(self) -> Expiry | None:
        """See ``Credential.expiry``. Never raises: what else there is to tell of the accounts is told all the same."""
        try:
            found: object = self._credential.expiry()
        except Exception:  # noqa: BLE001  a plugin may raise anything
            return None
        return found if isinstance(found, Expiry) else None

    def _renew(self, slot: _Slot, user: str, resource: str, refused: str) -> None:
        began = time.monotonic()
        if slot.error and began < slot.error_until and slot.error_of == self._fingerprint(user):
            if slot.usable(began) and slot.text != refused:
                return
            raise _again(slot.error, slot.error_until - began)
        try:
            found = self._obtained(user, resource)
        except GatewaydError as error:
            now, later = time.monotonic(), isinstance(error, TransientError)
            wait = max(error.retry_after or 0.0, _FAILED) if isinstance(error, TransientError) else _REFUSED
            # A copy has no traceback, whose frames keep secrets and answers in memory.
            slot.error, slot.error_of = copy(error), self._fingerprint(user)
            slot.error_until = now + min(wait, _LONGEST)
            if not later or not slot.usable(now):
                slot.text = ""
            elif slot.text != refused:
                # The authority is away, and the token lasts still.
                return
            raise
        slot.text, slot.ends_at = found.text, began + found.lasts
        slot.renew_at = slot.ends_at - min(_MARGIN, found.lasts / 2)

    def _obtained(self, user: str, resource: str) -> Token:
        if self._consent is None:
            return _given_by(self._credential, user, resource)
        if self._tokens.keeper is None:
            raise TransientError(f"no access token for {user}: nothing here reads what persons consented to")
        return self._tokens.keeper.renewed(TokenUse(self, user, resource))

    def _fingerprint(self, user: str) -> bytes:
        """Return a digest of the secrets as they are now: with another secret, the next try need not fail as the last one did."""
        secrets = "\0".join(map(_revealed, self.secrets)).encode(errors="surrogateescape")
        return sha256(secrets + self.consent_mark(user)).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenSource) and self._id == other._id

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return f"TokenSource({self._credential.kind}, {self._credential.options!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": ["string", "object"], "description": "The name of one of `credentials`, or a `kind` with its fields."}

    @classmethod
    def _validate(cls, value: object) -> TokenSource:
        if not isinstance(value, cls):
            # Pydantic turns a ValueError, and no TypeError, into a fault with its place.
            raise ValueError("expected the name of a credential, or its kind and fields")  # noqa: TRY004  see above
        return value


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Which tokens an account logs in with. ``Options`` with a ``TokenSource`` have it as their property ``token_use``."""

    source: TokenSource
    #: As ``TokenSource.token`` gets them.
    user: str
    resource: str = ""


@dataclass(slots=True)
class _Slot:
    """The token for one user and resource, or why there is none. To be used with its lock held."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    text: str = field(default="", repr=False)
    renew_at: float = 0.0
    ends_at: float = 0.0
    thrown_away_at: float = -math.inf
    error: GatewaydError | None = None
    error_until: float = 0.0
    #: The fingerprint of the secrets that the try failed with.
    error_of: bytes = b""

    def throw_away(self) -> None:
        """Have a token renewed that a server has refused, unless that was done just now: then it is not the token that is at fault.

        It is kept until there is another one: it may be that one mailbox that refuses it, and no other.
        """
        now = time.monotonic()
        if now - self.thrown_away_at >= _AT_ONCE:
            self.renew_at, self.thrown_away_at = now, now

    def usable(self, now: float) -> bool:
        """Whether there is a token that has not ended."""
        return bool(self.text) and now < self.ends_at


class _Tokens:
    """The tokens of one credential by user and resource."""

    def __init__(self) -> None:
        self.keeper: ConsentKeeper | None = None
        self._lock = threading.Lock()
        self._slots: dict[tuple[str, str], _Slot] = {}

    def slot(self, user: str, resource: str) -> _Slot:
        with self._lock:
            return self._slots.setdefault((user, resource), _Slot())


#: Kept as long as a config has the credential.
_shared: WeakValueDictionary[tuple[type[Credential], str], _Tokens] = WeakValueDictionary()
_opening = threading.Lock()


def _given_by(credential: Credential, user: str, resource: str) -> Token:
    """Return a credential's token. What it raises beside the five errors, and what is no token, is its own fault."""
    try:
        found: object = credential.obtain(user, resource)
    except GatewaydError:
        raise
    except Exception as error:  # noqa: BLE001  a plugin may raise anything
        wrong = without_text(error)
    else:
        if is_token(found):
            return found
        wrong = f"expected a Token with a text and seconds, got {type(found).__name__}"
    raise PluginError(f"the credential {credential.kind} is at fault, `obtain`: {wrong}", advice="Mend the plugin.")


def _again(error: GatewaydError, wait: float) -> GatewaydError:
    """Return the error of the last try for another thread; no request is made for ``wait`` seconds."""
    same = copy(error)
    if isinstance(same, TransientError):
        same.retry_after = wait
    return same


def _revealed(secret: Secret) -> str:
    try:
        return secret.reveal()
    except AuthError:
        return ""
