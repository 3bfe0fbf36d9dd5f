"""RTF of Outlook: it is decompressed as its specification shows, and read for its words."""

from __future__ import annotations

import pytest

from gatewayd.message.rtf import rtf_bytes, rtf_to_text
from tests.unit.containers_made import RTF, packed
from tests.unit.linear import assert_linear


def test_rtf_is_unpacked_as_its_specification_shows() -> None:
    first = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    second = "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0"
    assert rtf_bytes(bytes.fromhex(first), 1000) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert rtf_bytes(bytes.fromhex(second), 1000) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert rtf_bytes(bytes.fromhex(second), 9) == b"{\\rtf1 WX"
    assert rtf_bytes(packed(RTF), 1000) == RTF
    assert rtf_bytes(b"\0" * 8 + b"MELA" + b"\0" * 4 + b"x", 1000) == b""


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (RTF, "Příjezd: Žižkov\nB-756"),
        (rb"{\rtf1 a\tab b\line c\~d\{e\}\\{\*\generator x}{\pict 00ff}\emdash f}", "a\tb\nc\u00a0d{e}\\\u2014f"),
        (rb"{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf \par hidden\htmlrtf0 shown\htmlrtf {\htmlrtf0 x}", "shownx"),
        (rb"{\rtf1\uc2\u228ab\u-10179??\u-8704??{\uc0\u228 x}}", "ä😀äx"),
        (b"{\\rtf1 a\r\nb}", "ab"),
        (b"}}}a\\", "a"),
        (b"", ""),
    ],
)
def test_rtf_is_read_for_its_words(rtf: bytes, text: str) -> None:
    assert rtf_to_text(rtf) == text


@pytest.mark.parametrize("unit", [b"{", b"}", b"\\", b"\\'", b"\\'41", b"\\u1 ", b"{\\*", b"a", b"\\par", b"{a}", b"\\uc9\\u1"])
def test_hostile_rtf_takes_linear_time(unit: bytes) -> None:
    assert_linear(rtf_to_text, unit)
    assert_linear(lambda data: rtf_bytes((1 << 24).to_bytes(4, "little") * 2 + b"LZFu" + b"\0" * 4 + data, 1 << 20), unit)
