"""The transport ``pop3`` against a real Dovecot."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest
from pydantic import ValidationError

from gatewayd import CHUNK, Action, AuthError, Came, Secret, Spool, TransientError
from gatewayd.testing.contracts.transport import Site, TransportContract
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy, StreamFault
from gatewayd_pop3 import gatewayd_transports
from gatewayd_pop3.transport import Pop3

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gatewayd_pop3.transport import Pop3Session

PORTS = {"tls": "pop3s", "starttls": "pop3", "none": "pop3"}


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(pop3_no_flag_updates="yes") as server:
        yield server


@pytest.fixture
def user(dovecot: Dovecot, request: pytest.FixtureRequest) -> str:
    name = f"u{abs(hash(request.node.nodeid)):x}"
    dovecot.user(name, "correct horse")
    return name


def transport(dovecot: Dovecot, user: str, security: str = "none", **fields: object) -> Pop3:
    given = {
        "host": dovecot.host,
        "port": dovecot.ports[PORTS[security]],
        "security": security,
        "insecure": security == "none",
        "ca_file": str(dovecot.ca_file),
        "username": user,
        "password": Secret("file", str(dovecot.password_file(user))),
        "timeout": "20s",
    }
    return Pop3(Pop3.Options.model_validate({**given, **fields}), account="irina")


class Watched(Spool):
    """A spool that remembers the largest piece it was handed."""

    largest = 0

    def put(self, key: str, chunks: Iterable[bytes]) -> Came:
        return super().put(key, (self._seen(chunk) for chunk in chunks))

    def _seen(self, chunk: bytes) -> bytes:
        self.largest = max(self.largest, len(chunk))
        return chunk


def drained(session: Pop3Session, path: Path) -> tuple[list[bytes], int]:
    """Return every message of the mailbox, and the largest piece that the spool was handed."""
    (page,) = session.listing("INBOX", None)
    with Watched(path / "spool") as spool:
        came = [one for one in session.fetch("INBOX", page.keys, spool) if isinstance(one, Came)]
        spool.seal()
        assert [one.key for one in came] == [one.key for one in page.keys]
        assert [one.source.size for one in came] == [one.size for one in page.keys]
        return [one.source.read(0, one.source.size) for one in came], spool.largest


def deletions(dovecot: Dovecot, user: str, sessions: int) -> list[int]:
    """Return how many messages each of the user's POP3 sessions deleted, as Dovecot itself has logged it."""
    for _ in range(100):
        found = re.findall(rf"pop3\({re.escape(user)}\).* del=(\d+)/", dovecot.log())
        if len(found) >= sessions:
            break
        time.sleep(0.05)
    return [int(number) for number in found]


def mail(number: int, body: bytes = b"hello\r\n") -> bytes:
    return b"Message-ID: <%d@example.com>\r\nSubject: Booking %d\r\n\r\n%s" % (number, number, body)


MAILS = [
    mail(1),
    mail(2, b".\r\n..\r\n.dot\r\n...\r\n\r\n.\r\n"),
    mail(3, b"8-bit \xff\xfe and \x00 NUL\r\n"),
    mail(4, b"x" * 300_000 + b"\r\n.short\r\n" + b"." * 5000 + b"\r\n"),
    mail(5, b""),
    *(mail(number, b"%d\r\n" % number * 400) for number in range(6, 200)),
]


class DovecotSite(Site):
    """A new user of a Dovecot, with its mailbox."""

    def __init__(self, dovecot: Dovecot, user: str, security: str) -> None:
        self.dovecot, self.user, self.security = dovecot, user, security
        self.host, self.port = dovecot.host, dovecot.ports[PORTS[security]]

    def transport(self, **fields: object) -> Pop3:
        return transport(self.dovecot, self.user, self.security, **fields)

    def deliver(self, messages: Sequence[bytes]) -> None:
        self.dovecot.deliver(self.user, messages)

    def raw(self) -> Sequence[bytes]:
        # A reply's last line has an end (RFC 1939 section 3), whatever the message's last line has.
        found = [raw for _, raw in sorted(self.dovecot.raw(self.user).items())]
        return [raw if raw.endswith(b"\r\n") else raw + b"\r\n" for raw in found]

    def state(self) -> object:
        with closing(self.transport().open()) as session:
            return self.dovecot.snapshot(self.user), list(session.listing("INBOX", None))

    def remove(self, position: int) -> None:
        uid = self.dovecot.snapshot(self.user).uids[position]
        with self.dovecot.client(self.user) as imap:
            imap.select("INBOX")
            imap.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
            imap.expunge()


class _Pop3Contract(TransportContract):
    security: ClassVar[str]
    has_cursor = False
    actions: ClassVar[Sequence[Action]] = (Action(do="delete"),)

    @pytest.fixture
    def site(self, dovecot: Dovecot, user: str) -> DovecotSite:
        return DovecotSite(dovecot, user, self.security)


class TestPop3OverTls(_Pop3Contract):
    security = "tls"


class TestPop3WithStarttls(_Pop3Contract):
    security = "starttls"


class TestPop3InPlainText(_Pop3Contract):
    security = "none"


def test_it_is_offered_by_its_hook() -> None:
    assert gatewayd_transports() == [Pop3]
    assert (Pop3.kind, Pop3.max_sessions, Pop3.tells_arrival) == ("pop3", 1, False)


@pytest.mark.parametrize(("security", "port"), [("tls", 995), ("starttls", 110), ("none", 110)])
def test_ports_follow_from_security(security: str, port: int) -> None:
    fields = {"host": "pop.example.com", "username": "irina", "password": Secret("env", "X"), "insecure": True}
    assert Pop3.Options.model_validate({**fields, "security": security}).effective_port == port
    assert Pop3.Options.model_validate({**fields, "security": security, "port": 21}).effective_port == 21


@pytest.mark.parametrize("host", ["a..b", f"{'x' * 64}.example.com", "two words", "user@host", ""])
def test_a_host_that_no_resolver_takes_is_a_fault_of_the_config(host: str) -> None:
    with pytest.raises(ValidationError, match="host"):
        Pop3.Options.model_validate({"host": host, "username": "irina", "password": Secret("env", "X")})


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_P3_P5_every_byte_comes_and_nothing_changes(dovecot: Dovecot, user: str, tmp_path: Path, security: str) -> None:
    dovecot.deliver(user, MAILS)
    before = dovecot.snapshot(user)
    with closing(transport(dovecot, user, security).open()) as session:
        (first,) = session.listing("INBOX", None)
        assert session._connected().window > 1
        found, _ = drained(session, tmp_path)
        heads = dict(session.headers("INBOX", [one.key for one in first.keys[:3]]))
    assert found == MAILS
    assert list(heads.values()) == [one.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for one in MAILS[:3]]
    assert dovecot.snapshot(user) == before
    with closing(transport(dovecot, user, security).open()) as session:
        (second,) = session.listing("INBOX", first.cursor)
    assert second.keys == first.keys
    assert (first.backlog, second.backlog) == (True, False)
    assert first.others_gone
    assert second.others_gone
    assert deletions(dovecot, user, 2) == [0, 0]


def test_P8_large_messages_and_endless_lines_pass_in_pieces(dovecot: Dovecot, user: str, tmp_path: Path) -> None:
    large = [
        mail(1, b"\r\n".join([b"." + b"a" * 70] * 300_000) + b"\r\n"),
        mail(2, b"." + b"b" * 50_000_000 + b"\r\n"),
        mail(3, b"\r\n" * 2_000_000),
    ]
    dovecot.deliver(user, large)
    with closing(transport(dovecot, user).open()) as session:
        found, largest = drained(session, tmp_path)
    assert [len(one) for one in found] == [len(one) for one in large]
    assert found == large
    assert 0 < largest <= CHUNK


def test_only_what_is_owed_is_deleted_and_at_once(dovecot: Dovecot, user: str) -> None:
    mails = MAILS[5:11]
    dovecot.deliver(user, mails)
    with closing(transport(dovecot, user).open()) as session:
        (page,) = session.listing("INBOX", None)
        owed = [page.keys[1].key, page.keys[4].key]
        session.settle("INBOX", owed, Action(do="delete"))
        assert sorted(dovecot.raw(user).values()) == sorted(mails[n] for n in (0, 2, 3, 5))
        session.settle("INBOX", owed, Action(do="delete"))
        (rest,) = session.listing("INBOX", page.cursor)
    assert rest.keys == tuple(one for one in page.keys if one.key not in owed)
    assert deletions(dovecot, user, 2) == [2, 0]


def test_a_session_that_is_dropped_while_deleting_has_deleted_nothing(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, MAILS[:3])
    before = dovecot.snapshot(user)
    session = transport(dovecot, user).open()
    list(session.listing("INBOX", None))
    wire = session._connected()
    list(wire.replies(["DELE 1", "DELE 2"]))
    wire.in_step = False
    session.close()
    session.close()
    assert deletions(dovecot, user, 1) == [0]
    assert dovecot.snapshot(user).uids == before.uids


def test_an_empty_mailbox_is_one_empty_page(dovecot: Dovecot, user: str) -> None:
    with closing(transport(dovecot, user).open()) as session:
        (page,) = session.listing("INBOX", None)
        assert page.keys == ()
        assert list(session.headers("INBOX", [])) == []
        assert session.problems(["INBOX"], None) == []


def test_a_wrong_password_says_what_to_check(dovecot: Dovecot, user: str) -> None:
    os.environ["POP3_TEST_WRONG"] = "battery staple"
    with pytest.raises(AuthError, match="was refused") as caught:
        transport(dovecot, user, password=Secret("env", "POP3_TEST_WRONG")).open()
    assert "battery" not in repr(caught.value)
    assert "password" in caught.value.advice


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_P9_an_untrusted_certificate_is_refused_before_the_log_in(dovecot: Dovecot, user: str, security: str) -> None:
    with pytest.raises(AuthError, match="certificate is not trusted") as caught:
        transport(dovecot, user, security, ca_file=None).open()
    assert "ca_file" in caught.value.advice
    assert user not in dovecot.log()


def test_a_connection_that_is_cut_anywhere_loses_and_changes_nothing(dovecot: Dovecot, user: str, tmp_path: Path) -> None:
    mails = MAILS[5:25]
    dovecot.deliver(user, mails)
    before = dovecot.snapshot(user)
    whole = []
    for after in (0, 10, 60, 400, 900, 3000, 12_000, 20_000):
        with FaultProxy("127.0.0.1", dovecot.ports["pop3"], fault=StreamFault(do="cut", after=after)) as proxy:
            proxy.record = True
            came = until_it_breaks(transport(dovecot, user, port=proxy.port), tmp_path / f"spool-{after}")
            assert came == mails[: len(came)]
            assert b"DELE" not in proxy.sent_by_clients
        whole.append(len(came))
    assert whole[0] == 0 < whole[-1] < len(mails)
    assert dovecot.snapshot(user) == before


def until_it_breaks(pop3: Pop3, path: Path) -> list[bytes]:
    """Return the messages that came whole before the connection broke."""
    came: list[Came] = []
    with Spool(path) as spool:
        with pytest.raises(TransientError):
            collect(pop3, spool, came)
        spool.seal()
        return [one.source.read(0, one.source.size) for one in came]


def collect(pop3: Pop3, spool: Spool, came: list[Came]) -> None:
    with closing(pop3.open()) as session:
        (page,) = session.listing("INBOX", None)
        for one in session.fetch("INBOX", page.keys, spool):
            assert isinstance(one, Came)
            came.append(one)
