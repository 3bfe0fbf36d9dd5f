"""What POP3 servers get wrong, played by a small scripted server over a real socket."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import (
    Action,
    Came,
    Failed,
    GatewaydError,
    Gone,
    Listed,
    PermanentError,
    Spool,
    TransientError,
)
from gatewayd_pop3.uidl import keys, lines, mark, numbered, unnamed, word
from tests.plugins.pop3_script import Stage, session, stuffed, transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd import Fetched
    from gatewayd_pop3.transport import Pop3Session

DELETE = Action(do="delete")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


def listed(opened: Pop3Session) -> list[Listed]:
    (page,) = opened.listing("INBOX", None)
    return list(page.keys)


def fetched(opened: Pop3Session, path: Path, what: list[Listed]) -> list[tuple[Fetched, bytes]]:
    with Spool(path / "spool") as spool:
        found = list(opened.fetch("INBOX", what, spool))
        spool.seal()
        return [(one, one.source.read(0, one.source.size) if isinstance(one, Came) else b"") for one in found]


def mail(number: int) -> bytes:
    return b"Message-ID: <%d@example.com>\r\nSubject: Booking %d\r\n\r\n.dot\r\n..\r\n.\r\n%s\r\n" % (number, number, b"x" * 300)


# --- bytes ------------------------------------------------------------------------------------------------------------


TRICKY = [
    b"",
    b"\r\n",
    b".\r\n",
    b"..\r\n.\r\n...\r\n",
    b"Subject: a\r\n\r\nlone LF .\n.\r\nstill the same mail\n.\n",
    b"a\r\r\n.\r\n\r\r\n",
    b"\r\n.",
    b"nul \0 and 8-bit \xff\xfe\r\n",
    b"x" * 5000 + b"\r\n." + b"y" * 5000 + b"\r\n",
]


@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("capa", ["PIPELINING UIDL", "UIDL"])
def test_P5_every_byte_arrives_wherever_the_network_cuts(stage: Stage, tmp_path: Path, piece: int, capa: str) -> None:
    mails = [one if one.endswith(b"\r\n") or not one else one + b"\r\n" for one in TRICKY]
    script = stage.play(mails, piece=piece, capa=capa)
    with session(script) as opened:
        found = fetched(opened, tmp_path, listed(opened))
    assert [raw for _, raw in found] == mails
    assert [one.digest for one, _ in found if isinstance(one, Came)] == [hashlib.sha256(one).digest() for one in mails]


@given(body=st.binary(max_size=60) | st.text("\r\n.a", max_size=40).map(str.encode), piece=st.integers(1, 9))
def test_any_body_is_unstuffed_as_it_was_stuffed(body: bytes, piece: int) -> None:
    class Feed:
        """A connection that gives so many bytes at a time."""

        where = "localhost:110"

        def __init__(self, stream: bytes) -> None:
            self.stream = stream

        def recv(self, _size: int) -> bytes:
            block, self.stream = self.stream[:piece], self.stream[piece:]
            return block

        def sendall(self, data: bytes) -> None:
            assert data == b"RETR 1\r\n"

    from gatewayd_pop3.wire import Wire  # noqa: PLC0415  beside its only use

    whole = body + b"\r\n"
    wire = Wire(Feed(b"+OK\r\n" + stuffed(whole) + b".\r\n"), transport(1).options)  # type: ignore[arg-type]
    assert wire.ask("RETR 1", multiline=True) == (b"+OK", whole)
    assert wire.in_step


def test_one_refused_message_is_failed_and_the_session_goes_on(stage: Stage, tmp_path: Path) -> None:
    script = stage.play([mail(n) for n in range(1, 6)], replies={"RETR 3": b"-ERR [SYS/TEMP] can't read it\r\n"})
    with session(script) as opened:
        found = fetched(opened, tmp_path, [*listed(opened), Listed("nobody")])
    assert [type(one) for one, _ in found].count(Came) == 4
    assert Failed(key="u3", cause='the server refused it: "-ERR [SYS/TEMP] can\'t read it"') in [one for one, _ in found]
    assert Gone(key="nobody") in [one for one, _ in found]
    assert not script.deleted


def test_commands_are_sent_ahead_only_where_the_server_offers_it(stage: Stage, tmp_path: Path) -> None:
    ahead: dict[str, int] = {}
    for capa in ("PIPELINING", "TOP"):
        script = stage.play([mail(n) for n in range(1, 200)], capa=capa)
        with session(script) as opened:
            assert len(fetched(opened, tmp_path, listed(opened))) == 199
            ahead[capa] = opened._connected().window
        assert [line for line in script.heard if line.startswith("RETR")] == [f"RETR {n}" for n in range(1, 200)]
    assert ahead == {"PIPELINING": 64, "TOP": 1}


def test_a_server_without_capa_is_read_one_by_one(stage: Stage, tmp_path: Path) -> None:
    script = stage.play([mail(1), mail(2)], replies={"CAPA": b"-ERR what?\r\n"})
    with session(script) as opened:
        assert [raw for _, raw in fetched(opened, tmp_path, listed(opened))] == [mail(1), mail(2)]


def test_a_fetch_that_is_given_up_leaves_the_session_usable(stage: Stage, tmp_path: Path) -> None:
    script = stage.play([mail(n) for n in range(1, 20)])
    with session(script) as opened:
        what = listed(opened)
        with Spool(tmp_path / "given-up") as spool:
            fetching = opened.fetch("INBOX", what, spool)
            assert isinstance(next(fetching), Came)
            fetching.close()  # type: ignore[attr-defined]
        assert [raw for _, raw in fetched(opened, tmp_path, what)] == [mail(n) for n in range(1, 20)]
    assert script.heard.count("PASS correct horse") == 2


# --- UIDLs ------------------------------------------------------------------------------------------------------------


def test_P1_each_message_has_a_key_of_its_own_whatever_the_uidls(stage: Stage, tmp_path: Path) -> None:
    uidls = [b"same", b"same", b"two words", b"", b"bell\x07", b"x" * 80, b"y" * 300, b"same", b""]
    script = stage.play([mail(n) for n in range(1, 9)] + [mail(4)], uidls=uidls)
    with session(script) as opened:
        first = listed(opened)
        found = fetched(opened, tmp_path, first)
        assert first == listed(opened)
    names = [one.key for one in first]
    assert all(re.fullmatch("same #[0-9a-f]{16}", names[at]) for at in (0, 1, 7))
    assert names[5] == "x" * 80
    assert names[8] == f"{names[3]} #2"
    assert len(set(names)) == 9
    assert [raw for _, raw in found] == [*(mail(n) for n in range(1, 9)), mail(4)]


@given(st.dictionaries(st.integers(1, 50), st.binary(max_size=6) | st.sampled_from([b"a", b"a #2", b"b"])))
def test_keys_never_collide(uidls: dict[int, bytes]) -> None:
    words = {number: word(uidl) for number, uidl in uidls.items() if uidl}
    named = keys(words, {number: mark(words.get(number, ""), 100, b"head") for number in unnamed(uidls, words)})
    assert sorted(named.values()) == sorted(uidls)
    assert all(len(key.encode()) < 300 for key in named)


def test_numbered_reads_what_servers_send() -> None:
    body = b"1 abc\r\n 2\tdef \r\n3\r\nnonsense\r\n4 " + b"x" * 5000 + b"\r\n5 last"
    for size in (1, 2, 7, 1000, 9999):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert dict(filter(None, map(numbered, lines(pieces)))) == {1: b"abc", 2: b"def", 3: b"", 5: b"last"}


def test_P8_a_listing_without_line_ends_takes_time_as_it_is_long() -> None:
    began = time.process_time()
    assert not list(filter(None, map(numbered, lines(b"1" * (1 << 16) for _ in range(512)))))
    assert time.process_time() - began < 5


def test_without_top_a_summary_is_read_from_the_whole_message(stage: Stage) -> None:
    script = stage.play([mail(1), mail(2)], replies={"TOP": b"-ERR unknown command\r\n"})
    with session(script) as opened:
        found = listed(opened)
        said = list(opened.summaries("INBOX", [one.key for one in found]))
    assert [one.key for one in said] == [one.key for one in found]
    assert [line for line in script.heard if line.startswith("RETR")] == ["RETR 1", "RETR 2"]


def test_a_message_that_can_not_be_known_again_is_said_so(stage: Stage) -> None:
    script = stage.play([mail(1)], uidls=[b""], replies={"TOP": b"-ERR no TOP\r\n"})
    with session(script) as opened, pytest.raises(PermanentError, match="message 1 has neither"):
        listed(opened)


def test_a_server_without_uidl_is_refused_with_advice(stage: Stage) -> None:
    script = stage.play([mail(1)], replies={"UIDL": b"-ERR unknown command\r\n"})
    with session(script) as opened:
        with pytest.raises(PermanentError, match="UIDL was refused") as caught:
            listed(opened)
        assert "IMAP" in caught.value.advice
        assert opened.problems(["INBOX"], None) == [caught.value.sentences]


# --- deleting ---------------------------------------------------------------------------------------------------------


def test_P3_only_what_is_owed_is_deleted_and_by_quit(stage: Stage) -> None:
    script = stage.play([mail(n) for n in range(1, 6)])
    with session(script) as opened:
        opened.settle("INBOX", ["u2", "u4", "gone"], DELETE)
        assert script.heard[-3:] == ["DELE 2", "DELE 4", "QUIT"]
        opened.settle("INBOX", ["gone"], DELETE)
    assert script.deleted == {2, 4}


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ({"DELE 2": b"-ERR read-only\r\n"}, PermanentError),
        ({"DELE 2": b"-ERR [SYS/TEMP] later\r\n"}, TransientError),
        ({"QUIT": b"-ERR some deleted messages not removed\r\n"}, TransientError),
        ({"QUIT": b""}, TransientError),
        ({"DELE 2": b""}, TransientError),
    ],
)
def test_a_deletion_that_is_not_certain_is_raised(stage: Stage, replies: dict[str, bytes], error: type[GatewaydError]) -> None:
    script = stage.play([mail(1), mail(2)], replies=replies)
    with session(script) as opened, pytest.raises(error):
        opened.settle("INBOX", ["u1", "u2"], DELETE)
    assert script.heard.count("QUIT") <= 1
