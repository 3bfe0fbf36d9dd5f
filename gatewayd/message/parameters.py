"""Structured MIME fields: a first word and its parameters (RFC 2045 section 5.1, RFC 2231), however they are written.

A field with something left over is not thrown away: what can be read is taken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd.message.charsets import clean, to_text
from gatewayd.message.comments import comments
from gatewayd.message.encoded_words import SPACE, header_text
from gatewayd.message.runs import end_of_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["field", "parameter"]

_NAME = r'[^ \t\r\n\v\f=;"(),]++'
_BLANK = r"[ \t\r\n\v\f]*+"
#: A field as it should be: nothing is left over, and nothing has to be found out.
_STRICT = re.compile(
    rf'([^ \t\r\n\v\f=;"(),]++){_BLANK}(?:;{_BLANK}{_NAME}=(?:"[^"\\]*+"|[^ \t\r\n\v\f;"(),\\]++){_BLANK})*;?{_BLANK}'
)
#: Longer ones are looked at in any case: the pattern would remember each parameter.
_LONG = 10_000
_PARAMETER = re.compile(rf'(?:^|;){_BLANK}({_NAME}){_BLANK}={_BLANK}(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTIONS = 100

#: Parameters that mail knows. Before one of them a missing semicolon is seen.
_KNOWN = (
    "charset|boundary|name|filename|format|delsp|type|start|start-info|protocol|micalg|method|report-type|smime-type|reply-type"
    "|size|creation-date|modification-date|read-date|access-type|number|total|x-[a-z-]{1,30}"
)
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_GLUED = re.compile(
    rf'{_QUOTED}|(?:^|(?<=")|(?<![ \t,])[ \t,]++)(?:(?=(?:{_KNOWN})(?:\*\d{{0,3}}\*?)?{_BLANK}=)|(charset|boundary)[ \t]*+:)',
    re.IGNORECASE | re.DOTALL,
)
#: The name of the field itself, written twice.
_AGAIN = re.compile(r"content-(?:type|disposition|transfer-encoding):[ \t\r\n]*+(?=\S)", re.IGNORECASE)
_EQUALLED = re.compile(r"\b(charset|boundary)[ \t]*+=", re.IGNORECASE)
#: Behind the last quote that is closed none is minded: each would be looked for to the end.
_PAIRED = re.compile(r'[^"]*+(?:"(?:[^"\\]|\\.)*+")?', re.DOTALL)
#: A file name in which parentheses are no comment, for people write "Voucher (1).pdf".
_NAMED = re.compile(r"name(?:\*\d{0,3}\*?)?[ \t]*+=[ \t]*+(?!\")[^;]*+", re.IGNORECASE)
_NAME_AND_COMMENT = re.compile(r"(.*\.\w{1,8})[ \t]++\([^()]*\)", re.DOTALL)


def field(raw: str) -> tuple[str, dict[str, str]]:
    """Return the first word of a value as it stands, and the parameters: names in lower case, values as they stand."""
    if len(raw) > _LONG or _STRICT.fullmatch(raw) is None:
        raw = _mended(raw)
    word, _, rest = raw.partition(";")
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(rest):
        value = match[3].strip(' \t"') if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        found.setdefault(match[1].lower(), _uncommented_name(value) if match[2] is None and "(" in value else value)
    return word.strip(' \t\r\n\v\f",'), found


def _mended(raw: str) -> str:
    """Return a value with the semicolons that it lacks, and without its comments."""
    raw = _without_comments(raw.strip(SPACE)) if "(" in raw else raw.strip(SPACE)
    again = _AGAIN.match(raw)
    raw = raw[again.end() :] if again else raw
    end = end_of_run(_PAIRED, raw, 0)
    # One that is written as it should be is believed rather than one with a colon.
    sound = {found[1].lower() for found in _EQUALLED.finditer(raw)}

    def mended(match: re.Match[str]) -> str:
        if match[0][:1] == '"' or (match[1] or "").lower() in sound:
            return match[0]
        return f";{match[1]}=" if match[1] else ";"

    return _GLUED.sub(mended, raw[:end]) + raw[end:]


def _without_comments(raw: str) -> str:
    kept = [match.span() for match in _NAMED.finditer(raw)]
    out, at = [], 0
    for start, end in comments(raw):
        while kept and kept[0][1] <= start:
            del kept[0]
        if not (kept and kept[0][0] <= start):
            out.append(raw[at:start])
            at = end
    return " ".join((*out, raw[at:]))


def _uncommented_name(value: str) -> str:
    found = _NAME_AND_COMMENT.fullmatch(value)
    return found[1] if found else value


def parameter(found: Mapping[str, str], name: str) -> str:
    """Return one parameter as text: whole, in sections, with a charset (RFC 2231), or with encoded words; else ""."""
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
            value = _percent(value)
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


def _percent(data: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), data)
