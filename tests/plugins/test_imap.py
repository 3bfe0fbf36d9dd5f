"""The transport ``imap`` against a real Dovecot: the contract of all transports, options and connections."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar, Literal

import pytest
import trustme
from pydantic import ValidationError

from gatewayd import Action, AuthError, Came, Listed, Secret, Spool, TransientError
from gatewayd.testing.contracts.transport import TransportContract, message
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy, StreamFault
from gatewayd_imap import gatewayd_transports
from gatewayd_imap.transport import Imap
from tests.patience import AT_ONCE
from tests.plugins.imap_site import COUNT, DovecotSite, behind, keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd import Fetched


class _ImapContract(TransportContract):
    security: ClassVar[str]
    can_watch = True
    actions: ClassVar[Sequence[Action]] = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    @pytest.fixture
    def site(self, dovecot: Dovecot) -> DovecotSite:
        site = DovecotSite(dovecot, self.security)
        dovecot.deliver(site.user, (), "Imported")
        return site


class TestImapOverTls(_ImapContract):
    security = "tls"


class TestImapWithStarttls(_ImapContract):
    security = "starttls"


class TestImapInPlainText(_ImapContract):
    security = "none"


@pytest.fixture
def site(dovecot: Dovecot) -> DovecotSite:
    return DovecotSite(dovecot)


# --- offers and options -----------------------------------------------------------------------------------------------


def test_the_plugin_offers_one_transport() -> None:
    (offered,) = gatewayd_transports()
    assert (offered.kind, offered.max_sessions, offered.tells_arrival, offered.keys_span_folders) == ("imap", None, True, False)


@pytest.mark.parametrize(("security", "port"), [("tls", 993), ("starttls", 143)])
def test_the_standard_port_follows_from_security(security: str, port: int) -> None:
    given = {"host": "imap.example.com", "username": "a", "password": Secret("env", "X"), "security": security}
    options = Imap.Options.model_validate(given)
    assert (options.effective_port, options.where) == (port, f"imap.example.com:{port}")


def test_plain_text_must_be_spelled_out() -> None:
    with pytest.raises(ValidationError, match="insecure: true"):
        Imap.Options.model_validate({"host": "h", "username": "a", "password": Secret("env", "X"), "security": "none"})


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_certificate_of_another_authority_is_not_trusted(dovecot: Dovecot, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    for security in ("tls", "starttls"):
        for ca_file in (None, str(other)):
            with pytest.raises(AuthError, match="not trusted") as caught:
                DovecotSite(dovecot, security).transport(ca_file=ca_file).open()
            assert "ca_file" in caught.value.advice


def test_a_certificate_for_another_name_is_not_trusted(dovecot: Dovecot) -> None:
    for security in ("tls", "starttls"):
        site = DovecotSite(dovecot, security)
        with FaultProxy(site.host, site.port, address="127.0.0.2") as proxy, pytest.raises(AuthError, match="not trusted"):
            site.transport(host="127.0.0.2", port=proxy.port).open()


def test_P9_without_starttls_no_password_is_sent() -> None:
    with Dovecot(ssl="no") as dovecot:
        site = DovecotSite(dovecot, "starttls")
        with FaultProxy(site.host, site.port) as proxy:
            proxy.record = True
            with pytest.raises(AuthError, match="does not offer STARTTLS"):
                site.transport(port=proxy.port).open()
        assert b"LOGIN" not in proxy.sent_by_clients
        assert b"AUTHENTICATE" not in proxy.sent_by_clients


def test_the_wrong_security_for_a_port_is_transient_with_advice(dovecot: Dovecot) -> None:
    with pytest.raises(TransientError, match="TLS failed") as caught:
        DovecotSite(dovecot, "tls").transport(port=dovecot.ports["imap"]).open()
    assert "security" in caught.value.advice


def test_an_unknown_host_is_transient(site: DovecotSite) -> None:
    with pytest.raises(TransientError, match="host not found"):
        site.transport(host="no-such-host.invalid").open()


@pytest.mark.parametrize("password", ['qu"ote\\', "schön ☃", " spaces ", "back\\slash"])
@pytest.mark.parametrize("user", ["ännä", "anna+sales@example.com"])
def test_any_user_and_password_can_log_in(dovecot: Dovecot, user: str, password: str, tmp_path: Path) -> None:
    site = DovecotSite(dovecot, user=f"{next(COUNT)}{user}", password=password)
    site.transport().open().close()
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{password}x")
    with pytest.raises(AuthError):
        site.transport(password=Secret("file", str(wrong))).open()


def test_too_many_connections_are_transient() -> None:
    with Dovecot(mail_max_userip_connections="1") as dovecot:
        site = DovecotSite(dovecot)
        with closing(site.transport().open()), pytest.raises(TransientError):
            site.transport().open()


def test_P2_what_came_before_the_connection_broke_stands(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number, b"x" * 40_000) for number in range(20)])
    expected = [hashlib.sha256(raw).digest() for raw in site.raw()]
    proxy = FaultProxy(site.host, site.port)
    with behind(proxy, site) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        proxy.fault = StreamFault(do="cut", after=500_000)
        fetching = session.fetch("INBOX", listed, spool)
        came: list[bytes] = []
        with pytest.raises(TransientError, match="closed inside a message"):  # noqa: PT012  what came before is kept
            for one in fetching:
                assert isinstance(one, Came)
                came.append(one.digest)
    assert 5 < len(came) < 15
    assert came == expected[: len(came)]


def found_until_it_breaks(transport: Imap, spool: Spool, listed: list[Listed], found: list[Fetched]) -> None:
    with closing(transport.open()) as session:
        listed += keys(session)
        for one in session.fetch("INBOX", listed, spool):
            found.append(one)  # noqa: PERF402  what came before it broke is kept


@pytest.mark.parametrize("do", ["cut", "reset", "silence"])
@pytest.mark.parametrize("after", [10, 200, 600, 1_000, 40_000, 150_000])
def test_P2_wherever_the_connection_breaks_nothing_half_comes(
    site: DovecotSite, tmp_path: Path, do: Literal["cut", "reset", "silence"], after: int
) -> None:
    site.deliver([message(number, b"x" * 20_000) for number in range(11)])
    expected = [hashlib.sha256(raw).digest() for raw in site.raw()]
    proxy = FaultProxy(site.host, site.port, fault=StreamFault(do=do, after=after))
    found: list[Fetched] = []
    listed: list[Listed] = []
    with proxy, Spool(tmp_path / "spool") as spool, pytest.raises(TransientError):
        found_until_it_breaks(site.transport(port=proxy.port, timeout="1s"), spool, listed, found)
    by_key = dict(zip((one.key for one in listed), expected, strict=False))
    assert all(isinstance(one, Came) and one.digest == by_key[one.key] for one in found)
    assert len(found) < 10


def test_a_session_that_was_cut_off_closes_in_silence(site: DovecotSite) -> None:
    proxy = FaultProxy(site.host, site.port)
    with proxy:
        session = site.transport(port=proxy.port).open()
        proxy.fault = StreamFault(do="silence")
        start = time.monotonic()
        session.close()
        session.close()
    assert time.monotonic() - start < AT_ONCE
