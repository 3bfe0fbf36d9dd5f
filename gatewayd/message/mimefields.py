"""The fields that say what a part is: Content-Type, Content-Transfer-Encoding and Content-Disposition (RFC 2045, RFC 2183)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from gatewayd.message.charsets import clean
from gatewayd.message.encoded_words import SPACE
from gatewayd.message.parameters import field, parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ContentType", "content_type", "disposition", "encoding"]

_TYPE = re.compile(r"([!#-'*+.0-9A-Z^-~-]{1,127}) ?/ ?([!#-'*+.0-9A-Z^-~-]{1,127})(?=[ ,:;\"(]|$)", re.IGNORECASE)


class ContentType(NamedTuple):
    """A Content-Type value that was read (RFC 2045 section 5)."""

    kind: str
    charset: str = ""
    name: str = ""
    boundary: str = ""


Disposition: TypeAlias = Literal["", "inline", "attachment"]


def content_type(fields: Mapping[str, str], default: str) -> ContentType:
    """Return the type of a part; ``default`` is its kind where it names none."""
    value = fields.get("content-type")
    if value is None:
        return ContentType(default)
    return _usual_type(value) if len(value) < _USUAL else _read_type(value)


def disposition(value: str) -> tuple[Disposition, str]:
    """Return what a Content-Disposition says of how a part is to be shown, and the part's file name."""
    return _usual_disposition(value) if len(value) < _USUAL else _read_disposition(value)


def _read_type(value: str) -> ContentType:
    word, extra = field(value)
    found = _TYPE.match(word)
    # RFC 2045 section 5.2: what is no media type is read as plain text.
    kind = f"{found[1]}/{found[2]}".lower() if found else "text/plain"
    charset = clean(extra.get("charset") or parameter(extra, "charset"))[:64].lower()
    boundary = (extra.get("boundary") or parameter(extra, "boundary")).rstrip(SPACE)
    if boundary and not found and word[:9].lower() == "multipart":
        kind = "multipart/mixed"
    return ContentType(kind, charset, parameter(extra, "name"), boundary)


#: Encodings by their letters and digits: mail is free with the rest.
_ENCODINGS = {
    **dict.fromkeys(("base64", "xbase64", "b64"), "base64"),
    **dict.fromkeys(("quotedprintable", "xquotedprintable", "qp"), "quoted-printable"),
    **dict.fromkeys(("xuuencode", "uuencode", "xuue", "uue", "uu"), "x-uuencode"),
}


@lru_cache(maxsize=64)
def encoding(value: str) -> str:
    """Return a Content-Transfer-Encoding in lower case, under the name of the standard; give it no more than a line."""
    words = clean(field(value)[0].lower())[:64]
    word = words.partition(" ")[0]
    # Two words may be one: "quoted printable".
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
    # RFC 2183 section 2.8: what is not known is an attachment.
    return "attachment", name or parameter(extra, "name")


#: Most parts of most mails have one of a few types and encodings; only short values are remembered.
_USUAL = 80
_usual_type = lru_cache(maxsize=256)(_read_type)
_usual_disposition = lru_cache(maxsize=64)(_read_disposition)
