"""Verify client assertions: JWTs that an app signs with the key of its registered certificate (RFC 7523 section 3)."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

if TYPE_CHECKING:
    from gatewayd.testing.graph.apps import EntraApp
    from gatewayd.testing.graph.odata import Json

__all__ = ["AssertionRefused", "verify_assertion"]

#: Seconds by which the clocks of both sides may differ.
_SKEW = 300
_SHA256 = hashes.SHA256()
_PADDINGS: dict[str, padding.AsymmetricPadding] = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(padding.MGF1(_SHA256), padding.PSS.DIGEST_LENGTH),
}


class AssertionRefused(Exception):
    """An assertion that does not prove who the client is; its text says why, and ``code`` is the number behind AADSTS."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def verify_assertion(assertion: str, app: EntraApp, endpoint: str) -> None:
    """Raise AssertionRefused unless the assertion names the app and the token endpoint, and is signed with the app's key."""
    head, claims, signature = _parts(assertion)
    scheme = _PADDINGS.get(str(head.get("alg")))
    if not app.certificate:
        raise AssertionRefused(700026, f"Client application '{app.client}' has no configured keys.")
    if scheme is None:
        raise _unproven("alg is neither RS256 nor PS256")
    certificate = load_pem_x509_certificate(app.certificate.encode())
    key = certificate.public_key()
    thumbprints = {"x5t": certificate.fingerprint(hashes.SHA1()), "x5t#S256": certificate.fingerprint(_SHA256)}  # noqa: S303  as the header x5t has it
    # msal leaves the padding in.
    if not any(str(head.get(name)).rstrip("=") == _encoded(thumbprint) for name, thumbprint in thumbprints.items()):
        raise _unproven("the thumbprint is not that of the registered certificate")
    if not isinstance(key, rsa.RSAPublicKey):
        raise _unproven("the certificate's key is not RSA")
    try:
        key.verify(signature, assertion.rpartition(".")[0].encode(), scheme, _SHA256)
    except InvalidSignature:
        raise _unproven("the signature does not fit") from None
    if certificate.not_valid_after_utc.timestamp() <= time.time():
        raise AssertionRefused(1000502, "The provided certificate is not within its specified validity window.")
    _check(claims, app, endpoint)


def _check(claims: Json, app: EntraApp, endpoint: str) -> None:
    if claims.get("aud") != endpoint:
        raise AssertionRefused(700023, "Client assertion audience claim does not match Realm issuer.")
    if not claims.get("iss") == claims.get("sub") == app.client:
        raise _unproven("iss or sub is not the client id")
    begins, ends = claims.get("nbf", 0), claims.get("exp")
    if not isinstance(ends, int | float) or not isinstance(begins, int | float) or not claims.get("jti"):
        raise _unproven("exp or jti is missing")
    if not ends + _SKEW > time.time() > begins - _SKEW:
        raise AssertionRefused(700024, "Client assertion is not within its valid time range.")


def _unproven(why: str) -> AssertionRefused:
    text = f"The certificate with identifier used to sign the client assertion is not registered or not fit: {why}."
    return AssertionRefused(700027, text)


def _parts(assertion: str) -> tuple[Json, Json, bytes]:
    try:
        head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
        read = json.loads(head), json.loads(claims), signature
    except ValueError:
        raise _unproven("it is no JWT") from None
    if not (isinstance(read[0], dict) and isinstance(read[1], dict)):
        raise _unproven("it is no JWT")
    return read


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
