"""IDLE: what servers say while we wait, and connections that are lost meanwhile."""

from __future__ import annotations

import select
import socket
import threading
import time
import tracemalloc
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewayd import Came, GatewaydError, Heard, Spool, TransientError
from gatewayd.testing.contracts.transport import message
from gatewayd.testing.contracts.watch import hear
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy, StreamFault
from gatewayd_imap.watch import Idle
from tests.patience import AT_ONCE, LONG
from tests.plugins.imap_script import OPENED, Script, session, transport
from tests.plugins.imap_site import DovecotSite, behind, keys
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from gatewayd_imap.transport import ImapSession


@pytest.fixture(params=["none", "tls", "starttls"])
def site(dovecot: Dovecot, request: pytest.FixtureRequest) -> DovecotSite:
    return DovecotSite(dovecot, request.param)


def watching(session: ImapSession, folder: str = "INBOX") -> Idle:
    keys(session, folder)
    watch = session.watch(folder)
    assert isinstance(watch, Idle)
    return watch


# --- a real server ----------------------------------------------------------------------------------------------------


def test_many_messages_are_heard_and_fetched_by_the_session_that_waited(site: DovecotSite, tmp_path: Path) -> None:
    with closing(site.transport().open()) as session:
        watch = watching(session)
        site.deliver([message(number) for number in range(300)])
        assert hear(watch).news
        watch.end()
        listed = keys(session)
        with Spool(tmp_path / "spool") as spool:
            came = [one for one in session.fetch("INBOX", listed, spool) if isinstance(one, Came)]
        assert len(came) == len(listed) == 300


def test_flags_and_deleted_mail_are_no_news(site: DovecotSite) -> None:
    site.deliver([message(1), message(2)])
    with closing(site.transport().open()) as session:
        watch = watching(session)
        with site.dovecot.client(site.user) as other:
            other.select("INBOX")
            other.store("1", "+FLAGS", "(\\Seen \\Deleted)")
            other.expunge()
            # Dovecot tells what changed when it looks next, at the latest when it is told to end.
            watch.renew()
            assert hear(watch) == Heard(proven=True)
            site.deliver([message(3)])
            assert hear(watch) == Heard(news=True)
        assert not watch.end()


def test_a_folder_that_went_before_the_watch_is_not_watched_and_the_session_goes_on(dovecot: Dovecot) -> None:
    site = DovecotSite(dovecot)
    dovecot.deliver(site.user, [message(1)], "Sales")
    with closing(site.transport().open()) as session:
        keys(session, "Sales")
        with dovecot.client(site.user) as other:
            other.delete("Sales")
        assert session.watch("Sales") is None
        assert keys(session) == []


def test_deleting_what_was_listed_makes_the_next_watch_no_news(site: DovecotSite) -> None:
    site.deliver([message(1), message(2)])
    with closing(site.transport().open()) as session:
        keys(session)
        site.remove(0)
        watch = session.watch("INBOX")
        assert watch is not None
        assert watch.listen() == Heard()


def test_a_half_open_connection_answers_no_renewal_and_is_given_up_after_the_timeout(site: DovecotSite) -> None:
    proxy = FaultProxy(site.host, site.port)
    with behind(proxy, site, timeout="3s") as session:
        watch = watching(session)
        proxy.fault = StreamFault(do="silence")
        site.deliver([message(1)])
        watch.renew()
        assert hear(watch, 1) == Heard()
        start = time.monotonic()
        with pytest.raises(TransientError, match="3 s"):
            watch.end()
        assert 2.9 < time.monotonic() - start < AT_ONCE
        # It is known by now: no further step waits for it.
        start = time.monotonic()
        session.close()
        assert time.monotonic() - start < 2.9


@pytest.mark.parametrize("do", ["cut", "reset", "garbage"])
def test_a_connection_that_is_lost_while_watched_is_heard(site: DovecotSite, do: str) -> None:
    proxy = FaultProxy(site.host, site.port)
    with behind(proxy, site) as session:
        watch = watching(session)
        proxy.fault = StreamFault(do=do)  # type: ignore[arg-type]
        watch.renew()
        with pytest.raises(TransientError):
            hear(watch)


def test_a_server_that_stops_is_heard(tmp_path: Path) -> None:
    del tmp_path
    with Dovecot() as dovecot:
        session = DovecotSite(dovecot, "tls").transport().open()
        watch = watching(session)
        dovecot.stop()
        with pytest.raises(TransientError):
            hear(watch)
        session.close()


def test_abort_ends_an_end_that_waits_for_a_silent_server(site: DovecotSite) -> None:
    proxy = FaultProxy(site.host, site.port)
    with behind(proxy, site, timeout="60s") as session:
        watch = watching(session)
        proxy.fault = StreamFault(do="silence")
        raised: list[GatewaydError] = []

        def end() -> None:
            try:
                watch.end()
            except GatewaydError as error:
                raised.append(error)

        thread = threading.Thread(target=end)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        session.abort()
        thread.join(2)
        assert not thread.is_alive()
        assert [type(error) for error in raised] == [TransientError]


def test_a_session_that_is_closed_in_idle_takes_its_leave(dovecot: Dovecot) -> None:
    site = DovecotSite(dovecot)
    session = site.transport().open()
    watching(session)
    session.close()
    deadline = time.monotonic() + LONG
    while f"imap({site.user})" not in dovecot.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    (said,) = [line for line in dovecot.log().splitlines() if f"imap({site.user})" in line]
    assert "Logged out" in said


def test_mailboxes_that_only_wait_cost_little_memory(dovecot: Dovecot) -> None:
    """The file of imaplib, with its buffer of 8 KiB, is not there while nobody reads from it."""
    with closing(DovecotSite(dovecot).transport().open()) as session:
        watch = watching(session)
        assert session._client.file.closed
        assert not getattr(session._client, "_cmd_log", None)
        watch.end()
        assert not session._client.file.closed


# --- a server that says what it is told to ----------------------------------------------------------------------------


class Talker(Script):
    """Answers each IDLE and each DONE with what it is told to, TAG standing for the IDLE's tag, and says what else it is told."""

    def __init__(self, idle: bytes = b"+ idling\r\n", *, done: bytes = b"TAG OK done\r\n", offers: bytes = b"IDLE") -> None:
        super().__init__({"CAPABILITY": b"* CAPABILITY IMAP4rev1 %b\r\n" % offers})
        self.idle, self.done = idle, done
        self.tags = [b""]
        self.peer: socket.socket | None = None
        self.listens = threading.Event()
        self.listens.set()

    def talk(self, peer: socket.socket, file: BinaryIO) -> None:
        self.peer = peer
        peer.sendall(self.greeting)
        with suppress(OSError):
            for line in file:
                self.listens.wait(LONG)
                tag, _, command = line.strip().partition(b" ")
                self.tags += [tag] if command == b"IDLE" else []
                if command and command != b"IDLE":
                    peer.sendall(self.reply(tag, command.decode()))
                else:
                    self.heard.append((command or tag).decode())
                    self.say(self.idle if command else self.done)
                if command == b"LOGOUT":
                    return

    def say(self, text: bytes) -> None:
        assert self.peer
        self.peer.sendall(text.replace(b"TAG", self.tags[-1]))


@contextmanager
def talking(script: Talker, folder: Path) -> Iterator[tuple[ImapSession, Idle]]:
    with session(script, folder) as opened:
        yield opened, watching(opened)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"* 4 EXISTS\r\n* 1 RECENT\r\n", Heard(news=True)),
        (b"* 4 exists\r\n", Heard(news=True)),
        (b"* 3 EXISTS\r\n", Heard()),
        (b"* 2 EXPUNGE\r\n* 2 EXISTS\r\n", Heard()),
        (b"* 2 EXPUNGE\r\n* 3 EXISTS\r\n", Heard(news=True)),
        (b"* 1 EXPUNGE\r\n" * 9, Heard()),
        (b"* 2 FETCH (FLAGS (\\Seen EXISTS))\r\n", Heard()),
        (b"* FLAGS (\\Seen)\r\n* VANISHED 1:2\r\n* 12345 EXISTSNOT\r\n", Heard()),
        (b"* OK Still here\r\n+ still idling\r\n", Heard()),
        (b"* 5 EXI", Heard()),
        (b"* 99999999999 EXISTS\r\n", Heard()),
    ],
)
def test_only_mail_that_came_is_news(said: bytes, heard: Heard, tmp_path: Path) -> None:
    script = Talker()
    with talking(script, tmp_path) as (_, watch):
        script.say(said)
        assert select.select([watch], [], [], LONG)[0]
        assert watch.listen() == heard
        script.say(b"\r\n" if not said.endswith(b"\n") else b"")
        watch.end()


def test_mail_between_examine_and_the_waiting_is_heard(tmp_path: Path) -> None:
    with talking(Talker(b"* 4 EXISTS\r\n+ idling\r\n"), tmp_path) as (_, watch):
        assert watch.listen() == Heard(news=True)


def test_what_imaplib_read_ahead_is_heard(tmp_path: Path) -> None:
    script = Talker()
    with session(script, tmp_path) as opened:
        keys(opened)
        script.replies["EXAMINE"] = OPENED + b"TAG OK [READ-ONLY] opened\r\n* 4 EXISTS\r\n* 4 FET"
        script.idle = b"CH (FLAGS ())\r\n+ idling\r\n"
        watch = opened.watch("INBOX")
        assert watch is not None
        assert watch.listen() == Heard(news=True)


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (OPENED, OPENED, False),
        (OPENED, OPENED.replace(b"UIDNEXT 4", b"UIDNEXT 5"), True),
        (OPENED, OPENED.replace(b"3 EXISTS", b"2 EXISTS"), False),
        (OPENED, OPENED.replace(b"UIDVALIDITY 7", b"UIDVALIDITY 8"), True),
        (OPENED.partition(b"* OK [UIDNEXT")[0], OPENED.partition(b"* OK [UIDNEXT")[0], False),
        (OPENED.partition(b"* OK [UIDNEXT")[0], OPENED.partition(b"* OK [UIDNEXT")[0].replace(b"3 E", b"4 E"), True),
    ],
)
def test_what_came_between_listing_and_watch_is_told_by_numbers(before: bytes, after: bytes, news: bool, tmp_path: Path) -> None:  # noqa: FBT001
    script = Talker()
    script.replies["EXAMINE"] = before
    with session(script, tmp_path) as opened:
        keys(opened)
        script.replies["EXAMINE"] = after
        watch = opened.watch("INBOX")
        assert watch is not None
        assert watch.listen() == Heard(news=news)


@pytest.mark.parametrize(("last", "news"), [(2, False), (3, False), (4, True)])
def test_one_in_and_one_out_is_heard_where_no_uidnext_is_told(last: int, news: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """EXISTS is the same then; Courier tells no UIDNEXT in the answer to EXAMINE."""
    script = Talker()
    script.replies["EXAMINE"] = OPENED.partition(b"* OK [UIDNEXT")[0]
    with session(script, tmp_path) as opened:
        keys(opened)
        script.replies["UID FETCH *"] = b"* 3 FETCH (UID %d)\r\n" % last
        watch = opened.watch("INBOX")
        assert watch is not None
        assert watch.listen() == Heard(news=news)


def test_a_folder_that_was_never_listed_has_news(tmp_path: Path) -> None:
    with session(Talker(), tmp_path) as opened:
        watch = opened.watch("INBOX")
        assert watch is not None
        assert watch.listen() == Heard(news=True)


def test_mail_between_two_idles_is_heard_and_their_tags_differ(tmp_path: Path) -> None:
    script = Talker(done=b"* 4 EXISTS\r\nTAG OK done\r\n")
    with talking(script, tmp_path) as (opened, watch):
        watch.renew()
        assert hear(watch).news
        watch.end()
        assert opened.watch("INBOX") is not None
        assert len(set(script.tags)) == len(script.tags) == 4
        assert script.asked("DONE|IDLE") == ["IDLE", "DONE", "IDLE", "DONE", "IDLE"]


def test_a_renewal_is_proven_when_the_server_waits_again_and_not_before(tmp_path: Path) -> None:
    script = Talker()
    with talking(script, tmp_path) as (_, watch):
        script.idle = b"* OK wait\r\n"
        watch.renew()
        assert hear(watch, 0.3) == Heard()
        script.say(b"+ idling\r\n")
        assert hear(watch) == Heard(proven=True)
        assert watch.listen() == Heard()


@pytest.mark.parametrize(
    "said",
    [
        b"* BYE going down\r\n",
        b"* bye\r\n",
        b"TAG OK ended by itself\r\n",
        b"TAG NO\r\n",
        b"A1 OK whose?\r\n",
        b"hello\r\n",
        b"\r\n",
        b"*\r\n",
        b"* " + b"x" * 70_000,
        b"* " + b"x" * 70_000 + b"\r\n",
    ],
)
def test_what_makes_no_sense_is_a_transient_error(said: bytes, tmp_path: Path) -> None:
    script = Talker()
    with talking(script, tmp_path) as (_, watch):
        threading.Thread(target=script.say, args=[said]).start()
        with pytest.raises(TransientError, match="IDLE"):
            hear(watch)


def test_P8_a_flood_costs_a_bounded_piece_a_call(tmp_path: Path) -> None:
    script = Talker()
    flood = b"* OK Still here, and here, and here, and here, and here, and here\r\n" * 30_000
    with talking(script, tmp_path) as (opened, watch):
        thread = threading.Thread(target=script.say, args=[flood])
        thread.start()
        calls = 0
        tracemalloc.start()
        while select.select([watch], [], [], 0.5)[0]:
            assert watch.listen() == Heard()
            calls += 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        thread.join()
        assert calls >= len(flood) / (80 << 10)
        assert peak < 1 << 20
        watch.end()
        assert opened.watch("INBOX") is not None


@pytest.mark.parametrize("answer", [b"TAG NO not now\r\n", b"TAG BAD what?\r\n", b"TAG no [NOPERM] never\r\n* 4 EXISTS\r\n"])
def test_a_server_that_refuses_idle_is_not_watched_and_not_asked_again(answer: bytes, tmp_path: Path) -> None:
    script = Talker(answer)
    with session(script, tmp_path) as opened:
        for _ in range(2):
            assert len(keys(opened)) == 3
            assert opened.watch("INBOX") is None
        assert len(keys(opened)) == 3
        assert len(script.asked("IDLE")) == 1


def test_a_server_without_idle_is_asked_once_and_never_watched(tmp_path: Path) -> None:
    script = Talker(offers=b"IDLENESS")
    with session(script, tmp_path) as opened:
        script.heard.clear()
        for _ in range(2):
            assert opened.watch("INBOX") is None
        assert script.heard == ["CAPABILITY"]


def test_a_server_that_refuses_the_next_idle_is_a_transient_error_and_may_be_ended(tmp_path: Path) -> None:
    script = Talker()
    with talking(script, tmp_path) as (opened, watch):
        script.idle = b"TAG NO [NOPERM] no more\r\n"
        watch.renew()
        with pytest.raises(TransientError, match="no longer waits"):
            hear(watch)
        assert not watch.end()
        assert len(keys(opened)) == 3


def renewed_without_end(watch: Idle) -> None:
    while True:
        watch.renew()


def test_a_renewal_that_can_not_be_sent_is_a_transient_error(tmp_path: Path) -> None:
    script = Talker()
    with talking(script, tmp_path) as (opened, watch):
        script.listens.clear()
        with pytest.raises(TransientError):
            renewed_without_end(watch)
        opened.close()
        script.listens.set()


def test_an_end_waits_until_the_server_has_begun_to_wait(tmp_path: Path) -> None:
    script = Talker()
    with talking(script, tmp_path) as (opened, watch):
        script.idle = b""
        watch.renew()
        timer = threading.Timer(0.3, script.say, [b"+ idling\r\n"])
        timer.start()
        watch.end()
        timer.join()
        assert script.asked("DONE|IDLE") == ["IDLE", "DONE", "IDLE", "DONE"]
        assert len(keys(opened)) == 3


def test_an_end_leaves_no_half_line_behind(tmp_path: Path) -> None:
    script = Talker(done=b"TAG OK done\r\n* 4 EXI")
    with talking(script, tmp_path) as (opened, watch):
        timer = threading.Timer(0.3, script.say, [b"STS\r\n"])
        timer.start()
        assert watch.end()
        timer.join()
        assert len(keys(opened)) == 3


def test_a_server_that_does_not_know_done_is_ended_nevertheless(tmp_path: Path) -> None:
    with talking(Talker(done=b"TAG BAD done?\r\n"), tmp_path) as (opened, watch):
        assert not watch.end()
        assert len(keys(opened)) == 3


def test_P8_a_server_that_only_says_it_is_there_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    script = Talker(done=b"")
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            script.say(b"* OK Still here\r\n")

    with serving(script), closing(transport(script, tmp_path, timeout="1s").open()) as opened:
        watch = watching(opened)
        thread = threading.Thread(target=drip)
        thread.start()
        start = time.monotonic()
        with pytest.raises(TransientError, match="1 s"):
            watch.end()
        assert 0.9 < time.monotonic() - start < AT_ONCE
        stop.set()
        thread.join()


# --- anything ---------------------------------------------------------------------------------------------------------

LINES = {
    b"* OK Still here": 0,
    b"* 1 FETCH (FLAGS (\\Seen))": 0,
    b"* 0 RECENT": 0,
    b"+ still idling": 0,
    b"* 1 EXPUNGE": -1,
    b"* MORE": 1,
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(LINES)), max_size=12), st.lists(st.integers(1, 40), max_size=8), st.booleans())
def test_news_does_not_depend_on_how_lines_are_cut(tmp_path: Path, lines: list[bytes], cuts: list[int], by_end: bool) -> None:  # noqa: FBT001
    script = Talker()
    with talking(script, tmp_path) as (opened, watch):
        there, text = 3, b""
        for line in lines:
            there = max(0, there + LINES[line])
            text += line.replace(b"MORE", b"%d EXISTS" % there) + b"\r\n"
        news = False
        for cut in cuts:
            script.say(text[:cut])
            text = text[cut:]
            if text:
                news |= watch.listen().news
        script.say(text)
        if not by_end:
            watch.renew()
            while not (heard := hear(watch)).proven:
                news |= heard.news
            news |= heard.news
        news |= watch.end()
        assert news == (b"* MORE" in lines)
        assert len(keys(opened)) == 3


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"* ", b"+", b"TAG OK", b"\r\n", b"9 EXISTS", b"BYE", b"W1 NO \n"])))
def test_whatever_a_server_says_nothing_but_transient_errors_comes_of_it(tmp_path: Path, said: list[bytes]) -> None:
    script = Talker()
    with serving(script), closing(transport(script, tmp_path, timeout="1s").open()) as opened:
        watch = watching(opened)
        assert script.peer
        try:
            script.say(b"".join(said))
            script.peer.shutdown(socket.SHUT_WR)
            for _ in range(3):
                hear(watch)
        except TransientError:
            return
    raise AssertionError("the connection ended, and nobody heard of it")
