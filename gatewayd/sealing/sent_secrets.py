"""Seal what a person types into a page for the daemon alone: the process that serves the pages can't open it again.

A sealed box: a key of its own for each secret agrees with the receiver's key by X25519 (RFC 7748), and AES-256-GCM seals by what
HKDF (RFC 5869) derives of that. The receiver's key is derived from the config's sealing key.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from gatewayd.errors import PermanentError
from gatewayd.sealing.about import about_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from gatewayd.sealing.about import About

__all__ = ["Receiver", "key_id_of", "seal_for"]

#: Bytes of a key of X25519, of what is derived for AES-256-GCM, and of the nonce: the key is used once.
_KEY, _CIPHER, _NONCE = 32, 32, 12


class Receiver:
    """The key pair that opens what is sealed for it. Texts are ``ID.BASE64URL``: the id names the key, and says nothing of it."""

    def __init__(self, key_id: str, private: bytes) -> None:
        """``private`` are 32 random bytes."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415  only who keeps secrets needs it

        self._key_id = key_id
        self._private = X25519PrivateKey.from_private_bytes(private)

    @property
    def public_key(self) -> str:
        """What ``seal_for`` needs; no secret."""
        return _text(self._key_id, self._private.public_key().public_bytes_raw())

    def opened(self, sent: str, about: About) -> str | None:
        """Return the secret; None if this is not what was sealed for this key, or not about that."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  as above
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415

        sealed = _bytes(sent)
        try:
            theirs = X25519PublicKey.from_public_bytes(sealed[:_KEY])
            cipher, nonce = _cipher(self._private.exchange(theirs), sealed[:_KEY], self._private.public_key().public_bytes_raw())
            return cipher.decrypt(nonce, sealed[_KEY:], about_bytes(about)).decode()
        # ValueError: it begins with no key, or with one by which all agree (RFC 7748 section 6.1).
        except (InvalidTag, ValueError):
            return None

    def __repr__(self) -> str:
        return f"Receiver({self._key_id})"


def seal_for(public_key: str, secret: str, about: About) -> str:
    """Return a secret that only the owner of ``public_key`` can open, and only as what it is ``about``: plain ASCII.

    Raises PermanentError if that is no public key.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: PLC0415  as above

    theirs = _bytes(public_key)
    once = X25519PrivateKey.generate()
    ours = once.public_key().public_bytes_raw()
    try:
        shared = once.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as error:
        raise PermanentError("this is no public key of gatewayd", advice="Ask the daemon for its public key again.") from error
    cipher, nonce = _cipher(shared, ours, theirs)
    return _text(key_id_of(public_key), ours + cipher.encrypt(nonce, secret.encode(), about_bytes(about)))


def key_id_of(text: str) -> str:
    """Return the id of the key that a public key, or a secret that was sealed for it, names."""
    return text.partition(".")[0]


def _cipher(shared: bytes, once: bytes, receiver: bytes) -> tuple[AESGCM, bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    derived = HKDF(SHA256(), _CIPHER + _NONCE, salt=once + receiver, info=b"gatewayd sent secret").derive(shared)
    return AESGCM(derived[:_CIPHER]), derived[_CIPHER:]


def _text(key_id: str, raw: bytes) -> str:
    return f"{key_id}.{base64.urlsafe_b64encode(raw).decode()}"


def _bytes(text: str) -> bytes:
    """Return the bytes of a text; none where it is no such text, also where another one stands for the same bytes."""
    try:
        found = base64.urlsafe_b64decode(text.partition(".")[2].encode("ascii"))
    except (binascii.Error, ValueError):
        return b""
    return found if _text(key_id_of(text), found) == text else b""
