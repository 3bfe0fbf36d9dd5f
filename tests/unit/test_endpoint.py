"""What all network plugins share: the fields of an endpoint, TLS contexts, and what a socket's error means."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from pydantic import ValidationError

from gatewayd import AuthError, ConfigError, Endpoint, GatewaydError, Secret, TransientError, socket_errors, tls_context
from gatewayd.options import Options

if TYPE_CHECKING:
    from pathlib import Path


class Server(Endpoint, Options):
    """An endpoint as a plugin has it."""


def server(**fields: Any) -> Server:
    given = {"host": "imap.example.com", "username": "anna", "password": Secret("env", "NONE")} | fields
    return Server.model_validate(given)


def test_tls_is_the_default_and_plain_text_is_spelled_out() -> None:
    assert (server().security, server().port, server().timeout) == ("tls", None, 60)
    assert server(security="none", insecure=True).security == "none"
    with pytest.raises(ValidationError, match="insecure: true"):
        server(security="none")


@pytest.mark.parametrize(
    "fields",
    [
        {"host": ""},
        {"host": "imap://example.com"},
        {"host": "anna@example.com"},
        {"host": "two words"},
        {"host": "a..b"},
        {"host": "x" * 64 + ".example"},
        {"host": "nul\0"},
        {"port": 0},
        {"port": 65536},
        {"port": "993"},
        {"security": "ssl"},
        {"timeout": "0s"},
        {"timeout": "2h"},
        {"username": ""},
        {"password": "plain"},
        {"prot": 993},
    ],
)
def test_fields_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        server(**fields)


@pytest.mark.parametrize("host", ["localhost", "192.0.2.7", "::1", "bücher.example"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert server(host=host).host == host


# --- TLS ------------------------------------------------------------------------------------------------------------------


def test_P9_contexts_verify_and_are_shared(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    context = tls_context(path)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert tls_context(path) is context
    assert tls_context(None) is not context
    assert tls_context(None) is tls_context(None)
    assert tls_context(None).verify_mode == ssl.CERT_REQUIRED


def test_a_ca_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    before = tls_context(path)
    trustme.CA().cert_pem.write_to_path(str(path))
    os.utime(path, ns=(1, 1))
    assert tls_context(path) is not before


@pytest.mark.parametrize(("content", "expected"), [(None, "No such file"), (b"", "no certificate"), (b"no PEM\n", "certificate")])
def test_a_ca_file_that_is_none_is_a_config_error(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as raised:
        tls_context(path)
    assert str(path) in raised.value.message
    assert "PEM" in raised.value.advice
    with pytest.raises(ConfigError, match="Is a directory"):
        tls_context(tmp_path)


# --- errors of sockets ----------------------------------------------------------------------------------------------------


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "kind", "expected"),
    [
        (certificate_error(), AuthError, "certificate is not trusted: self-signed certificate"),
        (ssl.SSLError(1, "wrong version number"), TransientError, "TLS failed"),
        (ssl.SSLEOFError(8, "EOF occurred"), TransientError, "TLS failed"),
        (TimeoutError("timed out"), TransientError, "no answer within 60 s"),
        (socket.gaierror(-2, "Name or service not known"), TransientError, "host not found: Name or service not known"),
        (ConnectionRefusedError(111, "Connection refused"), TransientError, "connection refused"),
        (ConnectionResetError(104, "Connection reset by peer"), TransientError, "connection lost: Connection reset by peer"),
        (BrokenPipeError(32, "Broken pipe"), TransientError, "connection lost: Broken pipe"),
        (OSError("cannot read from timed out object"), TransientError, "connection lost: cannot read"),
        (EOFError("x"), None, ""),
        (KeyError("x"), None, ""),
    ],
)
def test_every_error_of_a_socket_has_its_verb_and_names_the_place(
    error: Exception, kind: type[GatewaydError] | None, expected: str
) -> None:
    with pytest.raises(kind or type(error)) as raised, socket_errors(server(), 993):
        raise error
    if kind is None:
        return
    assert isinstance(raised.value, GatewaydError)
    assert raised.value.message.startswith("imap.example.com:993: ")
    assert expected in raised.value.message
    assert raised.value.advice
    assert raised.value.__cause__ is error


def test_errors_of_ours_pass_as_they_are() -> None:
    mine = TransientError("busy")
    with pytest.raises(TransientError) as raised, socket_errors(server(), 993):
        raise mine
    assert raised.value is mine
