from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.unit.testing.graph.graph_client import Client

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from gatewayd.testing.graph import Graph

JWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def _certificate(days: int) -> Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    end = datetime.now(UTC) + timedelta(days=days)
    builder = x509.CertificateBuilder(name, name, _key().public_key(), 1, end - timedelta(days=9), end)
    return builder.sign(_key(), hashes.SHA256())


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _assertion(client: Client, **change: Any) -> str:
    head = {"typ": "JWT", "x5t#S256": _part(_certificate(change.get("days", 8)).fingerprint(hashes.SHA256()))}
    endpoint = f"{client.graph.authority}/{client.app.tenant}/oauth2/v2.0/token"
    now = int(time.time())
    claims: dict[str, object] = {
        "aud": endpoint,
        "iss": client.app.client,
        "sub": client.app.client,
        "jti": "1",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    head["alg"] = str(change.get("alg", "PS256"))
    head["x5t#S256"] += str(change.get("padding", ""))
    claims |= {name: value for name, value in change.items() if name in claims}
    signed = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    scheme = pss if head["alg"] == "PS256" else padding.PKCS1v15()
    return f"{signed}.{_part(_key().sign(signed.encode(), scheme, hashes.SHA256()))}"


def _codes(client: Client, assertion: str) -> list[int]:
    answer = client.post_token(client_secret="", client_assertion_type=JWT, client_assertion=assertion)
    return list(answer.json.get("error_codes", []))


@pytest.fixture
def certified(graph: Graph) -> Client:
    app = graph.add_app(certificate=_certificate(8).public_bytes(serialization.Encoding.PEM).decode())
    return Client(graph, app=app)


@pytest.mark.parametrize("alg", ["PS256", "RS256"])
def test_the_key_of_the_registered_certificate_proves_the_app(certified: Client, alg: str) -> None:
    with certified as client:
        assert _codes(client, _assertion(client, alg=alg)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aud": "https://x.example"}, 700023),
        ({"iss": "other"}, 700027),
        ({"sub": "other"}, 700027),
        ({"exp": 1_700_000_000}, 700024),
        ({"nbf": 1e12, "exp": 2e12}, 700024),
        ({"exp": None}, 700027),
        ({"jti": ""}, 700027),
        ({"alg": "none"}, 700027),
    ],
)
def test_an_assertion_for_something_else_or_of_another_time_is_refused(
    certified: Client, change: dict[str, object], code: int
) -> None:
    with certified as client:
        assert _codes(client, _assertion(client, **change)) == [code]


def test_padding_and_fractions_of_seconds_are_as_msal_has_them(certified: Client) -> None:
    with certified as client:
        assert _codes(client, _assertion(client, exp=time.time() + 600.5, padding="=")) == []


def test_another_signature_or_no_certificate_is_refused(certified: Client) -> None:
    with certified as client:
        whole = _assertion(client)
        for wrong in (whole[:-8] + "AAAAAAAA", whole.replace(".", "", 1), "W10.W10.AA", "e30.e30.AA"):
            assert _codes(client, wrong) == [700027]
        client.app.certificate = _certificate(-1).public_bytes(serialization.Encoding.PEM).decode()
        assert _codes(client, _assertion(client, days=-1)) == [1000502]
        client.app.certificate = ""
        assert _codes(client, whole) == [700026]
