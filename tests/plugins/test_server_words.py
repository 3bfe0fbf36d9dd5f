"""To read a server's words takes time in proportion to their size, whatever they are (P8).

Each parser of such words stands in ``PARSERS``; a new one goes there. A pattern that goes back over what it has read, or a loop
that copies the rest of its text each time, makes 8 times the bytes cost 64 times the time.
"""

from __future__ import annotations

import imaplib
import itertools
import smtplib
from contextlib import suppress
from functools import partial
from http.client import HTTPException, parse_headers
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, TransientError, login_advice, other_protocol, quoted
from gatewayd.importing.anchoring import AnchorHeaders
from gatewayd.matching import senders
from gatewayd.message.mail import BytesSource, parse
from gatewayd_imap import answers, problems
from gatewayd_imap.faults import refused as imap_refused
from gatewayd_imap.options import ImapOptions
from gatewayd_imap.watch import Idle
from gatewayd_pop3 import faults as pop3_faults
from gatewayd_pop3 import uidl
from gatewayd_pop3.options import Pop3Options
from gatewayd_pop3.wire import Wire
from gatewayd_smtp import faults as smtp_faults
from gatewayd_webhook.answer import WebhookAnswer
from gatewayd_webhook.signature import Keys
from tests.uncounted import uncounted
from tests.unit.linear import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL, LARGE = 1 << 12, 1 << 15
#: 8 times the bytes may cost so many times the time, and what a machine that is busy adds.
SLOWER, SPARE = 24, 0.05


IMAP = ImapOptions.model_construct(host="imap.example.com", username="irina")


def _imaplib(words: bytes) -> None:
    """What imaplib itself makes of a line."""
    for name in ("Response_code", "Untagged_response", "Untagged_status", "Continuation", "Literal"):
        getattr(imaplib, name).match(words)
        getattr(imaplib, name).match(b"* " + words)


def _idle(words: bytes) -> None:
    class Client:
        abort = ValueError

        def idle_tag(self) -> bytes:
            return b"W1"

    watch = Idle(Client(), exists=1, news=False)  # type: ignore[arg-type]
    with suppress(ValueError):
        watch._take(b"* " + words + b"\r\n* 7 EXISTS\r\n")


class _Wire:
    where = "pop.example.com:110"
    secrets = ("correct horse",)
    options = Pop3Options.model_construct(host="pop.example.com", username="irina")


def _folder_names(words: bytes) -> None:
    """Longer ones are left out before."""
    pieces = [words[at : at + 250] for at in range(0, len(words), 250)]
    list(problems._readable([b"&" + piece + b"-" for piece in pieces]))


def _webhook(words: bytes) -> None:
    text = words.decode("latin-1")
    answer = WebhookAnswer(status=429, reason=text, retry_after=text, location=text, body=words)
    answer.text(Keys())
    answer.patience  # noqa: B018  it is what is measured


def _ehlo(words: bytes) -> None:
    """What smtplib makes of the answer to EHLO."""

    class Client(smtplib.SMTP):
        def putcmd(self, cmd: str, args: str = "") -> None:
            del cmd, args

        def getreply(self) -> tuple[int, bytes]:
            return 250, b"x\nAUTH=" + words + b"\nSIZE " + words + b"\n" + words

    Client(local_hostname="localhost").ehlo()


def _http(words: bytes) -> None:
    """What http.client makes of headers."""
    with suppress(HTTPException):
        parse_headers(BytesIO(words + b"\r\nX: " + words + b"\r\n\r\n")).get("Location")


def _wire(words: bytes) -> None:
    """A multi-line reply of POP3 and the status line of the next."""

    class Line:
        where = "pop.example.com:110"
        left = b"+OK\r\n" + words + b"\r\n.\r\n" + words[:1000] + b"\r\n"

        def recv(self, _size: int) -> bytes:
            piece, self.left = self.left[:1000], self.left[1000:]
            return piece

    wire = Wire(Line(), Pop3Options.model_construct(host="pop.example.com", port=110, timeout=1.0))  # type: ignore[arg-type]
    with suppress(TransientError):
        wire.greeting()
        b"".join(wire.body())
        wire.greeting()


def _head(words: bytes) -> None:
    """What is read of headers when a folder was renumbered, and of those whose senders are judged again."""
    some = words[: len(words) // 4]
    fields = b"".join(name + b": " + some + b"\r\n" for name in (b"Date", b"Message-ID", b"From", b"Subject"))
    for block in (words, fields, b"X: y\r\n" + words):
        AnchorHeaders.of(block + b"\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <1@example.com>\r\n")
        senders(parse(BytesSource(block)))


#: Whatever takes what a server said, by name.
PARSERS: dict[str, Callable[[bytes], object]] = {
    "words that are shown": lambda words: quoted(words, ("correct horse",)),
    "other protocols": other_protocol,
    "IMAP, imaplib": _imaplib,
    "IMAP, FETCH": lambda words: list(answers.fields([b"1 (UID 1 " + words, b"1 (" + words + b")", (words, b"x"), words])),
    "IMAP, LIST": lambda words: list(answers.folders([b"(" + words, b'() "/" ' + words, (words, b"x"), words])),
    "IMAP, SEARCH": lambda words: answers.named([words], 1, 100),
    "IMAP, UID before a literal": answers.uid_in,
    "IMAP, INTERNALDATE": answers.arrival,
    "IMAP, number": answers.number,
    "IMAP, names of folders": _folder_names,
    "IMAP, refusals": lambda words: imap_refused(IMAP, b"NO " + words, "", ValueError, ()),  # type: ignore[arg-type]
    "a refused log-in": lambda words: login_advice("IMAP", "imap.example.com", words, username="irina"),
    "IMAP, IDLE": _idle,
    "POP3, LIST and UIDL": lambda words: list(map(uidl.numbered, uidl.lines([b"1 " + words, words, words]))),
    "POP3, what is none": lambda words: pop3_faults.garbled("", words),
    "SMTP, what is shown": lambda words: smtp_faults.reply_text(550, words),
    "SMTP, EHLO": _ehlo,
    "HTTP, an answer": _webhook,
    "HTTP, headers": _http,
    "POP3, a reply": _wire,
    "POP3, refusals": lambda words: pop3_faults.refused(_Wire(), b"-ERR " + words, "", AuthError),  # type: ignore[arg-type]
    "IMAP, bodies": lambda words: list(answers.fields([(b"1 (UID 1 " + words + b" BODY[] {1}", b"x"), words + b")"])),
    "IMAP, short answers": lambda words: [
        list(
            answers.fields([b"1 (" + words[at : at + 300] + b")", (b"1 (BODY[" + words[at : at + 300], b"x"), words[at : at + 300]])
        )
        for at in range(0, len(words), 300)
    ],
    "headers of a listing": _head,
}

#: What patterns stumble over, alone and by twos.
PIECES = (
    b" ",
    b"\r\n",
    b"\r",
    b"(",
    b")",
    b"[",
    b"]",
    b"{1}",
    b"<",
    b'"',
    b"\\",
    b"a",
    b"9",
    b"-",
    b"=",
    b"%4",
    b"&#",
    b"*",
    b",",
    b"\xff",
)
UNITS = [
    *PIECES,
    *map(b"".join, itertools.permutations(PIECES, 2)),
    b"UID 1 ",
    b"BODY[",
    b"NIL ",
    b"\\x4",
    b"\\u00",
    b'"\\"',
    b"a[a",
]


#: What takes long by itself is tried with fewer.
SLOW = {"headers of a listing", "IMAP, short answers"}


@pytest.mark.parametrize("name", PARSERS)
def test_P8_words_of_eight_times_the_size_cost_no_more_than_some_times_the_time(name: str) -> None:
    with uncounted():
        for unit in UNITS if name not in SLOW else (*PIECES, *UNITS[len(PIECES) :: 5]):
            _assert_in_proportion(name, unit)


def _assert_in_proportion(name: str, unit: bytes) -> None:
    parser = PARSERS[name]
    small, large = (unit * (size // len(unit)) for size in (SMALL, LARGE))
    for left in (3, 2, 1, 0):
        bound, took = SLOWER * cpu_seconds(partial(parser, small)) + SPARE, cpu_seconds(partial(parser, large))
        if took < bound:
            break
        # A machine that is busy is slow once or twice, and never so slow.
        assert took < bound + 2, f"{unit!r} over and over costs {name} seconds"
        assert left, f"{unit!r} over and over costs {name} more than in proportion"
