"""Read the key of a service account, and sign with it who asks for a token (RFC 7523 section 2.1, RFC 7515)."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import AuthError
from gatewayd_google.options import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd import Secret

__all__ = ["ServiceAccount", "read_key", "signed"]

#: For how many seconds the signature is valid: the longest that Google takes.
_LASTS = 3600
_PAGE = "https://console.cloud.google.com/iam-admin/serviceaccounts"
_NEW = f"Make a new key of type JSON at {_PAGE}, and put its file there as it is."
#: The fields of a key file that are used, and what they look like: some of them are shown in messages.
_FIELDS = {
    "client_email": re.compile(r"[!-?A-~]{1,100}@[!-?A-~]{1,150}"),
    "client_id": re.compile(r"[0-9]{1,40}"),
    "private_key_id": re.compile(r"[0-9A-Za-z]{1,100}"),
    "private_key": re.compile(r"[\r\n -~]+"),
}


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account, as its key file has it."""

    client_email: str
    #: The number by which the admin console knows it.
    client_id: str
    private_key_id: str
    private_key: str = field(repr=False)


def read_key(secret: Secret) -> ServiceAccount:
    """Return the service account of a key file; raises AuthError, which shows nothing of what is in the file."""
    text = secret.reveal()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AuthError(f"the secret {secret} is no JSON object, expected the key file of a service account", advice=_NEW)
    if {"installed", "web"} & found.keys():
        raise AuthError(
            f"the secret {secret} is an OAuth client's file, expected the key file of a service account",
            advice=f"{_NEW} Or use its client ID and secret as `client` and `client_secret`, with a `refresh_token`.",
        )
    wrong = [name for name, looks in _FIELDS.items() if not isinstance(found.get(name), str) or not looks.fullmatch(found[name])]
    if wrong or found.get("type") != "service_account":
        what = f"has no {wrong[0]!r}, or a damaged one" if wrong else "is of another type"
        raise AuthError(f"the secret {secret} {what}, expected the key file of a service account", advice=_NEW)
    return ServiceAccount(**{name: found[name] for name in _FIELDS})


def signed(account: ServiceAccount, secret: Secret, *, user: str, scope: str, now: float) -> str:
    """Return the signed request of a service account to act as ``user`` (a JWT with RS256).

    ``now`` is the time of the wall clock: Google refuses one that is minutes off. ``secret`` is named in errors. Raises AuthError
    if the key can't be used, or the package that signs is missing.
    """
    head = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    issued = int(now)
    claims = {
        "iss": account.client_email,
        "sub": user,
        "scope": scope,
        "aud": TOKEN_URL,
        "iat": issued,
        "exp": issued + _LASTS,
    }
    text = f"{_part(head)}.{_part(claims)}"
    return f"{text}.{_base64(_signature(account, secret, text.encode('ascii')))}"


def _signature(account: ServiceAccount, secret: Secret, text: bytes) -> bytes:
    # Imported late: only service accounts need it.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        # No cause: its text could quote the key.
        raise AuthError(f"the secret {secret} has a damaged 'private_key', expected an RSA key as PEM", advice=_NEW)
    return key.sign(text, PKCS1v15(), SHA256())


def _part(values: Mapping[str, object]) -> str:
    return _base64(json.dumps(values, separators=(",", ":")).encode("ascii"))


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
