"""The transport ``imap`` against a real Dovecot."""

from __future__ import annotations

import hashlib
import itertools
import time
import tracemalloc
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal

import pytest
import trustme
from pydantic import ValidationError

from gatewayd import CHUNK, Action, AuthError, Came, Failed, Gone, Listed, PermanentError, Secret, Spool, TransientError
from gatewayd.testing.contract_transport import Site, TransportContract, message
from gatewayd.testing.nasties import nasties
from gatewayd.testing.proxy import Fault, FaultProxy
from gatewayd.testing.servers import Dovecot
from gatewayd_imap import gatewayd_transports
from gatewayd_imap.transport import Imap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Fetched
    from gatewayd_imap.transport import ImapSession

PORTS = {"tls": "imaps", "starttls": "imap", "none": "imap"}
COUNT = itertools.count()


class DovecotSite(Site):
    """A new user of a Dovecot."""

    def __init__(self, dovecot: Dovecot, security: str = "none", *, user: str = "", password: str = "correct horse") -> None:
        self.dovecot = dovecot
        self.user = user or f"imap{next(COUNT)}"
        dovecot.user(self.user, password)
        self.host, self.port, self.security = dovecot.host, dovecot.ports[PORTS[security]], security

    def transport(self, **fields: object) -> Imap:
        given = {
            "host": self.host,
            "port": self.port,
            "security": self.security,
            "insecure": self.security == "none",
            "ca_file": str(self.dovecot.ca_file),
            "username": self.user,
            "password": Secret("file", str(self.dovecot.password_file(self.user))),
            "timeout": "20s",
        }
        return Imap(Imap.Options.model_validate({**given, **fields}), account="reservations")

    def deliver(self, messages: Sequence[bytes]) -> None:
        self.dovecot.deliver(self.user, messages, self.folder)

    def raw(self) -> Sequence[bytes]:
        return [raw for _, raw in sorted(self.dovecot.raw(self.user, self.folder).items())]

    def state(self) -> object:
        return self.dovecot.snapshot(self.user, self.folder)

    def remove(self, position: int) -> None:
        uid = self.dovecot.snapshot(self.user, self.folder).uids[position]
        with self.dovecot.client(self.user) as imap:
            imap.select(self.folder)
            imap.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
            imap.expunge()


class _ImapContract(TransportContract):
    security: ClassVar[str]
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


FOLDER = "Entwürfe & Co/日本"


@pytest.fixture
def site(dovecot: Dovecot) -> DovecotSite:
    return DovecotSite(dovecot)


@contextmanager
def behind(proxy: FaultProxy, site: DovecotSite, **fields: object) -> Iterator[ImapSession]:
    with proxy, closing(site.transport(port=proxy.port, **fields).open()) as session:
        yield session


def keys(session: ImapSession, folder: str = "INBOX", cursor: str | None = None) -> list[Listed]:
    return [one for page in session.listing(folder, cursor) for one in page.keys]


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


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_renumbered_folder_is_listed_anew_and_its_old_keys_are_gone(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(5)])
    with closing(site.transport().open()) as session:
        (first,) = session.listing("INBOX", None)
    site.dovecot.renumber(site.user)
    site.dovecot.rewrite(site.user, "INBOX", lambda raw: raw.replace(b"Subject: Booking", b"Subject: [ext] Booking"))
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        (second,) = session.listing("INBOX", first.cursor)
        assert {type(one) for one in session.fetch("INBOX", first.keys, spool)} == {Gone}
        assert list(session.headers("INBOX", [one.key for one in first.keys])) == []
        heads = [head for _, head in session.headers("INBOX", [one.key for one in second.keys])]
        assert list(session.listing("INBOX", second.cursor)) == []
    assert (first.others_gone, second.others_gone, second.backlog) == (False, True, True)
    assert not {one.key for one in first.keys} & {one.key for one in second.keys}
    assert all(b"[ext]" in head for head in heads)


def test_only_the_first_page_after_renumbering_says_that_others_are_gone(site: DovecotSite) -> None:
    site.deliver([message(number) for number in range(1_500)])
    with closing(site.transport().open()) as session:
        assert [page.others_gone for page in session.listing("INBOX", "1 1500 1500")] == [True, False]


def test_a_renumbered_folder_that_is_empty_is_heard_of(site: DovecotSite) -> None:
    with closing(site.transport().open()) as session:
        (page,) = session.listing("INBOX", "1 7 7")
        assert (page.keys, page.others_gone) == ((), True)
        assert list(session.listing("INBOX", page.cursor)) == []


def test_the_last_message_is_not_listed_again(site: DovecotSite) -> None:
    site.deliver([message(1), message(2)])
    with FaultProxy(site.host, site.port) as proxy, closing(site.transport(port=proxy.port).open()) as session:
        proxy.record = True
        (page,) = session.listing("INBOX", None)
        assert list(session.listing("INBOX", page.cursor)) == []
        recorded = proxy.sent_by_clients
    # Dovecot was asked, and named the last message (RFC 3501 section 6.4.8).
    assert b"SEARCH UID 3:*" in recorded


def test_messages_below_the_cursor_that_vanish_change_nothing(site: DovecotSite) -> None:
    site.deliver([message(number) for number in range(4)])
    with closing(site.transport().open()) as session:
        (page,) = session.listing("INBOX", None)
    site.remove(3)
    site.remove(0)
    with closing(site.transport().open()) as session:
        assert list(session.listing("INBOX", page.cursor)) == []
        assert len(keys(session)) == 2


def test_listings_say_size_and_arrival(site: DovecotSite) -> None:
    arrived = datetime(2025, 3, 1, 23, 30, 15, tzinfo=UTC)
    site.dovecot.deliver(site.user, [message(1, b"LF\nonly\n")], arrival=arrived)
    with closing(site.transport().open()) as session:
        (listed,) = keys(session)
    assert (listed.size, listed.arrival) == (len(site.raw()[0]), arrived)


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [FOLDER, 'a "quoted" one', "back\\slash", "&", "Börse &- Co", "tab\tand\nline", "%", "(x) {3}"])
def test_folders_are_named_as_people_read_them(site: DovecotSite, folder: str, tmp_path: Path) -> None:
    site.dovecot.deliver(site.user, [message(1)], folder)
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        (came,) = session.fetch(folder, keys(session, folder), spool)
        assert isinstance(came, Came)
        assert session.problems([folder], None) == []
        session.settle("INBOX", [], Action(do="move", folder=folder))


def test_keys_of_several_folders_are_told_apart(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(1)])
    site.dovecot.deliver(site.user, [message(2), message(3)], "Sent")
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        inbox, sent = keys(session), keys(session, "Sent")
        assert (len(inbox), len(sent)) == (1, 2)
        # Asked for in the wrong folder, a key is not mistaken for another message.
        assert [type(one) for one in session.fetch("Sent", inbox, spool)] == [Gone]
        assert [type(one) for one in session.fetch("INBOX", inbox, spool)] == [Came]


def test_problems_name_the_nearest_folder_and_the_missing_target(site: DovecotSite) -> None:
    site.dovecot.deliver(site.user, (), FOLDER)
    with closing(site.transport().open()) as session:
        (near,) = session.problems(["Entwürfe und Co/日本"], None)
        (far,) = session.problems(["xyz"], None)
        (target,) = session.problems(["INBOX"], Action(do="move", folder="Imported"))
        assert session.problems(["INBOX", FOLDER], Action(do="move", folder=FOLDER)) == []
        assert session.problems(["INBOX"], Action(do="delete")) == []
    assert repr("Entwürfe und Co/日本") in near
    assert f"the server has {FOLDER}: correct `folders`" in near
    assert f"the server has {FOLDER}, INBOX: correct `folders`" in far
    assert "'Imported'" in target


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_P8_a_message_of_20_mb_is_fetched_in_pieces_and_never_whole_in_memory(site: DovecotSite, tmp_path: Path) -> None:
    line = b"0123456789" * 7 + b"\r\n"
    site.deliver([message(1), message(2, line * 290_000), message(3)])
    with FaultProxy(site.host, site.port) as proxy, closing(site.transport(port=proxy.port).open()) as session:
        proxy.record = True
        listed = keys(session)
        with Spool(tmp_path / "spool") as spool:
            tracemalloc.start()
            found = list(session.fetch("INBOX", listed, spool))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            spool.seal()
            came = {one.key: one for one in found if isinstance(one, Came)}
            expected = hashlib.sha256(site.raw()[1]).digest()
            assert (came[listed[1].key].source.size, came[listed[1].key].digest) == (listed[1].size, expected)
            assert len(came) == 3
        recorded = proxy.sent_by_clients
    assert recorded.count(b"BODY.PEEK[]<") == 20_880_115 // CHUNK + 1
    assert peak < 8 * CHUNK


def test_P8_a_batch_goes_to_the_spool_as_it_comes(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number, b"0123456789" * 7 + b"\r\n") for number in range(2)])
    site.deliver([message(number, (b"x" * 70 + b"\r\n") * 20_000) for number in range(11)])
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        tracemalloc.start()
        found = list(session.fetch("INBOX", listed, spool))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert all(isinstance(one, Came) for one in found)
    assert sum(one.size or 0 for one in listed) > 14 * CHUNK
    assert peak < 4 * CHUNK


def test_P5_malformed_mail_comes_byte_for_byte(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([raw for _, raw in nasties()])
    expected = [hashlib.sha256(raw).digest() for raw in site.raw()]
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        found = {one.key: one for one in session.fetch("INBOX", listed, spool)}
        digests = [one.digest if isinstance(one := found[key.key], Came) else one for key in listed]
    assert digests == expected


def test_a_message_whose_file_is_lost_fails_or_is_gone_and_the_others_come(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(5)])
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        (site.dovecot.folder / "mail" / site.user / "new").joinpath(file_of(site, 2)).unlink()
        found = {one.key: type(one) for one in session.fetch("INBOX", listed, spool)}
    assert found.pop(listed[2].key) in (Gone, Failed)
    assert list(found.values()) == [Came] * 4


def file_of(site: DovecotSite, position: int) -> str:
    return sorted(file.name for file in (site.dovecot.folder / "mail" / site.user / "new").iterdir())[position]


def test_a_folder_that_is_gone_is_a_permanent_error(site: DovecotSite, tmp_path: Path) -> None:
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        with pytest.raises(PermanentError, match="'Gone'"):
            list(session.fetch("Gone", [Listed("7:1", 1)], spool))
        assert keys(session) == []


def test_a_full_disk_is_transient(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(1, b"x" * 100_000)])
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with closing(site.transport().open()) as session:
        listed = keys(session)
        spool = Spool(tmp_path / "spool")
        spool._file.close()
        spool._file = full.open("wb", buffering=0)  # type: ignore[assignment]  # every write to it fails
        with pytest.raises(TransientError, match="the spool can't be written: No space left"):
            list(session.fetch("INBOX", listed, spool))
        spool.close()


def test_P3_reading_sends_nothing_that_changes_anything(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number, b"x" * number) for number in range(1_200)])
    site.dovecot.deliver(site.user, [message(1, b"x" * (5 << 20))], FOLDER)
    before = site.dovecot.snapshot(site.user), site.dovecot.snapshot(site.user, FOLDER)
    proxy = FaultProxy(site.host, site.port)
    proxy.record = True
    with behind(proxy, site) as session, Spool(tmp_path / "spool") as spool:
        for folder in ("INBOX", FOLDER):
            listed = keys(session, folder)
            assert all(isinstance(one, Came) for one in session.fetch(folder, listed, spool))
            assert len(list(session.headers(folder, [one.key for one in listed]))) == len(listed)
        session.problems(["INBOX", "nowhere"], Action(do="delete"))
        session.close()
    commands = {line.split(b" ", 1)[1] for line in proxy.sent_by_clients.splitlines() if b" " in line}
    words = {command.split(b" ")[1] if command.startswith(b"UID ") else command.split(b" ")[0] for command in commands}
    assert words == {b"CAPABILITY", b"LOGIN", b"EXAMINE", b"SEARCH", b"FETCH", b"LIST", b"LOGOUT"}
    assert all(b"PEEK" in command for command in commands if b"BODY" in command)
    assert (site.dovecot.snapshot(site.user), site.dovecot.snapshot(site.user, FOLDER)) == before


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action(do="seen"), Action(do="move", folder=FOLDER), Action(do="delete")])
@pytest.mark.parametrize("capability", ["MOVE UIDPLUS", "UIDPLUS"])
def test_P3_settling_leaves_other_peoples_deleted_mail_alone(action: Action, capability: str) -> None:
    with Dovecot(imap_capability=f"IMAP4rev1 {capability}") as dovecot:
        site = DovecotSite(dovecot)
        site.deliver([message(number) for number in range(4)])
        dovecot.deliver(site.user, (), FOLDER)
        with dovecot.client(site.user) as other:
            other.select()
            other.uid("STORE", "1,4", "+FLAGS", "(\\Deleted)")
            other.unselect()
        with closing(site.transport().open()) as session:
            settled = [one.key for one in keys(session)][1:3]
            session.settle("INBOX", settled, action)
            session.settle("INBOX", settled, action)
            assert len(keys(session)) == (4 if action.do == "seen" else 2)
        flags = {uid: set(found) - {"\\Recent"} for uid, found, _ in dovecot.snapshot(site.user).messages}
        moved = dovecot.snapshot(site.user, FOLDER).messages
    rest = {2: {"\\Seen"}, 3: {"\\Seen"}} if action.do == "seen" else {}
    assert flags == {1: {"\\Deleted"}, 4: {"\\Deleted"}} | rest
    assert len(moved) == (2 if action.do == "move" else 0)
    assert all("\\Deleted" not in found and "\\Seen" not in found for _, found, _ in moved)


def test_settling_under_old_numbers_touches_nothing(site: DovecotSite) -> None:
    site.deliver([message(1)])
    before = site.dovecot.snapshot(site.user).uids
    with closing(site.transport().open()) as session:
        session.settle("INBOX", ["1:1", "no key"], Action(do="delete"))
    assert site.dovecot.snapshot(site.user).uids == before


def test_moving_to_a_missing_folder_names_it(site: DovecotSite) -> None:
    site.deliver([message(1)])
    with closing(site.transport().open()) as session:
        listed = [one.key for one in keys(session)]
        with pytest.raises(PermanentError, match="can't move to 'Nowhere'") as caught:
            session.settle("INBOX", listed, Action(do="move", folder="Nowhere"))
        assert "Nowhere" in caught.value.advice
        assert len(keys(session)) == 1


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
        proxy.fault = Fault(do="cut", after=500_000)
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
    proxy = FaultProxy(site.host, site.port, fault=Fault(do=do, after=after))
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
        proxy.fault = Fault(do="silence")
        start = time.monotonic()
        session.close()
        session.close()
    assert time.monotonic() - start < 5
