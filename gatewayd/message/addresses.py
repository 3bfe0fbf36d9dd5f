"""Parse address lists (RFC 5322 section 3.4, RFC 6532) into exactly the addresses that somebody wrote.

The structure is found before anything is decoded: an encoded word is a name, and never an address (RFC 2047 section 5). A
mailbox that can be read in two ways yields no address: mail is admitted, matched and answered by its address.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gatewayd.message.encoded_words import header_text
from gatewayd.message.iso2022 import iso_2022
from gatewayd.message.lexing import SPACE, comment_end, end_of_run, uncommented
from gatewayd.message.values import Address

__all__ = ["address_list"]

# --- one address ------------------------------------------------------------------------------------------------------

_TEXT = r"[\w!#$%&'*+/=?^`{|}~.\x80-\xff-]"
_LABEL = r"[\w\x80-\xff][\w\x80-\xff-]*+"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*+\.?|\[[\w.:-]{{1,60}}\])"
_ADDRESS = re.compile(rf"({_TEXT}++)@({_DOMAIN})", re.ASCII)
_QUOTED_ADDRESS = re.compile(rf'("(?:[^"\\]|\\.)*+") ?@ ?({_DOMAIN})', re.ASCII | re.DOTALL)
#: An encoded word, or a piece of one. No address is one, though an address may have each of its characters.
_ENCODED = re.compile(r"=\?[\w*-]+\?|\?[bq]\?", re.IGNORECASE | re.ASCII)
_BLANKS = re.compile(r"[ \t\r\n\v\f]+")
_LONGEST = 1000
#: A mailbox without a domain, as mail systems write it: MAILER-DAEMON, root.
_LOCAL = re.compile(rf"{_TEXT}{{1,64}}", re.ASCII)


def _email(text: str, *, local: bool = False) -> str:
    """Return ``text`` as an address, without comments and without spaces around its dots (RFC 5322 section 4.4).

    "" if it is no address. ``local``: a name without a domain is allowed.
    """
    text = text.strip(SPACE)
    if not text or len(text) > _LONGEST:
        return ""
    text = _BLANKS.sub(" ", uncommented(text)).strip(" ")
    if text.startswith("@"):
        # A source route precedes the address.
        text = text.partition(":")[2].strip(" ")
    if text[:7].lower() == "mailto:":
        text = text[7:]
    if '"' in text:
        match = _QUOTED_ADDRESS.fullmatch(text)
    else:
        for sign in (".", "@"):
            text = text.replace(f" {sign}", sign).replace(f"{sign} ", sign)
        match = _ADDRESS.fullmatch(text)
    if _ENCODED.search(text):
        return ""
    if match is None:
        return text if local and text.isascii() and _LOCAL.fullmatch(text) else ""
    return _decoded(f"{match[1]}@{match[2].removesuffix('.')}")


def _decoded(email: str) -> str:
    """Return an address with its bytes decoded as UTF-8 (RFC 6532); "" if they are invalid or not printable."""
    try:
        email = email if email.isascii() else email.encode("latin-1").decode()
    except UnicodeError:
        return ""
    return email if email.isprintable() else ""


# --- a list of them ---------------------------------------------------------------------------------------------------

_ATOM = r"[\w!#$%&'*+/?^`{|}~-]"
_SIMPLE = re.compile(
    rf'(?:"([^"\\=]*+)"\s*+|([^"<>@,;:()\\=]*+|(?:=\?[\w-]{{1,75}}\?[bBqQ]\?[^?\s<>]*+\?=\s*+)+))'
    rf"<({_ATOM}++(?:\.{_ATOM}++)*@(?:[\w-]++\.)*+[\w-]++)>|({_ATOM}++(?:\.{_ATOM}++)*@(?:[\w-]++\.)*+[\w-]++)",
    re.ASCII,
)
#: An atom, and the text between angle brackets, are runs of these.
_PIECE = r'(?:[^ \t\r\n\v\f"(),;:<>\[]++|\[[^ \t\r\n\v\f"(),;<>\[\]]*+\])'
_PIECES = re.compile(_PIECE)
_BETWEEN = re.compile(r'[^<>"]*+(?:"(?:[^"\\]|\\.)*+")?', re.DOTALL)
_TOKEN = re.compile(
    r'(?P<word>=\?[^? \t\r\n\v\f]{1,75}\?[bBqQ]\?[^? \t\r\n\v\f]*+\?=)|"(?P<quoted>(?:[^"\\]|\\.)*+)"'
    r'|\[[Mm][Aa][Ii][Ll][Tt][Oo]:(?P<mailto>[^\[\]<>" \t]*+)\]|(?P<special>[(),;:])'
    rf"|(?P<atom>{_PIECE})|(?P<space>[ \t\r\n\v\f]++)|(?P<stray>.)",
    re.DOTALL,
)
_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,5})\Z", re.IGNORECASE)
_REFERENCE_SIZE = 8
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_QUOTED_AGAIN = re.compile(r'"((?:[^"\\]|\\.)++)"|\\"([^"\\]++)\\"', re.DOTALL)
#: How many commas outside of quotes a name may have.
_COMMAS = 2


def address_list(value: str, limit: int) -> tuple[tuple[Address, ...], bool]:
    """Return the addresses of a header value, at most ``limit``, and whether there are more.

    Each character of ``value`` is one byte.
    """
    return _usual(value, limit) if len(value) < _USUAL else _read(value, limit)


#: Text in ISO-2022-JP that is not in an encoded word: its bytes look like commas and brackets.
_JAPANESE = re.compile(r"\x1b\$[@B][^\x1b\r\n]*+\x1b\([BJ]")


def _unshifted(match: re.Match[str]) -> str:
    text = iso_2022(match[0].encode("latin-1", "replace"))
    return "".join(sign for sign in text if not sign.isascii()).encode().decode("latin-1")


def _read(value: str, limit: int) -> tuple[tuple[Address, ...], bool]:
    if "\x1b$" in value:
        value = _JAPANESE.sub(_unshifted, value)
    # For a long value the pattern would remember each word.
    simple = _SIMPLE.fullmatch(value) if len(value) <= _LONGEST else None
    if simple and value.isascii() and value.isprintable():
        quoted, name, email, bare = simple.groups("")
        if not _ENCODED.search(email or bare):
            return (Address(name=_name(quoted or name), email=email or bare),), False
    found = _Reader(value, limit).found
    return tuple(found[:limit]), len(found) > limit


#: The same people write again and again to the same mailboxes. Only values shorter than this are remembered.
_USUAL = 160
_usual = lru_cache(maxsize=512)(_read)


class _Reader:
    """One pass over an address list; each character is read a bounded number of times."""

    def __init__(self, value: str, limit: int) -> None:
        self.found: list[Address] = []
        self._value = value
        #: Where the current mailbox begins.
        self._start = 0
        #: The words before the address in angle brackets, and after it, as (text, whether it can only be a name).
        self._before: list[tuple[str, bool]] = []
        self._behind: list[tuple[str, bool]] = []
        self._angle: str | None = None
        self._comments: list[str] = []
        #: Names without an address, each followed by a comma: they may belong to the next mailbox ("Berg, Anna <anna@x>").
        self._unquoted: list[str] = []
        at = 0
        while at < len(self._value) and len(self.found) <= limit:
            closed = end_of_run(_BETWEEN, self._value, at + 1) if self._value[at] == "<" else 0
            if closed and self._value[closed : closed + 1] == ">":
                self._address(self._value[at + 1 : closed], at)
                at = closed + 1
            elif match := _TOKEN.match(self._value, at):
                at = self._take(match)
        self._flush(at, comma=True)
        if self.found:
            # After an address, a single word is a mistyped address: it is returned, so that a person sees the mistake.
            self.found += [Address(name="", email=name) for name in self._unquoted if _email(name, local=True)]

    def _take(self, match: re.Match[str]) -> int:
        kind, text = match.lastgroup or "", match[match.lastgroup or 0]
        if kind == "special":
            return self._special(text, match.start())
        if kind == "mailto":
            self._address(text, match.start())
        elif text == '"' and kind == "stray":
            # After a quote that is never closed, quotes are ignored: searching for each one's end would be quadratic.
            self._value = self._value[: match.start()] + self._value[match.start() :].replace('"', " ")
        elif kind in {"word", "quoted", "atom"}:
            end = end_of_run(_PIECES, self._value, match.end()) if kind == "atom" else match.end()
            words = self._before if self._angle is None else self._behind
            words.append((_PAIR.sub(r"\1", text) if kind == "quoted" else text + self._value[match.end() : end], kind != "atom"))
            return end
        return match.end()

    def _address(self, text: str, at: int) -> None:
        if self._angle is not None:
            # The comma between two mailboxes is missing: the words between them are the second one's name.
            between, self._behind = self._behind, []
            self._flush(at)
            self._before = between
        self._angle = text

    def _special(self, text: str, at: int) -> int:
        if text == "(" and (end := comment_end(self._value, at)) > 0:
            self._comments.append(self._value[at + 1 : end - 1])
            return end
        if text == "(":
            # Neither this parenthesis nor any after it is closed.
            self._value = self._value[:at] + self._value[at:].replace("(", " ")
        elif text == ":" and self._angle is None:
            # The words before it are a group's name.
            self._before, self._comments, self._unquoted, self._start = [], [], [], at + 1
        elif text == ";" and _REFERENCE.search(self._value, max(0, at - _REFERENCE_SIZE), at):
            # It ends a character reference of HTML, and no mailbox.
            self._before[-1:] = [(f"{word};", only) for word, only in self._before[-1:]]
        elif text in ",;":
            self._flush(at, comma=text == ",")
            self._start = at + 1
        return at + 1

    def _flush(self, end: int, *, comma: bool = False) -> None:
        """End the current mailbox at ``end``; ``comma``: it is followed by a comma, or is the last one."""
        names = self._unquoted
        self._unquoted = []
        if self._angle is not None:
            words = [text for text, _ in self._before] or self._comments or [text for text, _ in self._behind]
            self._add(_email(self._angle, local=True), " ".join((*(f"{name}," for name in names if self._before), *words)))
        elif self._before:
            text = self._value[self._start : end]
            if not self._bare(text, end) and comma and "@" not in text:
                self._unquoted = [*names, " ".join(text for text, _ in self._before)][-_COMMAS:]
        self._before, self._behind, self._comments, self._angle, self._start = [], [], [], None, end

    def _bare(self, text: str, end: int) -> bool:
        """Add the addresses of a mailbox without angle brackets; return whether it has any."""
        text = uncommented(text).strip(SPACE)
        name = " ".join(self._comments)
        opened, angle, email = text.rpartition("<")
        if angle and (found := _email(email)):
            # An angle bracket that is never closed.
            return self._add(found, opened)
        # A single word is the name of a local mailbox if it is the whole value, else somebody's name.
        alone = not self._start and end == len(self._value)
        if found := _email(text.rstrip(">"), local=alone):
            return self._add(found, name)
        words = _BLANKS.split(text)
        if len(self._before) > 1 and all(only for _, only in self._before[:-1]) and (found := _email(words[-1])):
            return self._add(found, " ".join(text for text, _ in self._before[:-1]))
        # The commas between them are missing.
        emails = [_email(word) for word in words]
        return all(emails) and all(self._add(email, "") for email in emails)

    def _add(self, email: str, raw: str) -> bool:
        if email:
            self.found.append(Address(name=_name(" ".join(filter(None, raw.split(" ")))), email=email))
        return bool(email)


def _name(raw: str) -> str:
    """Return a display name for people, without quotes; some programs quote a name twice."""
    name = header_text(raw).strip()
    while quoted := _QUOTED_AGAIN.fullmatch(name):
        name = _PAIR.sub(r"\1", quoted[1] if quoted[2] is None else quoted[2]).strip()
    return name
