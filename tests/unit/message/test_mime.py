"""The MIME tree by offsets: the same leaves as the standard library's parser finds, whatever the window, within bounds."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import dataclass

import pytest

from gatewayd.message.mail import parse
from tests.unit.message.part_trees import MIXED, leaves


def bodies(raw: bytes) -> list[bytes]:
    return [raw[leaf.part.offset :][: leaf.part.length] for leaf in leaves(raw)[0]]


def test_the_line_end_before_a_boundary_is_the_boundary_s() -> None:
    raw = MIXED % b"b" + b"preamble\r\n--b\r\n\r\none\r\n\r\n--b\n\ntwo\n--b\r\rthree\r--b--\r\nepilogue"
    assert bodies(raw) == [b"one\r\n", b"two", b"three"]


def test_a_boundary_stands_alone_on_its_line() -> None:
    raw = MIXED % b"b" + b"--b\r\n\r\n --b\r\n--bc\r\n--b c\r\nx--b\r\n--b-\r\n--b--c\r\n--b \t\r\n\r\ntwo\r\n--b-- \r\n"
    assert bodies(raw) == [b" --b\r\n--bc\r\n--b c\r\nx--b\r\n--b-\r\n--b--c", b"two"]


def test_a_missing_end_is_no_fault() -> None:
    assert bodies(MIXED % b"b" + b"--b\r\n\r\none\r\n--b\r\n\r\ntwo") == [b"one", b"two"]
    assert bodies(MIXED % b"b" + b"--b\r\n\r\none\r\n--b") == [b"one", b""]


def test_an_outer_boundary_ends_inner_parts() -> None:
    raw = MIXED % b"b" + b"--b\r\n" + MIXED % b"c" + b"--c\r\n\r\ninner\r\n--b\r\n\r\nouter\r\n--c--\r\n--b--"
    assert bodies(raw) == [b"inner", b"outer\r\n--c--"]


@pytest.mark.parametrize("boundary", [b"b", b"=_" + b"b" * 60, b"b" * 1500])
def test_a_boundary_is_found_however_far_it_stands(boundary: bytes) -> None:
    for size in (*range(1010 - len(boundary) % 100, 1032), 5000):
        for line in (b"x", b"-"):
            first = line * size
            raw = MIXED % boundary + b"--%b\r\n\r\n%b\r\n--%b\r\n\r\ntwo\r\n--%b--" % (boundary, first, boundary, boundary)
            assert bodies(raw) == [first, b"two"]


@pytest.mark.parametrize("tail", [b"", b"no boundary here\r\n", b"--b--\r\n", b"--c\r\n\r\nx"])
def test_a_multipart_that_shows_no_part_is_text(tail: bytes) -> None:
    found, faults = leaves(MIXED % b"b" + tail)
    assert [(leaf.part.type, leaf.disposition) for leaf in found] == [("text/plain", "")]
    assert faults == []


def test_a_letter_in_a_letter_stays_closed_and_has_its_subject_for_a_name() -> None:
    inner = b"Subject: =?utf-8?q?inn=C3=A4r?=\r\n" + MIXED % b"c" + b"--c\r\n\r\nx\r\n--c--"
    raw = MIXED % b"b" + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--"
    found, _ = leaves(raw)
    assert [leaf.name for leaf in found] == ["innär.eml"]
    assert bodies(raw) == [inner]


def test_parts_of_a_digest_are_letters() -> None:
    raw = MIXED.replace(b"mixed", b"digest") % b"b" + b"--b\r\n\r\nSubject: one\r\n\r\nx\r\n--b\r\n\r\n\r\n--b--"
    assert [leaf.name for leaf in leaves(raw)[0]] == ["one.eml", "message.eml"]


# --- bounds (P8) ------------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b"".join(MIXED % b"n%d" % level + b"--n%d\r\n" % level for level in range(depth)) + b"\r\nbottom"


def test_P8_depth_is_bounded() -> None:
    assert leaves(nested(50))[1] == []
    found, faults = leaves(nested(51))
    assert [leaf.part.type for leaf in found] == ["multipart/mixed"]
    assert faults == ["its parts are nested deeper than 50"]


def test_P8_parts_are_bounded() -> None:
    found, faults = leaves(MIXED % b"b" + b"--b\r\n\r\nx\r\n" * 1000 + b"--b--\r\n")
    assert (len(found), faults) == (1000, [])
    found, faults = leaves(MIXED % b"b" + b"--b\r\n\r\nx\r\n" * 1001 + b"--b--\r\n")
    assert (len(found), faults) == (1000, ["it has more than 1000 parts"])


def test_P8_parts_are_bounded_over_all_levels() -> None:
    inner = MIXED % b"c" + b"--c\r\n\r\nx\r\n" * 600
    found, faults = leaves(MIXED % b"b" + (b"--b\r\n" + inner + b"\r\n") * 3)
    assert len(found) <= 1001
    assert faults == ["it has more than 1000 parts"]


def test_P8_false_boundaries_are_bounded() -> None:
    _, faults = leaves(MIXED % b"b" + b"--b\r\n\r\n" + b"\r\n--bx" * 100_001)
    assert faults == ["its boundaries can't be told from its text"]


def test_P8_part_headers_are_bounded_together() -> None:
    part = b"--b\r\nX: " + b"x" * 400_000 + b"\r\n\r\nbody\r\n"
    found, faults = leaves(MIXED % b"b" + part * 3)
    assert [leaf.part.length for leaf in found] == [4, 4, 6]
    assert faults == [f"its headers are longer than {1 << 20} bytes"]


# --- a message larger than the memory ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Huge:
    """A message of 200 MB that is made when it is read: text, one large base64 part, one more text."""

    lines: int = 2_700_000
    start: bytes = (
        MIXED % b"huge"
        + b"--huge\r\n\r\nfirst\r\n--huge\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    line: bytes = b"QUJD" * 18 + b"\r\n"
    end: bytes = b"--huge\r\nContent-Type: text/html\r\n\r\nlast\r\n--huge--\r\n"

    @property
    def size(self) -> int:
        return len(self.start) + self.lines * len(self.line) + len(self.end)

    def read(self, offset: int, size: int) -> bytes:
        body = len(self.start) + self.lines * len(self.line)
        out = self.start[offset : offset + size]
        at = offset + len(out)
        if at < min(body, offset + size):
            wanted = min(body, offset + size) - at
            shift = (at - len(self.start)) % len(self.line)
            out += (self.line * (wanted // len(self.line) + 2))[shift : shift + wanted]
        rest = offset + size - max(offset + len(out), body)
        return out + self.end[max(0, offset - body) :][:rest] if rest > 0 else out


def test_P8_a_message_of_200_mb_takes_little_memory() -> None:
    source = Huge()
    assert source.size > 194_000_000
    tracemalloc.start()
    try:
        mail = parse(source)
        text = mail.text
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        size = sum(len(piece) for piece in mail.attachment(0))
        peak = max(peak, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert (text, mail.faults) == ("first\nlast", ())
    assert mail.attachments[0].size == size == 54 * source.lines
    assert peak < 16 << 20


def test_the_made_message_is_one() -> None:
    source = Huge(lines=30)
    whole = source.read(0, source.size)
    assert len(whole) == source.size
    rng = random.Random(3)
    for _ in range(200):
        offset, size = rng.randrange(source.size), rng.randrange(3000)
        assert source.read(offset, size) == whole[offset : offset + size]
