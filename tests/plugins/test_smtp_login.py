"""The forwarder ``smtp`` connects, starts TLS and logs in, and what it makes of a server that will not have it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal

import pytest
import trustme
from pydantic import ValidationError

from gatewayd import AuthError, ConfigError, GatewaydError, Secret, TransientError
from gatewayd.testing.servers.proxy import FaultProxy, StreamFault, free_ports
from gatewayd.testing.servers.smtp import CUT, SILENCE, SmtpServer, Step
from gatewayd_smtp.options import SmtpOptions
from tests.plugins.smtp_raw import speaking
from tests.plugins.smtp_site import PASSWORD, courier, forwarder, parcel, secret

if TYPE_CHECKING:
    from pathlib import Path

Security = Literal["tls", "starttls", "none"]
USER = "irina@tours.example"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def host(**fields: object) -> SmtpOptions:
    return SmtpOptions.model_validate({"host": "smtp.example.com", **fields})


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("none", 25)])
def test_the_port_follows_from_security(security: str, port: int) -> None:
    assert host(security=security, insecure=security == "none").effective_port == port
    assert host(security=security, insecure=security == "none", port=2525).where == "smtp.example.com:2525"


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "x"},
        {"password": Secret("env", "X")},
        {"security": "none"},
        {"hello": "a b"},
        {"hello": "x\r\nRSET"},
        {"hello": ""},
        {"port": 0},
    ],
)
def test_what_can_not_work_is_refused_at_load(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        host(**fields)


# --- security ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
@pytest.mark.parametrize("mechanisms", [("PLAIN", "LOGIN"), ("LOGIN",), ("XOAUTH2", "PLAIN")])
def test_mail_goes_with_every_security_and_log_in(tmp_path: Path, security: Security, mechanisms: tuple[str, ...]) -> None:
    with SmtpServer(security, users={USER: PASSWORD}, mechanisms=mechanisms) as server:
        with courier(server, username=USER, password=secret(tmp_path)) as opened:
            list(opened.deliver([parcel()]))
        (message,) = server.messages
        assert (message.user, message.tls) == (USER, security != "none")
        chosen = [line.split()[1] for line in server.commands if line.startswith("AUTH")]
        assert chosen == ["PLAIN" if "PLAIN" in mechanisms else "LOGIN"]


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_relay_takes_mail_without_a_log_in(security: Security) -> None:
    with SmtpServer(security) as server, courier(server) as opened:
        list(opened.deliver([parcel()]))
        assert server.messages[0].user == ""
        assert not [line for line in server.commands if line.startswith("AUTH")]


def test_a_long_password_waits_to_be_asked_for(tmp_path: Path) -> None:
    password = "x" * 400
    with (
        SmtpServer(users={USER: password}) as server,
        courier(server, username=USER, password=secret(tmp_path, password)) as opened,
    ):
        list(opened.deliver([parcel()]))
        assert server.messages[0].user == USER
        assert "AUTH PLAIN" in server.commands


def test_P9_without_starttls_nothing_but_a_greeting_is_sent(tmp_path: Path) -> None:
    with SmtpServer(users={USER: PASSWORD}) as server:
        wants = forwarder(server, security="starttls", username=USER, password=secret(tmp_path))
        with pytest.raises(AuthError, match="does not offer STARTTLS") as caught:
            wants.open()
        assert "plain text" in caught.value.advice
        assert [line.split()[0] for line in server.commands] == ["EHLO"]


@pytest.mark.parametrize(("answer", "error"), [("454 not now", TransientError), ("502 never", AuthError)])
def test_a_refused_starttls_sends_nothing_in_plain_text(answer: str, error: type[GatewaydError]) -> None:
    with SmtpServer("starttls") as server:
        server.answer = lambda step, _argument: answer if step == "STARTTLS" else None
        with pytest.raises(error, match=answer):
            forwarder(server).open()
        assert server.commands[-1] == "STARTTLS"


def test_P9_what_comes_behind_starttls_in_plain_text_counts_for_nothing() -> None:
    replies = {b"EHLO": b"250-x\r\n250 STARTTLS\r\n", b"STARTTLS": b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"}
    with speaking(replies) as server, pytest.raises(TransientError, match="expected an SMTP reply, got '250-x"):
        forwarder(server, security="starttls").open()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_P9_a_certificate_of_somebody_elses_is_not_trusted(tmp_path: Path, security: Security) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with SmtpServer(security) as server:
        with pytest.raises(AuthError, match="the server's certificate is not trusted"):
            forwarder(server, ca_file=str(other)).open()
        with pytest.raises(AuthError, match="the server's certificate is not trusted"):
            forwarder(server, ca_file=None).open()
        assert not [line for line in server.commands if line.startswith("MAIL")]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_P9_a_certificate_for_another_name_is_not_trusted(security: Security) -> None:
    with SmtpServer(security) as server, FaultProxy("127.0.0.1", server.port, address="127.0.0.2") as proxy:
        wants = forwarder(server, host="127.0.0.2", port=proxy.port)
        with pytest.raises(AuthError, match="not trusted: IP address mismatch"):
            wants.open()


def test_a_ca_file_that_is_none_is_a_fault_of_the_config(tmp_path: Path) -> None:
    with SmtpServer("tls") as server, pytest.raises(ConfigError, match="ca_file"):
        forwarder(server, ca_file=str(tmp_path / "missing.pem")).open()


def test_tls_against_a_plain_port_is_transient() -> None:
    with SmtpServer() as server, pytest.raises(TransientError, match="TLS failed"):
        forwarder(server, security="tls").open()


# --- log-in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_told(tmp_path: Path, mechanism: str) -> None:
    with SmtpServer(users={USER: PASSWORD}, mechanisms=[mechanism]) as server:
        with pytest.raises(AuthError, match=f"log-in as '{USER}' was refused: the server answered '535 5.7.8") as caught:
            forwarder(server, username=USER, password=secret(tmp_path, "wrong")).open()
        assert "password" in caught.value.advice


@pytest.mark.parametrize(
    ("answer", "error"),
    [("454 4.7.0 later", TransientError), ("534 too weak", AuthError), ("334 ", AuthError), ("421 no", TransientError)],
)
def test_the_reply_says_whose_matter_a_refused_log_in_is(tmp_path: Path, answer: str, error: type[GatewaydError]) -> None:
    with SmtpServer(users={USER: PASSWORD}) as server:
        server.answer = lambda step, _argument: answer if step == "AUTH" else None
        with pytest.raises(error, match="was refused"):
            forwarder(server, username=USER, password=secret(tmp_path)).open()


def test_P9_a_server_that_echoes_the_password_is_not_quoted(tmp_path: Path) -> None:
    for echoed in (PASSWORD, encoded(PASSWORD), encoded(f"\0{USER}\0{PASSWORD}")):
        for mechanism in ("PLAIN", "LOGIN"):
            replies = {
                b"EHLO": b"250-x\r\n250 AUTH " + mechanism.encode() + b"\r\n",
                b"AUTH": f"535 {echoed} is wrong\r\n".encode(),
            }
            with speaking(replies) as server, pytest.raises(AuthError, match="was refused") as caught:
                forwarder(server, username=USER, password=secret(tmp_path)).open()
            if mechanism == "PLAIN" or echoed != encoded(f"\0{USER}\0{PASSWORD}"):
                assert echoed not in repr(caught.value)


@pytest.mark.parametrize("password", [PASSWORD, "long" * 100])
@pytest.mark.parametrize("around", [b"535 %s\r\n", b"%s\r\n", b"535-no\r\n535 %s\r\n"])
def test_P9_no_part_of_an_echoed_password_is_quoted(tmp_path: Path, password: str, around: bytes) -> None:
    echoed = encoded(f"\0{USER}\0{password}")
    replies = {b"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", b"AUTH": around % f"AUTH PLAIN {echoed}".encode()}
    with speaking(replies) as server, pytest.raises((AuthError, TransientError)) as caught:
        forwarder(server, username=USER, password=secret(tmp_path, password)).open()
    assert echoed[:24] not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("mechanisms", [["CRAM-MD5", "XOAUTH2"], []])
def test_a_server_that_takes_no_password_is_told(tmp_path: Path, mechanisms: list[str]) -> None:
    with SmtpServer(users={USER: PASSWORD}, mechanisms=mechanisms) as server:
        with pytest.raises(AuthError, match="offers no log-in by AUTH PLAIN or LOGIN"):
            forwarder(server, username=USER, password=secret(tmp_path)).open()
        assert not [line for line in server.commands if line.startswith("AUTH")]


def test_a_server_that_wants_a_log_in_which_we_do_not_have_is_told() -> None:
    with SmtpServer(users={USER: PASSWORD}) as server, courier(server) as opened, pytest.raises(AuthError, match=r"530 5\.7\.0"):
        list(opened.deliver([parcel()]))


def test_what_smtp_can_not_send_is_refused(tmp_path: Path) -> None:
    with SmtpServer(users={USER: PASSWORD}) as server:
        with pytest.raises(AuthError, match="holds a NUL"):
            forwarder(server, username="irina\0", password=secret(tmp_path)).open()
        with pytest.raises(AuthError, match="missing"):
            forwarder(server, username="irina", password=Secret("file", str(tmp_path / "missing"))).open()
        assert not [line for line in server.commands if line.startswith("AUTH")]


# --- connecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["connect", "EHLO", "STARTTLS", "AUTH"])
@pytest.mark.parametrize("answer", [CUT, "421 4.3.2 too busy", SILENCE])
def test_a_server_that_will_not_have_us_now_is_transient(tmp_path: Path, step: Step, answer: str) -> None:
    with SmtpServer("starttls", users={USER: PASSWORD}) as server:
        server.answer = lambda at, _argument: answer if at == step else None
        with pytest.raises(TransientError) as caught:
            forwarder(server, username=USER, password=secret(tmp_path), timeout="1s").open()
        assert ("too busy" in caught.value.message) == answer.startswith("421")


@pytest.mark.parametrize("step", ["connect", "EHLO"])
def test_a_server_that_never_has_us_is_transient_too_since_no_mail_was_refused(step: Step) -> None:
    with SmtpServer() as server:
        server.answer = lambda at, _argument: "554 5.7.1 not you" if at == step else None
        with pytest.raises(TransientError, match=r"554 5\.7\.1 not you") as caught:
            forwarder(server).open()
        assert "hello" in caught.value.advice


def test_a_server_that_is_not_there_is_transient() -> None:
    with SmtpServer() as server:
        wants = forwarder(server, port=free_ports(1)[0])
        with pytest.raises(TransientError, match="connection refused"):
            wants.open()


@pytest.mark.parametrize("do", ["cut", "reset", "garbage"])
def test_a_connection_that_goes_wrong_while_it_is_opened_is_transient(do: Literal["cut", "reset", "garbage"]) -> None:
    with SmtpServer() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        for after in (0, 1, 10, 60):
            proxy.fault = StreamFault(do=do, after=after)
            with pytest.raises(TransientError):
                forwarder(server, port=proxy.port).open()


def test_we_greet_with_our_name_or_our_own_address() -> None:
    with SmtpServer() as server:
        for given in (None, "gw.tours.example"):
            with courier(server, hello=given):
                pass
        assert [line for line in server.commands if line.startswith("EHLO")] == ["EHLO [127.0.0.1]", "EHLO gw.tours.example"]


def test_we_greet_with_an_ipv6_address_as_such() -> None:
    with speaking({}, address="::1") as server:
        forwarder(server).open().close()
    assert server.heard.startswith(b"ehlo [IPv6:::1]\r\n")


def test_P9_no_repr_shows_a_password(tmp_path: Path) -> None:
    with SmtpServer(users={USER: PASSWORD}) as server:
        wants = forwarder(server, username=USER, password=secret(tmp_path))
        assert PASSWORD not in repr(wants.options)
        with courier(server, username=USER, password=secret(tmp_path)) as opened:
            assert PASSWORD not in repr(vars(opened)) + repr(server.commands)
