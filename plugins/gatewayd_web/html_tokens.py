"""Split HTML into tags and text as browsers do (HTML section 13.2.5), in linear time, whatever it is.

What has no place in the mail of people is left out here, with all that is in it: scripts, styles, pictures made of markup.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from html.entities import html5
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["EndTag", "StartTag", "Token", "reference_free", "tokens"]


@dataclass(slots=True)
class StartTag:
    """A start tag, with the first of several attributes of one name."""

    name: str
    #: Names in lower case, values without character references.
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class EndTag:
    """An end tag."""

    name: str


#: Text stands as HTML: with its character references, and without ``<`` and ``>``.
Token: TypeAlias = StartTag | EndTag | str

#: Any other ``<`` is text.
_OPENS = re.compile(r"<(?=[a-zA-Z/!?])")
_TAG = re.compile(r"<(/?)([a-zA-Z][^\t\n\f\r />]*+)")
_COMMENT = re.compile(r"<!--(?:-?>|(?s:.*?)--!?>)")
#: An attribute with its value, or the end of the tag. A quote that is never closed is left over.
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+(?:(>)|([^\t\n\f\r />][^\t\n\f\r />=]*+)"
    r"(?:[\t\n\f\r ]*+(=)[\t\n\f\r ]*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*+))?)?)"
)
#: What a character reference is made of; a longer one is text.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}+;?+|#[xX][0-9a-fA-F]{1,6}+;?+|[a-zA-Z][a-zA-Z0-9]{1,31}+;?+)")

#: Elements that are left out with all they hold. Browsers look for the end of most of these before they look for any tag.
_LEFT_OUT = ("script", "style", "title", "iframe", "noembed", "noframes", "template", "svg", "math", "select")
#: Elements whose content is text, whatever it looks like.
_LITERAL = ("textarea", "xmp", "plaintext")
_ENDS = {name: re.compile(f"</{name}(?=[\\t\\n\\f\\r />])", re.IGNORECASE) for name in (*_LEFT_OUT, *_LITERAL)}


def tokens(source: str) -> Iterator[Token]:
    """Yield the tags and the text of a page in their order."""
    at = 0
    while opens := _OPENS.search(source, at):
        if opens.start() > at:
            yield _text(source[at : opens.start()])
        tag = _TAG.match(source, opens.start())
        if tag is None:
            at = _after_markup(source, opens.start())
            continue
        name = tag[2].lower()
        attributes, at = _attributes(source, tag.end())
        if at < 0:
            # Of a tag that has no end browsers show nothing, and nothing after it.
            return
        if tag[1]:
            yield EndTag(name)
        elif name in _ENDS:
            ends = _ENDS[name].search(source, at)
            end = ends.start() if ends else len(source)
            if name in _LITERAL:
                yield _text(source[at:end])
            at = end
        else:
            yield StartTag(name, attributes)
    if at < len(source):
        yield _text(source[at:])


def _text(piece: str) -> str:
    return piece.replace("<", "&lt;").replace(">", "&gt;")


def _after_markup(source: str, opens: int) -> int:
    """Return where a comment or declaration ends."""
    if source.startswith("<!--", opens):
        comment = _COMMENT.match(source, opens)
        return comment.end() if comment else len(source)
    end = source.find(">", opens)
    return end + 1 if end >= 0 else len(source)


def _attributes(source: str, at: int) -> tuple[dict[str, str], int]:
    """Return the attributes of a tag, and where it ends; -1 if it has no end."""
    found: dict[str, str] = {}
    while one := _ATTRIBUTE.match(source, at):
        at = one.end()
        if one[1]:
            return found, at
        value = one[4] or one[5] or one[6] or ""
        if not value and one[3] and one[4] is None and one[5] is None and source[at : at + 1] in {'"', "'"}:
            # The quote is never closed.
            break
        found.setdefault(one[2].lower(), value)
    return found, -1


def reference_free(value: str) -> str:
    """Return the value of an attribute without character references, as browsers read it (HTML section 13.2.5.73).

    ``&copy=1`` in a URL is none: without a semicolon it counts only where no letter, digit or ``=`` follows.
    """
    return _REFERENCE.sub(lambda one: _character(one, value), value) if "&" in value else value


def _character(one: re.Match[str], value: str) -> str:
    text = one[0]
    if text[1] == "#" or text.endswith(";"):
        return html.unescape(text)
    return html5[text[1:]] if text[1:] in html5 and value[one.end() : one.end() + 1] != "=" else text
