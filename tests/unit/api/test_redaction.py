"""Whatever a server says, a secret of ours is in nothing that is shown of it (P9)."""

from __future__ import annotations

import html
import json
import quopri
import re
import unicodedata
from base64 import b64encode, encodebytes, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd import HIDDEN, quoted, repeats
from tests.unit.linear import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "irina"


def escaped(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"')


#: How a server can repeat a secret, by name. A new way goes here.
WAYS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda secret: secret.encode(),
    "in capitals": lambda secret: secret.upper().encode() if secret.upper().casefold() == secret.casefold() else secret.encode(),
    "quoted": lambda secret: f'"{escaped(secret)}"'.encode(),
    "quoted twice": lambda secret: escaped(escaped(secret)).encode(),
    "as text that Python shows": lambda secret: repr(secret).encode(),
    "as bytes that Python shows": lambda secret: repr(secret.encode()).encode(),
    "as a list of bytes that Python shows": lambda secret: repr([b"NO " + escaped(secret).encode()]).encode(),
    "in ASCII that Python shows": lambda secret: ascii(secret).encode(),
    "as JSON": lambda secret: json.dumps({"password": secret}).encode(),
    "as HTML": lambda secret: html.escape(secret).encode(),
    "percent-encoded": lambda secret: quote(secret, safe="").encode(),
    "as a form": lambda secret: quote_plus(secret).encode(),
    "quoted-printable": lambda secret: quopri.encodestring(secret.encode()),
    "in hex": lambda secret: secret.encode().hex().encode(),
    "in base64": lambda secret: b64encode(secret.encode()),
    "in base64 of URLs": lambda secret: urlsafe_b64encode(secret.encode()),
    "in lines of base64": lambda secret: encodebytes(f"{'x' * 50}{secret}{'y' * 50}".encode()),
    "as the answer of AUTHENTICATE PLAIN": lambda secret: b64encode(f"\0{USER}\0{secret}".encode()),
    "as the command": lambda secret: f'A1 LOGIN "{USER}" "{escaped(secret)}"'.encode(),
    "as the command in base64": lambda secret: b64encode(f"PASS {secret}\r\n".encode()),
    "percent-encoded twice": lambda secret: quote(quote(secret, safe=""), safe="").encode(),
    "in an encoded word": lambda secret: quopri.encodestring(secret.encode(), header=True),
    "as LDAP": lambda secret: "".join(
        c if c.isalnum() and c.isascii() else "".join(f"\\{b:02x}" for b in c.encode()) for c in secret
    ).encode(),
    "as SQL": lambda secret: secret.replace("'", "''").encode(),
    "in hex with colons": lambda secret: secret.encode().hex(":").upper().encode(),
    "as a log of NTLM": lambda secret: b64encode(f"x{secret}".encode("utf-16-le")),
    "in UTF-16 and hex": lambda secret: secret.encode("utf-16-be").hex().encode(),
    "decomposed": lambda secret: unicodedata.normalize("NFD", secret).encode(),
    "as Latin-1": lambda secret: secret.encode("latin-1", "ignore") or secret.encode(),
}

#: No secret is so short that any answer holds it, and none is in the words around it.
secrets = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=5, max_size=40).filter(
    lambda text: len(re.sub(r"[\s\\]", "", text)) >= 5
)
around = st.binary(max_size=300).map(lambda raw: raw.replace(b"\\", b""))


@pytest.mark.parametrize("way", WAYS)
@given(secret=secrets, before=around, behind=around)
@example(secret=r"000\nĀ", before=b"", behind=b"")
@example(secret=r"ü\x41\101\u0041", before=b"", behind=b"")
def test_P9_words_that_repeat_a_secret_in_any_way_are_not_shown(way: str, secret: str, before: bytes, behind: bytes) -> None:
    if way == "as Latin-1" and not secret.isascii():
        try:
            secret.encode("latin-1")
        except UnicodeEncodeError:
            return
    words = before + b" " + WAYS[way](secret) + b" " + behind
    assert repeats(words, secret)
    assert quoted(words, ("something else", secret)) == HIDDEN


@given(
    st.sampled_from(["correct horse", 'pa"ss\\word', "pässwörd", "x" * 60, "a1b2c3", "tab\tand space"]),
    st.integers(0, 400),
    st.integers(1, 400),
)
def test_P9_words_that_are_cut_within_a_secret_show_no_beginning_of_it(secret: str, padding: int, limit: int) -> None:
    words = b"." * padding + secret.encode() + b" and more"
    for cut in range(padding + 5, len(words)):
        shown = quoted(words[:cut], (secret,), limit)
        assert secret[:5] not in shown
    # What is left of a secret at our own cut is none of it either.
    assert secret[:3] not in quoted(words, (secret,), limit)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (b"[ALERT] mailbox is locked\r\n", "[ALERT] mailbox is locked"),
        ("Grüße".encode(), "Grüße"),
        (b"bell \x07 and \xff", "bell ? and \ufffd"),
        ("as text", "as text"),
        (b"", ""),
        (b"y" * 500, "y" * 200),
        ("n\udc80", "n\ufffd"),
        ("a\ud800", "a\ufffd\ufffd\ufffd"),
    ],
)
def test_other_words_are_shown_on_one_line_printable_and_short(words: bytes | str, shown: str) -> None:
    assert quoted(words, ("correct horse",)) == shown
    assert quoted(words, ()) == shown


@given(st.binary(max_size=300) | st.text(st.characters(), max_size=300), st.text(max_size=10))
def test_it_never_raises_and_is_printable(words: bytes | str, secret: str) -> None:
    assert quoted(words, (secret,)).isprintable()


@pytest.mark.parametrize("unit", [b"\\", b"&#", b"%4", b"=\r\n", b"corr", b"\\u00", b"a", b"&#1234567", b" "])
def test_P8_to_look_words_through_takes_no_longer_for_a_megabyte_than_for_8_kib(unit: bytes) -> None:
    def seconds(size: int) -> float:
        words = unit * (size // len(unit))
        return cpu_seconds(lambda: quoted(words, ("correct horse " * 40,)))

    assert min(seconds(1 << 20) for _ in range(3)) < 10 * min(seconds(1 << 13) for _ in range(3)) + 0.05
