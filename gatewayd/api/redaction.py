"""Make a server's words fit to be shown: printable, short, and without any secret of ours.

A server may repeat what we told it, in whatever form. So its words are looked through as they came, before anything in them
is cut or replaced; where a secret is found, none of them is shown.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from gatewayd.message.control_characters import replace_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

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
#: The same where a backslash stands for itself: two of them, and what follows is no sign of theirs.
_PAIR_OR_BYTE = re.compile(rb"\\\\|" + _BYTE.pattern)
_PAIR_OR_CHARACTER = re.compile(r"\\\\|" + _CHARACTER.pattern)
_REFERENCE = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(quot|apos|amp|lt|gt));")
_NAMED = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">"}
_SOFT_BREAK = re.compile(rb"=\r?\n")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
#: As in names of LDAP (RFC 4514 section 2.4), and as SQL writes a quote.
_LDAP = re.compile(rb"\\([0-9A-Fa-f]{2})")
_DOUBLED = re.compile(rb"(['\"])\1")
#: What stands between the bytes of a hex dump.
_BETWEEN = re.compile(r"(?<=[0-9a-f])[:-](?=[0-9a-f])")
#: What is left out of both sides before they are compared: line breaks of base64, backslashes however often they were quoted.
_LEFT_OUT = str.maketrans("", "", "".join(map(chr, range(33))) + "\x7f\xa0\\")


def quoted(words: bytes | str, secrets: Sequence[str], limit: int = 200) -> str:
    """Return what a server said as one printable line of at most ``limit`` characters; ``HIDDEN`` where a secret is in it."""
    raw = _bytes(words)[:_LOOKED]
    known = list(filter(None, secrets))
    texts = _readings(raw) if known else ()
    if any(_holds(texts, secret) for secret in known):
        return HIDDEN
    text = " ".join(raw[: 4 * limit].decode("utf-8", "replace").split())
    return replace_hidden(text, lambda _: "?")[:limit].strip()


def repeats(words: bytes | str, secret: str) -> bool:
    r"""Whether the words hold a secret, or end within it.

    As it is, in whatever case, quoted once or more, as bytes or text that Python shows (``\xc3\xa9``), percent-encoded once or
    twice, as HTML, JSON, SQL, LDAP or quoted-printable, in hex, and in base64 wherever it stands in what was encoded (the
    answers of AUTHENTICATE), that of UTF-16 included.
    """
    return bool(secret) and _holds(_readings(_bytes(words)[:_LOOKED]), secret)


def _holds(texts: Collection[str], secret: str) -> bool:
    return any(form in text or _ends_within(text, form) for form in _forms(secret) for text in texts)


def _bytes(words: bytes | str) -> bytes:
    if isinstance(words, bytes):
        return words
    try:
        return words.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # JSON may have halves of characters.
        return words.encode("utf-8", "surrogatepass")


def _plain(text: str) -> str:
    text = text.translate(_LEFT_OUT)
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()


def _forms(secret: str) -> Iterator[str]:
    raw = _bytes(secret)
    yield _plain(secret)
    yield _plain(raw.decode("latin-1"))
    text = raw.decode("utf-8", "replace")
    for stored in (raw, text.encode("utf-16-le"), text.encode("utf-16-be")):
        yield stored.hex()
        for shift in range(3):
            # The characters at either end hold bits of what stands beside it.
            core = b64encode(bytes(shift) + stored)[-(-shift * 8 // 6) : (shift + len(stored)) * 8 // 6].decode("ascii")
            if len(core) >= _CORE:
                yield _plain(core)
                yield _plain(core.replace("+", "-").replace("/", "_"))


def _readings(raw: bytes) -> set[str]:
    """Return the words as they are, and as they read when one of the known encodings is taken off, once or twice, or all are."""
    once = [(decode, decode(raw)) for decode in _DECODERS]
    read = {raw, _encoded_word(raw), *(decoded for _, decoded in once), *(decode(decoded) for decode, decoded in once)}
    for decode in _DECODERS:
        raw = decode(raw)
        read.add(raw)
    texts = {_plain(each.decode(charset, "replace")) for each in read for charset in _charsets(each)}
    return texts | {_BETWEEN.sub("", text) for text in texts if ":" in text or "-" in text}


def _charsets(raw: bytes) -> Sequence[str]:
    """Return in what charsets bytes may be text: what Windows has for it is among them."""
    if raw.isascii():
        return ("utf-8", "utf-16-le") if b"\0" in raw else ("utf-8",)
    return ("utf-8", "latin-1", "cp1252", "utf-16-le")


def _percent(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _references(raw: bytes) -> bytes:
    return _substituted(raw, _REFERENCE, lambda found: _NAMED[found[3]] if found[3] else _sign(found[1], 10, found[2]))


def _characters(raw: bytes, pattern: re.Pattern[str] = _CHARACTER) -> bytes:
    return _substituted(raw, pattern, lambda found: _sign(found[1] or found[2] or found[3], 16, "0"))


def _escaped_bytes(raw: bytes, pattern: re.Pattern[bytes] = _BYTE) -> bytes:
    def byte(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 16) if found[1] else int(found[2], 8)]) if found[1] or found[2] else found[0]

    return pattern.sub(byte, raw)


def _quoted_printable(raw: bytes) -> bytes:
    return _HEX.sub(lambda found: bytes([int(found[1], 16)]), _SOFT_BREAK.sub(b"", raw))


def _encoded_word(raw: bytes) -> bytes:
    return _quoted_printable(raw.replace(b"_", b" "))


def _ldap(raw: bytes) -> bytes:
    return _LDAP.sub(lambda found: bytes([int(found[1], 16)]), raw)


def _doubled(raw: bytes) -> bytes:
    return _DOUBLED.sub(rb"\1", raw)


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


#: Each takes one encoding off.
_DECODERS = (
    _percent,
    _references,
    partial(_characters, pattern=_PAIR_OR_CHARACTER),
    partial(_escaped_bytes, pattern=_PAIR_OR_BYTE),
    _characters,
    _escaped_bytes,
    _quoted_printable,
    _ldap,
    _doubled,
)
