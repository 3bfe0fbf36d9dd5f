"""The tokens of web sessions: the browser has the token, and the store its digest alone."""

from __future__ import annotations

import hashlib
import re
import secrets

__all__ = ["digest_of", "new_token"]

_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Return a new random token, fit for a cookie."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> bytes | None:
    """Return the digest by which the store finds a web session; None for what is no token of ours."""
    # A random token needs no salt, and nobody learns anything by the time that the look-up takes.
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None
