"""Sign access tokens for test servers: JSON Web Tokens (RFC 7519) with RS256 (RFC 7518 section 3.3)."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["TokenSigner"]


class TokenSigner:
    """An authority with a key of its own."""

    def __init__(self) -> None:
        self._key = generate_private_key(public_exponent=65537, key_size=2048)
        self._count = 0

    def token(self, claims: Mapping[str, object], *, lasts: float, size: int) -> str:
        """Return a new token with these claims, of at least about ``size`` characters, that ends in so many seconds."""
        self._count += 1
        now = int(time.time())
        body = {"iat": now, "nbf": now, "exp": now + int(lasts), "jti": str(self._count), **claims}
        head = {"alg": "RS256", "typ": "JWT"}
        # What real tokens have in groups and roles. Three bytes are four characters.
        body["roles"] = "r" * max(0, (size - 400) * 3 // 4 - len(json.dumps(body)))
        signed = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(body).encode())}"
        return f"{signed}.{_part(self._key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def write_keys(self, folder: Path) -> None:
        """Write the public key into a folder, where Dovecot looks for that of a token without ``azp`` and ``kid``."""
        key = folder / "default" / "RS256" / "default"
        key.parent.mkdir(parents=True)
        key.write_bytes(self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        for path in (key, *list(key.parents)[:3]):
            # Processes of several users look into it.
            path.chmod(0o755 if path.is_dir() else 0o644)


def _part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
