"""To read a server's words takes time in proportion to their size, whatever they are (P8).

Each parser of such words stands in ``PARSERS``; a new one goes there. A pattern that goes back over what it has read, or a loop
that copies the rest of its text each time, makes 8 times the bytes cost 64 times the time.
"""

from __future__ import annotations

import imaplib
import itertools
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gatewayd import other_protocol, quoted
from gatewayd_imap import answers, problems
from gatewayd_imap.faults import refused as imap_refused
from gatewayd_imap.watch import Idle
from gatewayd_pop3 import faults as pop3_faults
from gatewayd_pop3 import uidl
from gatewayd_smtp import faults as smtp_faults
from gatewayd_webhook.answer import Answer
from gatewayd_webhook.signature import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL, LARGE = 1 << 12, 1 << 15
#: 8 times the bytes may cost so many times the time, and what a machine that is busy adds.
SLOWER, SPARE = 24, 0.05


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


def _folder_names(words: bytes) -> None:
    """Longer ones are left out before."""
    pieces = [words[at : at + 250] for at in range(0, len(words), 250)]
    list(problems._readable([b"&" + piece + b"-" for piece in pieces]))


def _webhook(words: bytes) -> None:
    text = words.decode("latin-1")
    answer = Answer(status=429, reason=text, retry_after=text, location=text, body=words)
    answer.words(Keys())
    answer.patience  # noqa: B018  it is what is measured


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
    "IMAP, refusals": lambda words: imap_refused(b"NO " + words, "", ValueError, ()),  # type: ignore[arg-type]
    "IMAP, IDLE": _idle,
    "POP3, LIST and UIDL": lambda words: list(map(uidl.numbered, uidl.lines([b"1 " + words, words, words]))),
    "POP3, what is none": lambda words: pop3_faults.garbled("", words),
    "SMTP, what is shown": lambda words: smtp_faults.said(550, words),
    "HTTP, an answer": _webhook,
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


def seconds(parser: Callable[[bytes], object], words: bytes) -> float:
    began = time.process_time()
    parser(words)
    return time.process_time() - began


@pytest.mark.parametrize("name", PARSERS)
def test_P8_words_of_eight_times_the_size_cost_no_more_than_some_times_the_time(name: str) -> None:
    parser = PARSERS[name]
    for unit in UNITS:
        small, large = (unit * (size // len(unit)) for size in (SMALL, LARGE))
        for left in (3, 2, 1, 0):
            bound, took = SLOWER * seconds(parser, small) + SPARE, seconds(parser, large)
            if took < bound:
                break
            # A machine that is busy is slow once or twice, and never so slow.
            assert took < bound + 2, f"{unit!r} over and over costs {name} seconds"
            assert left, f"{unit!r} over and over costs {name} more than in proportion"
