"""The certificates of the stand-in: a CA of its own, and one for both of its hosts (RFC 5280)."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["server_certificate"]

#: Longer than any process of tests, and short enough for clients that refuse what is valid for years.
_LASTS = timedelta(days=90)
_ADDRESS = IPv4Address("127.0.0.1")


@cache
def server_certificate(host: str) -> tuple[bytes, SSLContext]:
    """Return the certificate of a CA (PEM), and a TLS context for the host and 127.0.0.1. All stand-ins of a process share them."""
    ca_key, key = _new_key(), _new_key()
    ca = _name("CA of the stand-in for Microsoft")
    is_ca = (x509.BasicConstraints(ca=True, path_length=0), True), (_usage(signs=True), True)
    root = _signed(ca, ca_key, ca, ca_key, is_ca)
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(_ADDRESS)])
    leaf = _signed(_name(host), key, ca, ca_key, [(known, False), (names, False), (_usage(signs=False), True)])
    context = SSLContext(PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(prefix="graph-") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return root.public_bytes(Encoding.PEM), context


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    """Return a certificate; each extension is with whether it is critical."""
    now = datetime.now(UTC)
    # A day back: clocks differ.
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + _LASTS)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(issuer_key, SHA256())
