"""What all network plugins share: the fields of an endpoint, TLS contexts, and what a socket's error means."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from pydantic import ValidationError

from gatewayd import AuthError, ConfigError, Endpoint, GatewaydError, Secret, TransientError, socket_errors, tls_context
from gatewayd.api.options import Options
from tests.patience import AT_ONCE

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
    error.verify_code = 18
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


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("imaps://imap.example.com", "alone"),
        ("https://imap.example.com/mail", "alone"),
        ("imap.example.com:993", "993 as `port`"),
        ("192.0.2.7:143", "143 as `port`"),
        ("[::1]", "expected ::1, without brackets"),
        ("::1]", "expected ::1, without brackets"),
        ("“imap.example.com”", "expected a name"),
        ("'imap.example.com'", "expected a name"),
        ("imap.example.com,", "expected a name"),
        ("imap.example.com/INBOX", "expected a name"),
    ],
)
def test_what_is_no_host_is_told_in_words(host: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        server(host=host)
    (error,) = caught.value.errors()
    assert says in error["msg"]
    assert "^" not in error["msg"]


# --- which mailbox ----------------------------------------------------------------------------------------------------


STANDARD = {143, 993}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"port": 143, "security": "starttls"},
        {"port": 993},
        {"host": "IMAP.Example.COM"},
        {"host": "imap.example.com."},
        {"username": "ANNA"},
        {"security": "none", "insecure": True},
    ],
)
def test_one_mailbox_is_one_however_it_is_written(fields: dict[str, Any]) -> None:
    assert server(**fields).mailbox(STANDARD) == server().mailbox(STANDARD) == "anna at imap.example.com"


@pytest.mark.parametrize("fields", [{"port": 1143}, {"host": "imap2.example.com"}, {"username": "bert"}])
def test_other_mailboxes_are_others(fields: dict[str, Any]) -> None:
    assert server(**fields).mailbox(STANDARD) != server().mailbox(STANDARD)


@pytest.mark.parametrize(
    "hosts", [("::1", "127.0.0.1", "localhost"), ("2001:db8::1", "2001:DB8:0:0::1"), ("bücher.example", "xn--bcher-kva.example")]
)
def test_one_host_is_one_however_it_is_written(hosts: tuple[str, ...]) -> None:
    assert len({server(host=host).mailbox(STANDARD) for host in hosts}) == 1


# --- a certificate of another name ------------------------------------------------------------------------------------


def test_the_names_of_a_certificate_of_another_name_are_told(tmp_path: Path) -> None:
    authority, path = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example.com", "*.example.net", *(f"x{number}.example" for number in range(9))).configure_cert(
        context
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                plain, _ = listener.accept()
                with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as tls:
                    tls.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        options = server(host="localhost", ca_file=str(path), port=port)
        with (
            pytest.raises(AuthError) as caught,
            socket_errors(options, port),
            socket.create_connection(("localhost", port)) as plain,
        ):
            tls_context(path).wrap_socket(plain, server_hostname="localhost")
        thread.join(10)
    assert ".. " not in caught.value.sentences
    assert "not valid for 'localhost'; it is for mail.example.com, *.example.net, x0.example" in caught.value.message
    assert "and 6 more" in caught.value.message


def test_P6_a_server_that_drips_when_it_is_asked_for_its_names_meets_a_deadline(tmp_path: Path) -> None:
    authority, path = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    over = threading.Event()

    def drip() -> None:
        plain, _ = listener.accept()
        with plain, suppress(OSError):
            # The beginning of a TLS record of 16 KiB.
            plain.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.1):
                plain.sendall(b"x")

    error = ssl.SSLCertVerificationError(1, "Hostname mismatch")
    error.verify_code, error.verify_message = 62, "Hostname mismatch"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=drip)
        thread.start()
        options = server(host="localhost", ca_file=str(path), port=port, timeout="1s")
        began = time.monotonic()
        with pytest.raises(AuthError, match=r"Hostname mismatch$"), socket_errors(options, port):
            raise error
        assert time.monotonic() - began < AT_ONCE
        over.set()
        thread.join()
