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
    """An assertion that does not prove who the client is; its text says why."""


def verify_assertion(assertion: str, app: EntraApp, endpoint: str) -> None:
    """Raise AssertionRefused unless the assertion names the app and the token endpoint, and is signed with the app's key."""
    head, claims, signature = _parts(assertion)
    scheme = _PADDINGS.get(str(head.get("alg")))
    if not app.certificate or scheme is None:
        raise AssertionRefused("no certificate is registered, or alg is neither RS256 nor PS256")
    certificate = load_pem_x509_certificate(app.certificate.encode())
    key = certificate.public_key()
    thumbprints = {"x5t": certificate.fingerprint(hashes.SHA1()), "x5t#S256": certificate.fingerprint(_SHA256)}  # noqa: S303  as the header x5t has it
    # msal leaves the padding in.
    if not any(str(head.get(name)).rstrip("=") == _encoded(thumbprint) for name, thumbprint in thumbprints.items()):
        raise AssertionRefused("the thumbprint is not that of the registered certificate")
    if not isinstance(key, rsa.RSAPublicKey):
        raise AssertionRefused("the certificate's key is not RSA")
    try:
        key.verify(signature, assertion.rpartition(".")[0].encode(), scheme, _SHA256)
    except InvalidSignature:
        raise AssertionRefused("the signature does not fit") from None
    _check(claims, app, endpoint)


def _check(claims: Json, app: EntraApp, endpoint: str) -> None:
    if claims.get("aud") != endpoint:
        raise AssertionRefused("aud is not the token endpoint")
    if not claims.get("iss") == claims.get("sub") == app.client:
        raise AssertionRefused("iss or sub is not the client id")
    ends = claims.get("exp")
    if not isinstance(ends, int | float) or ends <= time.time() - _SKEW or not claims.get("jti"):
        raise AssertionRefused("it has ended, or exp or jti is missing")


def _parts(assertion: str) -> tuple[Json, Json, bytes]:
    try:
        head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
        read = json.loads(head), json.loads(claims), signature
    except ValueError:
        raise AssertionRefused("it is no JWT") from None
    if not (isinstance(read[0], dict) and isinstance(read[1], dict)):
        raise AssertionRefused("it is no JWT")
    return read


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
