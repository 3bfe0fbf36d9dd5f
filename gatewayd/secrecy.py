"""What a server said, as it may be shown: printable, short, and without any secret of ours.

A server may repeat what we told it, in whatever form. So its words are looked through as they came, before anything in them
is cut or replaced; where a secret is found, none of them is shown.
"""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["HIDDEN", "quoted", "repeats"]

#: What stands in place of words that repeat a secret.
HIDDEN = "(not shown: it repeats a secret)"
#: How many bytes are looked through, at most: nothing that stands behind them is shown.
_LOOKED = 1 << 13
#: Words that end in so many characters of a secret's beginning were cut within it.
_BEGINNING = 4
#: Shorter pieces of base64 stand in anything.
_CORE = 3

_BYTE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([0-3][0-7]{2}))")
#: The last are control characters, which are left out of both sides.
_CHARACTER = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|[abfnrtv])")
_REFERENCE = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(quot|apos|amp|lt|gt));")
_NAMED = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">"}
_SOFT_BREAK = re.compile(rb"=\r?\n")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
#: What is left out of both sides before they are compared: line breaks of base64, backslashes however often they were quoted.
_LEFT_OUT = str.maketrans("", "", "".join(map(chr, range(33))) + "\x7f\xa0\\")


def quoted(words: bytes | str, secrets: Sequence[str], limit: int = 200) -> str:
    """Return what a server said as one printable line of at most ``limit`` characters; ``HIDDEN`` where a secret is in it."""
    raw = _bytes(words)[:_LOOKED]
    if any(repeats(raw, secret) for secret in secrets):
        return HIDDEN
    text = " ".join(raw[: 4 * limit].decode("utf-8", "replace").split())
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:limit].strip()


def repeats(words: bytes | str, secret: str) -> bool:
    r"""Whether the words hold a secret, or end within it.

    As it is, in whatever case, quoted once or more, as bytes or text that Python shows (``\xc3\xa9``), percent-encoded, as HTML,
    JSON or quoted-printable, in hex, and in base64 wherever it stands in what was encoded (the answers of AUTHENTICATE).
    """
    if not secret:
        return False
    forms = list(_forms(secret))
    return any(form in text or _ends_within(text, form) for text in _readings(_bytes(words)[:_LOOKED]) for form in forms)


def _bytes(words: bytes | str) -> bytes:
    return words if isinstance(words, bytes) else words.encode("utf-8", "surrogateescape")


def _plain(text: str) -> str:
    return text.translate(_LEFT_OUT).casefold()


def _forms(secret: str) -> Iterator[str]:
    raw = _bytes(secret)
    yield _plain(secret)
    yield _plain(raw.decode("latin-1"))
    yield raw.hex()
    for shift in range(3):
        # The characters at either end hold bits of what stands beside it.
        core = b64encode(bytes(shift) + raw)[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6].decode("ascii")
        if len(core) >= _CORE:
            yield _plain(core)
            yield _plain(core.replace("+", "-").replace("/", "_"))


def _readings(raw: bytes) -> set[str]:
    """Return the words as they are, and as they read when one or all of the known encodings are taken off."""
    read = {raw, *(decode(raw) for decode in _DECODERS)}
    for decode in _DECODERS:
        raw = decode(raw)
        read.add(raw)
    return {_plain(each.decode(charset, "replace")) for each in read for charset in ("utf-8", "latin-1")}


def _percent(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _references(raw: bytes) -> bytes:
    return _substituted(raw, _REFERENCE, lambda found: _NAMED[found[3]] if found[3] else _sign(found[1], 10, found[2]))


def _characters(raw: bytes) -> bytes:
    return _substituted(raw, _CHARACTER, lambda found: _sign(found[1] or found[2] or found[3], 16, "0"))


def _escaped_bytes(raw: bytes) -> bytes:
    return _BYTE.sub(lambda found: bytes([int(found[1], 16) if found[1] else int(found[2], 8)]), raw)


def _quoted_printable(raw: bytes) -> bytes:
    return _HEX.sub(lambda found: bytes([int(found[1], 16)]), _SOFT_BREAK.sub(b"", raw))


def _substituted(raw: bytes, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> bytes:
    text = pattern.sub(by, raw.decode("utf-8", "surrogateescape"))
    # JSON writes what lies above U+FFFF as two halves.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _sign(number: str | None, base: int, otherwise: str = "") -> str:
    code = int(number, base) if number else int(otherwise, 16)
    return chr(code) if code <= sys.maxunicode else ""


def _ends_within(text: str, form: str) -> bool:
    """Whether the text ends in the beginning of ``form``."""
    at = text.find(form[:_BEGINNING], max(0, len(text) - len(form))) if len(form) > _BEGINNING else -1
    while at >= 0:
        if form.startswith(text[at:]):
            return True
        at = text.find(form[:_BEGINNING], at + 1)
    return False


_DECODERS = (_percent, _references, _characters, _escaped_bytes, _quoted_printable)
