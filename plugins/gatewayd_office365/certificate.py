"""Prove who an app is by its certificate: read it and its key from PEM, and sign with it who asks for a token.

Sources: "Microsoft identity platform application authentication certificate credentials"; RFC 7523 section 2.2, RFC 7515, RFC 7468.
"""

from __future__ import annotations

import json
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import AuthError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

    from gatewayd import Secret

__all__ = ["AppCertificate", "ends_at", "read_certificate", "signed"]

#: For how many seconds the signature is valid, as Microsoft advises.
_LASTS = 600
_BEGIN, _END, _DASHES = "-----BEGIN ", "-----END ", "-----"
_CERTIFICATE = "CERTIFICATE"
#: A file has a key, a certificate and perhaps those of its issuers.
_MOST = 50
_PORTAL = "the Microsoft Entra admin center (entra.microsoft.com), App registrations, your app, Certificates & secrets"
_BOTH = (
    "Put the private key and the certificate into one file, as PEM. From a PFX file: openssl pkcs12 -in app.pfx -nodes -out app.pem"
)
_NEW = f"Make a new one, upload its certificate in {_PORTAL}, and put key and certificate where `certificate` points."


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCertificate:
    """A certificate with its private key."""

    #: As the admin center shows it: the SHA-1 of the certificate.
    thumbprint: str
    #: By which the signature names it: the SHA-256 of the certificate.
    sha256: bytes
    #: When it ends.
    ends: datetime
    key: RSAPrivateKey = field(repr=False)


def read_certificate(secret: Secret, now: datetime) -> AppCertificate:
    """Return the certificate of a PEM file, with its key; of several that fit the key, the one that ends last.

    Raises AuthError, which shows nothing of what is in the file, where there is none that can be used ``now``.
    """
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256  # noqa: PLC0415  imported late: most apps have a secret

    text = secret.reveal()
    key, certificates = _key(secret, text), _certificates(secret, text)
    fitting = [one for one in certificates if one.public_key() == key.public_key()]
    if not fitting:
        raise AuthError(f"the secret {secret} has no certificate that belongs to its private key", advice=_BOTH)
    found = max(fitting, key=lambda one: one.not_valid_after_utc)
    thumbprint = found.fingerprint(SHA1()).hex().upper()  # noqa: S303  as people know a certificate
    if found.not_valid_after_utc <= now:
        day = found.not_valid_after_utc.date()
        raise AuthError(f"the certificate of the secret {secret} has ended on {day} (thumbprint {thumbprint})", advice=_NEW)
    return AppCertificate(thumbprint=thumbprint, sha256=found.fingerprint(SHA256()), ends=found.not_valid_after_utc, key=key)


def ends_at(secret: Secret) -> datetime | None:
    """Return when the certificate of a PEM file ends; None if that can't be seen. Never raises."""
    try:
        # One that has ended is told of as well.
        return read_certificate(secret, datetime.min.replace(tzinfo=UTC)).ends
    except AuthError:
        return None


def signed(certificate: AppCertificate, *, client: str, endpoint: str, now: float) -> str:
    """Return the proof that who asks for a token at ``endpoint`` is the app ``client`` (a JWT with PS256).

    ``now`` is the time of the wall clock: Microsoft refuses what is minutes off.
    """
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415  as above

    head = {"alg": "PS256", "typ": "JWT", "x5t#S256": _base64(certificate.sha256)}
    issued = int(now)
    claims = {
        "aud": endpoint,
        "iss": client,
        "sub": client,
        "jti": str(uuid.uuid4()),
        "iat": issued,
        "nbf": issued,
        "exp": issued + _LASTS,
    }
    text = f"{_part(head)}.{_part(claims)}"
    padding = PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH)
    return f"{text}.{_base64(certificate.key.sign(text.encode('ascii'), padding, SHA256()))}"


def _key(secret: Secret, text: str) -> RSAPrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415  as above

    blocks = [block for label, block in _blocks(text) if label.endswith("PRIVATE KEY")]
    if len(blocks) != 1:
        how_many = "no private key" if not blocks else "several private keys"
        raise AuthError(f"the secret {secret} has {how_many}, expected one with its certificate, as PEM", advice=_BOTH)
    try:
        key = load_pem_private_key(blocks[0].encode(), password=None)
    except TypeError:
        # No cause: its text could quote the key.
        raise AuthError(
            f"the private key of the secret {secret} has a passphrase, which a service can't type",
            advice="Take it off: openssl pkey -in app.key. Keep the file readable for root alone.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        what = "is damaged" if key is None else "is no RSA key"
        raise AuthError(f"the private key of the secret {secret} {what}, and Microsoft Entra takes RSA", advice=_NEW)
    return key


def _certificates(secret: Secret, text: str) -> Sequence[Certificate]:
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415  as above

    blocks = [block for label, block in _blocks(text) if label == _CERTIFICATE]
    if not blocks:
        raise AuthError(f"the secret {secret} has no certificate beside its private key", advice=_BOTH)
    try:
        return [load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError:
        raise AuthError(f"the secret {secret} has a damaged certificate", advice=_BOTH) from None


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield label and text of each part of a PEM file; what lies between them are remarks, as openssl pkcs12 writes."""
    label, lines, count = "", list[str](), 0
    for line in map(str.rstrip, text.splitlines()):
        if line.startswith(_BEGIN) and line.endswith(_DASHES):
            label, lines = line.removeprefix(_BEGIN).removesuffix(_DASHES), []
        lines.append(line)
        if label and line == f"{_END}{label}{_DASHES}":
            yield label, "\n".join([*lines, ""])
            label, count = "", count + 1
        if count == _MOST:
            return


def _part(values: Mapping[str, object]) -> str:
    return _base64(json.dumps(values, separators=(",", ":")).encode("ascii"))


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
