"""Malformed messages, which broke mail programs or could: each must be filed with its bytes unchanged."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.testing.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["malformed_messages"]

__getattr__ = renamed(__name__, {"nasties": "malformed_messages"})

_TOP = (
    b"Message-ID: <%s@nasty.example>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n"
    b"From: Eve <eve@nasty.example>\r\nTo: reservations@tours.example\r\n"
)
_PNG = base64.encodebytes(bytes(range(256)) * 4).replace(b"\n", b"\r\n")


def malformed_messages(seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield at least 300 malformed messages as (name, raw bytes), the same for the same seed; no two are equal.

    Their bytes are arbitrary, as files in a Maildir can be: NULs, lone CRs and LFs, lines of a megabyte.
    """
    rng = random.Random(seed)  # noqa: S311  repeatable, not secret
    yield from _hand_made()
    yield from _charsets()
    # These ask for more parts, depth, header or work than any parser should give.
    for name, rest in (_huge_trees() | _huge_heads() | _huge_texts()).items():
        yield name, _whole(name, rest)
    yield from _line_ends()
    yield from _damaged(rng)


def _cases(name: str) -> list[bytes]:
    r"""Return the cases of a file, one a line; ``\r\n``, ``\xNN`` and the like are escapes for those bytes.

    ``bare`` has whole messages, ``bodies`` the last header lines of a message with its body, ``charsets`` values of the parameter
    charset, and the others header lines.
    """
    table = (Path(__file__).parent / "cases" / f"{name}.txt").read_text(encoding="utf-8")
    return [line.encode("latin-1").decode("unicode_escape").encode("latin-1") for line in table.splitlines() if line]


def _hand_made() -> Iterator[tuple[str, bytes]]:
    for number, raw in enumerate(_cases("bare")):
        yield f"bare-{number}", raw
    for family in ("word", "address", "id", "date", "type", "name"):
        for number, line in enumerate(_cases(family)):
            name = f"{family}-{number}"
            # The line comes first: where a header stands twice, most programs believe the first.
            yield name, line + b"\r\n" + _whole(name, b"Subject: nasty 756\r\n\r\nbody of %s\r\n" % name.encode())
    for number, rest in enumerate(_cases("bodies")):
        yield f"body-{number}", _whole(f"body-{number}", b"Subject: body 756\r\nMIME-Version: 1.0\r\n" + rest)


def _charsets() -> Iterator[tuple[str, bytes]]:
    for charset in _cases("charsets"):
        for number, body in enumerate((b"Gr\xfc\xdfe 756 \x80\x81\xff\r\n", b"\xc4\x8d\xe2\x82\xac \xd0\x9f 756\r\n")):
            name = f"charset-{charset.decode()}-{number}"
            head = b"Subject: =?%s?q?nasty_=FC_756?=\r\nContent-Type: text/plain; charset=%s\r\n\r\n" % (charset, charset)
            yield name, _whole(name, head + body)


def _whole(name: str, rest: bytes) -> bytes:
    return _TOP % name.encode("ascii", "replace").replace(b" ", b"_") + rest


def _mixed(boundary: bytes = b"B") -> bytes:
    """Return an honest multipart to be damaged."""
    return (
        b"Subject: =?utf-8?q?Buchung_756_=C3=A4?=\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=%s\r\n\r\npreamble\r\n"
        b"--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Gr=C3=BC=C3=9Fe 756=\r\n!\r\n"
        b"--%s\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n"
        b"--%s--\r\nepilogue\r\n"
    ) % (boundary, boundary, boundary, _PNG, boundary)


def _nested(depth: int, *, closed: bool) -> bytes:
    opens = b"".join(b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (level, level) for level in range(depth))
    ends = b"".join(b"\r\n--n%d--" % level for level in reversed(range(depth))) if closed else b""
    return b"Subject: deep 756\r\n" + opens + b"Content-Type: text/plain\r\n\r\nat the bottom" + ends + b"\r\n"


def _huge_trees() -> dict[str, bytes]:
    part = b"--P\r\nContent-Type: text/plain\r\n\r\npart %d\r\n"
    multipart = b"Subject: many 756\r\nContent-Type: multipart/mixed; boundary=P\r\n\r\n"
    letter = b"Content-Type: message/rfc822\r\n\r\nSubject: inner %d\r\n"
    return {
        "parts-10000": multipart + b"".join(part % n for n in range(10_000)) + b"--P--\r\n",
        "parts-empty-5000": multipart + b"--P\r\n" * 5000 + b"--P--\r\n",
        "attachments-900": multipart + b"--P\r\nContent-Type: image/png\r\n\r\nx\r\n" * 900 + b"--P--\r\n",
        "false-boundaries": multipart + b"--P\r\n\r\n" + b"\r\n--Px" * 120_000,
        "depth-1000": _nested(1000, closed=True),
        "depth-1000-open": _nested(1000, closed=False),
        "depth-49": _nested(49, closed=True),
        "depth-51": _nested(51, closed=True),
        "depth-same-boundary": b"Content-Type: multipart/mixed; boundary=P\r\n\r\n--P\r\n" * 300 + b"\r\nx\r\n",
        "letters-1000": b"Subject: letters 756\r\n" + b"".join(letter % n for n in range(1000)) + b"\r\nbottom\r\n",
    }


def _huge_heads() -> dict[str, bytes]:
    people = b",\r\n ".join(b'"Person, %d" <p%d@x.example>' % (n, n) for n in range(3000))
    return {
        "header-line-1mb": b"Subject: 756\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\nbody\r\n",
        "header-line-2mb": b"Subject: 756\r\nX-Long: " + b"y" * 2_000_000 + b"\r\n\r\nbody\r\n",
        "header-folds-1mb": b"Subject: 756\r\nX-Long: a" + b"\r\n z" * 250_000 + b"\r\n\r\nbody\r\n",
        "subject-1mb": b"Subject: " + b"756 " * 260_000 + b"\r\n\r\nbody\r\n",
        "subject-words": b"Subject: " + b"=?utf-8?q?=C3?= =?utf-8?q?=A4?=\r\n " * 20_000 + b"\r\n\r\nbody\r\n",
        "subject-word-starts": b"Subject: " + b"=?a?q?" * 40_000 + b"\r\n\r\nbody\r\n",
        "headers-30000": b"".join(b"X-%d: y\r\n" % n for n in range(30_000)) + b"Subject: 756\r\n\r\nbody\r\n",
        "no-empty-line-1mb": b"Subject: 756\r\n" + b"no header here\r\n" * 70_000,
        "people-3000": b"Cc: " + people + b"\r\nSubject: 756\r\n\r\nbody\r\n",
        "comments-deep": b"Cc: " + b"(" * 60_000 + b"\r\nSubject: 756\r\n\r\nbody\r\n",
        "quotes-open": b"Cc: " + b'"\\' * 60_000 + b"\r\nSubject: 756\r\n\r\nbody\r\n",
        "groups-deep": b"Cc: " + b"a:" * 60_000 + b"\r\nSubject: 756\r\n\r\nbody\r\n",
        "references-20000": b"References: "
        + b"\r\n ".join(b"<%d@x>" % n for n in range(20_000))
        + b"\r\nSubject: 756\r\n\r\nbody\r\n",
        "parameters-20000": b"Subject: 756\r\nContent-Type: text/plain"
        + b"".join(b"; p%d=q" % n for n in range(20_000))
        + b"\r\n\r\nbody\r\n",
    }


def _huge_texts() -> dict[str, bytes]:
    return {
        "html-divs": b"Subject: 756\r\nContent-Type: text/html\r\n\r\n" + b"<div>" * 100_000 + b"756",
        "html-comments": b"Subject: 756\r\nContent-Type: text/html\r\n\r\n" + b"<!--" * 100_000,
        "html-quotes": b"Subject: 756\r\nContent-Type: text/html\r\n\r\n" + b'<a ">"' * 80_000,
        "html-numbers": b"Subject: 756\r\nContent-Type: text/html\r\n\r\n&#" + b"9" * 100_000 + b";",
        "line-1mb": b"Subject: 756\r\n\r\n" + b"long" * 262_144,
        "nul-100k": b"Subject: 756\r\n\r\n" + b"\0" * 100_000,
    }


def _line_ends() -> Iterator[tuple[str, bytes]]:
    for ends, text in (
        ("cr", b"\r"),
        ("lf", b"\n"),
        ("lfcr", b"\n\r"),
        ("crcrlf", b"\r\r\n"),
        ("nul", b"\0\r\n"),
        ("ff", b"\f\r\n"),
    ):
        for kind, raw in (("mixed", _mixed()), ("deep", _nested(3, closed=True)), ("only-head", b"Subject: 756\r\nX: y\r\n")):
            yield f"ends-{ends}-{kind}", _whole(f"ends-{ends}-{kind}", raw).replace(b"\r\n", text)
    lines = _whole("ends-in-turn", _mixed()).split(b"\r\n")
    yield "ends-in-turn", b"".join(line + (b"\r\n", b"\n", b"\r")[number % 3] for number, line in enumerate(lines))


def _damaged(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield honest messages with a piece cut out, doubled, or overwritten."""
    for number in range(60):
        name = f"cut-{number}"
        raw = _whole(name, _mixed(b"cut%d" % number))
        yield name, raw[: rng.randint(40, len(raw) - 1)]
    for number in range(60):
        name = f"noise-{number}"
        noisy = bytearray(_whole(name, _mixed(b"noise%d" % number)))
        for _ in range(rng.randint(1, 40)):
            at = rng.randrange(len(noisy))
            noisy[at : at + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 4))
        yield name, bytes(noisy)
    for number in range(10):
        yield f"random-{number}", rng.randbytes(rng.randint(1, 5000))
