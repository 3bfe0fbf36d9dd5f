"""Whatever an IMAP server sends, at whatever step, it costs little memory, disk, time and patience (P6, P8)."""

from __future__ import annotations

import itertools
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewayd import GatewaydError, PermanentError, TransientError
from tests.plugins.imap_hostile import PASSWORD, STEPS, hostile, transport, visit
from tests.plugins.imap_script import Script, session
from tests.plugins.scales import scales
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.plugins.imap_hostile import Misdeed

#: What is sent without end, behind a beginning that makes the step wait for more.
ENDLESS = {
    "one line": (b"* ", b"x" * 65536),
    "OK lines": (b"", b"* OK still here\r\n" * 4096),
    "lines of many types": (
        b"",
        b"".join(b"* %b x\r\n" % bytes(word) for word in itertools.product(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=3)),
    ),
    "flags": (b"", b"* 12 FETCH (FLAGS (\\Seen))\r\n" * 4096),
    "one UID over and over": (b"", b"* 1 FETCH (UID 1 RFC822.SIZE 9 BODY[] {3}\r\nabc)\r\n" * 2048),
    "all UIDs": (b"", b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (uid, uid) for uid in range(1, 20_000))),
    "numbers": (b"* SEARCH", b" 1 22 333 4444" * 4096),
    "a number": (b"* SEARCH ", b"9" * 65536),
    "folders": (b"", b"".join(b'* LIST () "/" "folder %d"\r\n' % number for number in range(5_000))),
    "a literal": (b"* 1 FETCH (UID 1 BODY[] {99999999999999}\r\n", b"x" * 65536),
    "literals of 15 MiB": (b"", b"* 1 FETCH (UID 1 BODY[] {15728640}\r\n" + b"x" * 15728640 + b")\r\n"),
    "small literals": (b"* 1 FETCH (UID 1", b" BODY[] {1}\r\nx" * 4096),
    "spaces": (b"* 1 FETCH (UID 1", b" " * 65000 + b"[\r\n* 1 FETCH (UID 1"),
    "open parentheses": (b"* 1 FETCH (UID 1 ", b"(" * 65000 + b"\r\n* 1 FETCH (UID 1"),
    "open quotes": (b'* 1 FETCH (UID 1 "', b'\\"' * 32000 + b'\r\n* 1 FETCH (UID 1 "'),
    "open sections": (b"* 1 FETCH (UID 1 ", b"a[" * 32000 + b"\r\n* 1 FETCH (UID 1 "),
    "continuations": (b"", b"+ go on\r\n" * 8192),
    "goodbyes": (b"", b"* BYE\r\n" * 8192),
}


def without_end(name: str) -> Misdeed:
    first, more = ENDLESS[name]

    def misdeed(peer: socket.socket, _answer: bytes, _ends: bytes) -> bool:
        peer.sendall(first)
        while True:
            peer.sendall(more)

    return misdeed


def dripping(peer: socket.socket, answer: bytes, ends: bytes) -> bool:
    """Send the sound answer, a byte now and then."""
    for at in range(1 << 20):
        peer.sendall((answer + ends)[at : at + 1] or b"x")
        time.sleep(0.3)
    return False


@pytest.mark.parametrize("step", STEPS)
def test_P6_a_server_that_drips_ends_each_step_by_its_deadline(step: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with hostile(step, dripping) as port:
        if step == "LOGOUT":
            # Nobody waits for a goodbye.
            visit(port, tmp_path)
        else:
            with pytest.raises(TransientError, match=r"127\.0\.0\.1:\d+: .*(within|session)") as caught:
                visit(port, tmp_path)
            assert caught.value.advice
    # Steps of one second, one for each of a few commands; and a busy machine.
    assert time.monotonic() - began < 40


def test_P6_a_watch_that_drips_is_ended_by_its_deadline(tmp_path: Path) -> None:
    began = time.monotonic()
    with hostile("DONE", dripping) as port, pytest.raises(TransientError, match="IDLE"):
        visit(port, tmp_path)
    assert time.monotonic() - began < 40


WAYS = list(itertools.product(STEPS, ENDLESS))
#: Those that once cost the most, and of all others every seventh: each way at some step, and each step in some way.
SOME = [
    ("CAPABILITY", "lines of many types"),
    ("SEARCH", "numbers"),
    ("SEARCH", "a number"),
    ("sizes", "all UIDs"),
    ("sizes", "spaces"),
    ("headers", "open parentheses"),
    ("headers", "small literals"),
    ("headers", "literals of 15 MiB"),
    ("bodies", "a literal"),
    ("bodies", "one UID over and over"),
    ("LIST", "folders"),
    *WAYS[::7],
]


def test_P8_no_server_costs_more_than_64_mib_and_two_seconds_of_the_interpreter(tmp_path: Path) -> None:
    assert {step for step, _ in SOME} == set(STEPS)
    assert {name for _, name in SOME} == set(ENDLESS)
    weighed(SOME, tmp_path)


@pytest.mark.campaign
def test_P8_no_server_costs_more_than_that_at_any_step_in_any_way(tmp_path: Path) -> None:
    weighed(WAYS, tmp_path)


def weighed(ways: Sequence[tuple[str, str]], folder: Path) -> None:
    with scales("tests.plugins.test_imap_hostile:visit_at") as scale:
        for step, name in ways:
            with hostile(step, without_end(name)) as port:
                scale.weigh(port, str(folder)).is_borne((step, name))


def visit_at(port: int, folder: str) -> None:
    visit(port, Path(folder))


@dataclass
class Folder(Script):
    """A folder of any size that keeps to the protocol, with more in each answer than was asked for."""

    exists: int = 30_000
    #: Stands in each answer for a message, and behind the answers to a command.
    words: bytes = b""
    more: bytes = b""
    #: What SEARCH answers; without it, FETCH is asked for all numbers.
    named: bytes = b""

    def reply(self, tag: bytes, command: str) -> bytes:
        if asked := re.match(r"(?:UID )?FETCH ([0-9]+)(?::([0-9]+))?", command):
            first, last = int(asked[1]), int(asked[2] or asked[1])
            each = b"* %d FETCH (UID %d RFC822.SIZE 9%b)\r\n"
            return b"".join(each % (uid, uid, self.words) for uid in range(first, last + 1)) + self.more + tag + b" OK done\r\n"
        opened = b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT %d] next\r\n" % (self.exists, self.exists + 1)
        self.replies = {"EXAMINE": opened, "UID SEARCH": b"* SEARCH%b\r\n" % self.named}
        return super().reply(tag, command)


ALL = b"".join(b" %d" % uid for uid in range(1, 30_001))
#: What costs little each time, and was once asked for as often as there are messages.
LARGE: dict[str, dict[str, Any]] = {
    "as many messages as one SEARCH names": {"named": ALL},
    "lines beside each page": {"named": ALL, "more": b"* OK x\r\n" * 18_000},
    "words in each answer": {"named": ALL, "words": b" X ((a b c) d) Y 1" + b" Z 1" * 150},
    "short words in each answer": {"named": ALL, "words": b" Z 1" * 80},
    "lists in each answer": {"named": ALL, "words": b" FLAGS (" + b"(" * 150 + b")" * 150 + b")"},
    "numbers that nobody asked for": {"exists": 9, "named": ALL * 3},
    "more messages than may be": {"exists": 250_001},
}


def listed(port: int, *_: str) -> None:
    opened = transport(port, timeout="20s").open()
    try:
        for page in opened.listing("INBOX", None):
            assert len(page.keys) <= 1000
    finally:
        opened.close()


def test_P8_no_listing_of_a_folder_costs_more_than_that() -> None:
    with scales("tests.plugins.test_imap_hostile:listed") as scale:
        for name, fields in LARGE.items():
            with serving(Folder(**fields)) as script:
                scale.weigh(script.port).is_borne(name)


def test_P8_a_folder_with_more_messages_than_may_be_is_told_and_not_listed(tmp_path: Path) -> None:
    with session(Folder(exists=250_001), tmp_path) as opened:
        with pytest.raises(PermanentError, match="folder 'INBOX' has 250001 messages, and `max_messages` is 250000") as told:
            list(opened.listing("INBOX", None))
        assert "max_messages" in told.value.advice


def test_P8_a_session_counts_what_came(tmp_path: Path) -> None:
    with session(Folder(exists=1000, named=b" 1"), tmp_path) as opened:
        before = opened.came
        assert 0 < before < 1000
        list(opened.listing("INBOX", None))
        assert 20_000 < opened.came - before < 100_000


# --- anything -------------------------------------------------------------------------------------------------------------

WORDS = [
    b"{5}\r\n",
    b"{999999}\r\nx",
    b"{" + b"9" * 5000 + b"}\r\n",
    b" " + b"9" * 5000,
    b"\xff\xfe",
    b"\0",
    b"\r\n",
    b"\n",
    b"\r",
    b'"',
    b"\\",
    b"(((",
    b")))",
    b"NIL",
    b"[",
    b"]",
    b"<1.2>",
    b"* ",
    b"+ ",
    b"* BYE\r\n",
    b"* OK [READ-ONLY]\r\n",
    b"* 5 EXISTS {3}\r\nabc\r\n",
    b"* 0 EXISTS\r\n",
    b"* 4294967296 EXPUNGE\r\n",
    b"* OK [UIDNEXT 99999999999999999999999]\r\n",
    b"* OK [UIDVALIDITY -1]\r\n",
    b"* CAPABILITY\r\n",
    b"* PREAUTH\r\n",
    b'* LIST (\\X) "/" &AA-\r\n',
    b"* SEARCH 0 -1 4294967296 x\r\n",
    b"* 1 FETCH (UID 0 BODY[] {1}\r\nx)\r\n",
    b'* 1 FETCH (INTERNALDATE "99-Foo-0000 99:99:99 +9999" UID 1)\r\n',
    PASSWORD.encode(),
]
changes = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 40), st.sampled_from(WORDS) | st.binary(max_size=20)), min_size=1, max_size=4
)
#: Whether the tagged line comes too, as it should or otherwise.
ends = st.sampled_from(["OK", "NO", "BAD", "twice", "other", "none"])


def changed(answer: bytes, how: list[tuple[int, int, bytes]]) -> bytes:
    """Return an answer with pieces of it replaced."""
    for at, length, by in how:
        answer = answer[:at] + by + answer[at + length :]
    return answer


def error_of(port: int, folder: Path) -> str:
    """Return what is told of a visit; what is none of the five errors goes up."""
    try:
        visit(port, folder)
    except GatewaydError as error:
        return f"{error.message} {error.advice}"
    return ""


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sampled_from(list(STEPS)), changes, ends)
def test_whatever_a_server_answers_only_the_five_errors_come_out(
    tmp_path: Path, step: str, how: list[tuple[int, int, bytes]], end: str
) -> None:
    def misdeed(peer: socket.socket, answer: bytes, tagged: bytes) -> bool:
        peer.sendall(changed(answer, how))
        tag = tagged.partition(b" ")[0]
        said = {
            "OK": tagged,
            "NO": tag + b" NO [\xff] " + PASSWORD.encode() + b"\r\n",
            "BAD": tag + b" BAD\r\n",
            "twice": tagged * 2,
            "other": b"ZZZ9 OK done\r\n",
            "none": b"",
        }[end]
        peer.sendall(said)
        # What is waited for beyond that never comes.
        peer.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            peer.recv(1 << 16)
        return False

    began = time.monotonic()
    with hostile(step, misdeed) as port:
        told = error_of(port, tmp_path)
    assert PASSWORD not in told
    assert told.isprintable()
    assert time.monotonic() - began < 60


def test_a_sound_server_passes_each_step(tmp_path: Path) -> None:
    """Else the tests above would prove nothing of what comes behind the first fault."""
    heard: list[str] = []
    for step in STEPS:

        def note(peer: socket.socket, answer: bytes, tagged: bytes, step: str = step) -> bool:
            heard.append(step)
            peer.sendall(answer + tagged)
            return True

        with hostile(step, note) as port:
            visit(port, tmp_path)
    assert set(heard) == set(STEPS)
