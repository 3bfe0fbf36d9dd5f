"""Content-Type, Content-Transfer-Encoding and Content-Disposition of a part (RFC 2045, 2183), with their parameters (RFC 2231).

Mail writes these fields in many wrong ways. Whatever can be read of a broken field is used.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from gatewayd.message.charsets import to_text
from gatewayd.message.control_characters import clean
from gatewayd.message.encoded_words import header_text
from gatewayd.message.lexing import SPACE, comments, cut, end_of_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ContentType", "content_type", "disposition", "encoding", "field", "parameter"]

# --- structured fields and their parameters ---------------------------------------------------------------------------

_NAME = r'[^ \t\r\n\v\f=;"(),]++'
_BLANK = r"[ \t\r\n\v\f]*+"
#: A field that is entirely valid and needs no repair.
_STRICT = re.compile(
    rf'([^ \t\r\n\v\f=;"(),]++){_BLANK}(?:;{_BLANK}{_NAME}=(?:"[^"\\]*+"|[^ \t\r\n\v\f;"(),\\]++){_BLANK})*;?{_BLANK}'
)
#: Longer fields are not matched against it: the pattern would remember each parameter.
_LONG = 10_000
_PARAMETER = re.compile(rf'(?:^|;){_BLANK}({_NAME}){_BLANK}={_BLANK}(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTIONS = 100

#: The parameters that mail uses. A missing semicolon is noticed before one of them.
_KNOWN = (
    "charset|boundary|name|filename|format|delsp|type|start|start-info|protocol|micalg|method|report-type|smime-type|reply-type"
    "|size|creation-date|modification-date|read-date|access-type|number|total|x-[a-z-]{1,30}"
)
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_GLUED = re.compile(
    rf'{_QUOTED}|(?:^|(?<=")|(?<![ \t,])[ \t,]++)(?:(?=(?:{_KNOWN})(?:\*\d{{0,3}}\*?)?{_BLANK}=)|(charset|boundary)[ \t]*+:)',
    re.IGNORECASE | re.DOTALL,
)
#: The name of the field itself, repeated in its value.
_AGAIN = re.compile(r"content-(?:type|disposition|transfer-encoding):[ \t\r\n]*+(?=\S)", re.IGNORECASE)
_EQUALLED = re.compile(r"\b(charset|boundary)[ \t]*+=", re.IGNORECASE)
#: Quotes after the last closed one are ignored: searching for each one's end would be quadratic.
_PAIRED = re.compile(r'[^"]*+(?:"(?:[^"\\]|\\.)*+")?', re.DOTALL)
#: An unquoted file name; its parentheses are no comment, since people write "Voucher (1).pdf".
_NAMED = re.compile(r"name(?:\*\d{0,3}\*?)?[ \t]*+=[ \t]*+(?!\")[^;]*+", re.IGNORECASE)
_NAME_AND_COMMENT = re.compile(r"(.*\.\w{1,8})[ \t]++\([^()]*\)", re.DOTALL)


def field(raw: str) -> tuple[str, dict[str, str]]:
    """Return the first word of a value unchanged, and its parameters: names in lower case, values unchanged."""
    if len(raw) > _LONG or _STRICT.fullmatch(raw) is None:
        raw = _mended(raw)
    word, _, rest = raw.partition(";")
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(rest):
        if match[2] is not None:
            value = _ESCAPED.sub(r"\1", match[2])
        else:
            value = match[3].strip(' \t"')
            if "(" in value and (named := _NAME_AND_COMMENT.fullmatch(value)):
                value = named[1]
        found.setdefault(match[1].lower(), value)
    return word.strip(' \t\r\n\v\f",'), found


def _mended(raw: str) -> str:
    """Return a value with its missing semicolons, and without its comments."""
    raw = _without_comments(raw.strip(SPACE)) if "(" in raw else raw.strip(SPACE)
    again = _AGAIN.match(raw)
    raw = raw[again.end() :] if again else raw
    end = end_of_run(_PAIRED, raw, 0)
    # A parameter with an equals sign wins over the same one with a colon.
    sound = {found[1].lower() for found in _EQUALLED.finditer(raw)}

    def mended(match: re.Match[str]) -> str:
        if match[0][:1] == '"' or (match[1] or "").lower() in sound:
            return match[0]
        return f";{match[1]}=" if match[1] else ";"

    return _GLUED.sub(mended, raw[:end]) + raw[end:]


def _without_comments(raw: str) -> str:
    names = [match.span() for match in _NAMED.finditer(raw)]
    removed = []
    for start, end in comments(raw):
        while names and names[0][1] <= start:
            del names[0]
        if not (names and names[0][0] <= start):
            removed.append((start, end))
    return cut(raw, removed)


def parameter(found: Mapping[str, str], name: str) -> str:
    """Return one parameter as text; "" if it is missing.

    It may be whole, in numbered sections, with a charset (RFC 2231), or in encoded words, which RFC 2047 section 5 forbids there.
    """
    if "*" not in "".join(found):
        return header_text(found[name]) if name in found else ""
    data, charset, extended = b"", "", False
    for key, first in _sections(found, name):
        value = found[key].encode("latin-1", "replace")
        if key.endswith("*"):
            extended = True
            if first and value.count(b"'") > 1:
                label, _, value = value.split(b"'", 2)
                charset = label.decode("latin-1")
            value = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), value)
        data += value
    if extended:
        return clean(to_text(data, charset))
    return header_text(data.decode("latin-1") or found.get(name, ""))


def _sections(found: Mapping[str, str], name: str) -> Iterator[tuple[str, bool]]:
    if f"{name}*" in found:
        yield f"{name}*", True
        return
    for number in range(_SECTIONS):
        key = f"{name}*{number}"
        key = key if key in found else key + "*"
        if key not in found:
            return
        yield key, number == 0


# --- the three fields -------------------------------------------------------------------------------------------------

_TYPE = re.compile(r"([!#-'*+.0-9A-Z^-~-]{1,127}) ?/ ?([!#-'*+.0-9A-Z^-~-]{1,127})(?=[ ,:;\"(]|$)", re.IGNORECASE)


class ContentType(NamedTuple):
    """A parsed Content-Type value (RFC 2045 section 5)."""

    kind: str
    charset: str = ""
    name: str = ""
    boundary: str = ""


Disposition: TypeAlias = Literal["", "inline", "attachment"]


def content_type(fields: Mapping[str, str], default: str) -> ContentType:
    """Return the type of a part; ``default`` is its kind if it has no Content-Type."""
    value = fields.get("content-type")
    if value is None:
        return ContentType(default)
    return _usual_type(value) if len(value) < _USUAL else _read_type(value)


def disposition(value: str) -> tuple[Disposition, str]:
    """Return how a part is to be shown according to its Content-Disposition, and its file name."""
    return _usual_disposition(value) if len(value) < _USUAL else _read_disposition(value)


def _read_type(value: str) -> ContentType:
    word, extra = field(value)
    found = _TYPE.match(word)
    # RFC 2045 section 5.2: an invalid media type is read as plain text.
    kind = f"{found[1]}/{found[2]}".lower() if found else "text/plain"
    charset = clean(extra.get("charset") or parameter(extra, "charset"))[:64].lower()
    boundary = (extra.get("boundary") or parameter(extra, "boundary")).rstrip(SPACE)
    if boundary and not found and word[:9].lower() == "multipart":
        kind = "multipart/mixed"
    return ContentType(kind, charset, parameter(extra, "name"), boundary)


#: Encodings by their letters and digits: mail varies the other characters.
_ENCODINGS = {
    **dict.fromkeys(("base64", "xbase64", "b64"), "base64"),
    **dict.fromkeys(("quotedprintable", "xquotedprintable", "qp"), "quoted-printable"),
    **dict.fromkeys(("xuuencode", "uuencode", "xuue", "uue", "uu"), "x-uuencode"),
}


@lru_cache(maxsize=64)
def encoding(value: str) -> str:
    """Return a Content-Transfer-Encoding in lower case, by its standard name; ``value`` should be short, as it is remembered."""
    words = clean(field(value)[0].lower())[:64]
    word = words.partition(" ")[0]
    # Some mail writes one word as two: "quoted printable".
    known = (_ENCODINGS.get("".join(filter(str.isalnum, each))) for each in (word, words))
    return next(filter(None, known), word) or "7bit"


def _read_disposition(value: str) -> tuple[Disposition, str]:
    word, extra = field(value)
    name = parameter(extra, "filename")
    word = word.partition(" ")[0].lower().replace("-", "")
    if word == "formdata" and not name:
        return "", ""
    if word in {"", "inline"}:
        return "inline" if word else "", name or parameter(extra, "name")
    # RFC 2183 section 2.8: an unknown disposition means attachment.
    return "attachment", name or parameter(extra, "name")


#: Most parts of most mails have one of a few types and encodings. Only values shorter than this are remembered.
_USUAL = 80
_usual_type = lru_cache(maxsize=256)(_read_type)
_usual_disposition = lru_cache(maxsize=64)(_read_disposition)
