"""Which characters of other people's text are not stored, printed or logged as they are: controls, formatting, directions."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BREAKS", "clean", "escaped_json", "replace_hidden"]

_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
#: Control characters, and the other characters that some programs take for the end of a line.
BREAKS = re.compile(f"[{re.escape(''.join(map(chr, _CONTROLS)))}\u2028\u2029]")
#: The property Bidi_Control of Unicode. These make a line look as if it said something else, and mean nothing to a search.
_DIRECTIONS = dict.fromkeys((0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "")
_IN_TEXT = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_IN_LINE = dict.fromkeys(_CONTROLS, " ") | _DIRECTIONS | _IN_TEXT
#: Unicode's categories of controls, formatting, surrogates, private use, unassigned, and line and paragraph separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: str, *, line: bool = True) -> str:
    """Return ``text`` as databases and JSON can store it: U+FFFD for NULs and lone surrogates.

    ``line``: control characters become spaces, too, and characters that change the direction of writing are removed.
    """
    if text.isprintable():
        return text
    return text.translate(_IN_LINE if line else _IN_TEXT)


def replace_hidden(text: str, by: Callable[[str], str]) -> str:
    """Return ``text`` with ``by(character)`` for each character that a terminal would obey, or would not show."""
    if text.isprintable():
        return text
    return "".join(by(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def escaped_json(text: str) -> str:
    r"""Return JSON text with ``\uXXXX`` for each character that a terminal would obey, or would not show."""
    # Above U+FFFF it takes a pair of surrogates (RFC 8259 section 7).
    return replace_hidden(text, lambda char: re.sub("(.{4})", r"\\u\1", char.encode("utf-16-be", "surrogatepass").hex()))
