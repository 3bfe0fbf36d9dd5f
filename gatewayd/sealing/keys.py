"""Seal secrets by AES-256-GCM (NIST SP 800-38D), each together with what it is about: it can't be opened as anything else."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from gatewayd.api.store.sealed_secrets import SealedSecret
from gatewayd.errors import AuthError
from gatewayd.sealing.about import about_bytes
from gatewayd.sealing.sent_secrets import Receiver, key_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.sealing.about import About

__all__ = ["SealingKey", "SealingKeys", "name_of"]

#: Bytes of a random nonce (NIST SP 800-38D section 8.2.2): one key may seal 2^32 secrets.
_NONCE = 12
_KEY, _ID = 32, 8


def name_of(about: About) -> str:
    """Return the name by which a store keeps the secret."""
    return hashlib.sha256(about_bytes(about)).hexdigest()


class SealingKey:
    """One key. Its id says nothing of it."""

    def __init__(self, text: str) -> None:
        """Make it of a long random text."""
        # Imported late: only who keeps secrets needs it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        # RFC 5869. The text may be an environment variable, which need not be UTF-8.
        raw = text.encode(errors="surrogateescape")
        derived = HKDF(SHA256(), _KEY + _ID, salt=None, info=b"gatewayd sealing key").derive(raw)
        self.id = derived[_KEY:].hex()
        self._cipher = AESGCM(derived[:_KEY])
        #: Opens what pages seal for this key.
        self.receiver = Receiver(self.id, HKDF(SHA256(), _KEY, salt=None, info=b"gatewayd receiving key").derive(raw))

    def seal(self, secret: str, about: About) -> SealedSecret:
        """Return a secret, sealed."""
        nonce = secrets.token_bytes(_NONCE)
        return SealedSecret(self.id, nonce + self._cipher.encrypt(nonce, secret.encode(), about_bytes(about)))

    def opened(self, sealed: SealedSecret, about: About) -> str | None:
        """Return the secret; None if this is not what was sealed, or not about that."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  as above

        nonce, text = sealed.sealed[:_NONCE], sealed.sealed[_NONCE:]
        if len(nonce) < _NONCE:
            return None
        try:
            return self._cipher.decrypt(nonce, text, about_bytes(about)).decode()
        except InvalidTag:
            return None

    def __repr__(self) -> str:
        return f"SealingKey({self.id})"


class SealingKeys:
    """The keys of a config: the first one seals, and all of them open."""

    def __init__(self, keys: Sequence[SealingKey], named: str, unread: Sequence[str] = ()) -> None:
        """``named`` is what messages call the keys: the file or the field that they are from.

        ``unread`` tells of further keys why they can't be had.
        """
        self._keys = {key.id: key for key in reversed(keys)}
        self._first = keys[0]
        self._named = named
        self._unread = unread

    def seal(self, secret: str, about: About) -> SealedSecret:
        """Return a secret, sealed by the first key."""
        return self._first.seal(secret, about)

    def opened(self, sealed: SealedSecret, about: About) -> str:
        """Return the secret. Raises AuthError, without advice, if its key is missing, or it is damaged or about something else."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise AuthError("; ".join([f"it is sealed by the key {sealed.key_id}, which is not {self._named}", *self._unread]))
        found = key.opened(sealed, about)
        if found is None:
            raise AuthError("what is kept of it is damaged, or was sealed for another one")
        return found

    @property
    def public_key(self) -> str:
        """By which others seal what only these keys open (``gatewayd.sealing.sent_secrets.seal_for``); no secret."""
        return self._first.receiver.public_key

    def opened_sent(self, sent: str, about: About) -> str:
        """Return what was sealed for one of these keys by its public key.

        Raises AuthError, without advice, as ``opened`` does.
        """
        key = self._keys.get(key_id_of(sent))
        found = key.receiver.opened(sent, about) if key else None
        if found is None:
            raise AuthError("what was sent was sealed for another key, or for something else")
        return found

    def is_by_first(self, sealed: SealedSecret) -> bool:
        """Whether the first key sealed it; else it should be sealed anew."""
        return sealed.key_id == self._first.id

    def __repr__(self) -> str:
        return f"SealingKeys({self._named})"
