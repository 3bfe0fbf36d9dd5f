"""Turn HTML into readable text for search and matching, and find the charset that a page declares. Takes linear time."""

from __future__ import annotations

import contextlib
import html
import re

from gatewayd.message.charsets import codec

__all__ = ["declared", "html_to_text"]

_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9]*")
_UNQUOTED = re.compile(r"[^>\"']*+")
# Browsers accept both ends of a comment (HTML section 13.2.5.51), though only the first is valid.
_COMMENT_END = re.compile(r"--!?>")
_EMPTY_COMMENT = re.compile(r"<!--(?:-?>)")
_BREAKS = frozenset(
    {"article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header"}
    | {"hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"}
)
_CELLS = frozenset({"td", "th"})
_UNREAD = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title", "template", "noscript")}
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*\n ?| ?\n ?")


def html_to_text(source: str) -> str:
    """Return the text that a reader would see: no tags, scripts or styles, a line for each block. Never raises."""
    out: list[str] = []
    at, quoting = 0, True
    while (opens := source.find("<", at)) >= 0:
        out.append(_flat(source[at:opens]))
        name = _NAME.match(source, opens + 1)
        if name is None:
            at = _markup(source, opens, out)
            continue
        closes = _end_of_tag(source, name.end()) if quoting else 0
        # After the first quote that is never closed, quotes are ignored: searching for each one's end would be quadratic.
        quoting = closes > 0
        at = closes or source.find(">", name.end()) + 1
        if not at:
            break
        at = _tag(source, name[0].lower(), at, out)
    else:
        out.append(_flat(source[at:]))
    text = "".join(out)
    # A character reference with thousands of digits is no number for Python: such a text keeps its references.
    with contextlib.suppress(ValueError):
        text = html.unescape(text)
    text = _SPACES.sub(" ", text)
    return _LINES.sub(lambda gap: "\n\n" if gap[0].count("\n") > 1 else "\n", text).strip()


def _end_of_tag(source: str, at: int) -> int:
    """Return where a tag ends, after its quoted values; 0 if a quote is not closed, or the tag has no end."""
    while unquoted := _UNQUOTED.match(source, at):
        sign = source[unquoted.end() : unquoted.end() + 1]
        if sign in {"", ">"}:
            return unquoted.end() + 1 if sign else 0
        at = source.find(sign, unquoted.end() + 1) + 1
        if not at:
            return 0
    return 0


def _markup(source: str, opens: int, out: list[str]) -> int:
    """Return where a comment or declaration ends; any other ``<`` is appended to ``out`` as text."""
    if source.startswith("<!--", opens):
        empty = _EMPTY_COMMENT.match(source, opens)
        comment = empty or _COMMENT_END.search(source, opens + len("<!--"))
        return comment.end() if comment else len(source)
    if source[opens + 1 : opens + 2] in {"!", "?", "/"}:
        end = source.find(">", opens)
        return end + 1 if end >= 0 else len(source)
    out.append("<")
    return opens + 1


def _tag(source: str, name: str, at: int, out: list[str]) -> int:
    """Append the line end or space that a tag means; return where to continue: at ``at``, or after a script or style."""
    if name in _UNREAD:
        end = _UNREAD[name].search(source, at)
        return end.start() if end else len(source)
    plain = name.lstrip("/")
    if plain in _BREAKS:
        out.append("\n")
    elif plain in _CELLS:
        out.append(" ")
    return at


def _flat(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


# --- charset ----------------------------------------------------------------------------------------------------------

#: How many bytes of a page are searched: the standard asks for 1024, but Outlook may write its styles first.
_SEARCHED = 8192
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta[\s/]([^>]{1,1000})", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s{0,20}=\s{0,20}[\"']?\s{0,20}([^\s\"'/>;]{1,64})", re.IGNORECASE)
_CONTENT = re.compile(rb"content\s{0,20}=", re.IGNORECASE)
_XML = re.compile(rb"\s{0,100}<\?xml\s[^>]{0,200}?encoding\s{0,20}=\s{0,20}[\"']([^\"'\s>]{1,64})[\"']")


def declared(page: bytes, charset: str) -> str:
    """Return the charset to decode a page with: its part's ``charset`` if that is known, else the one that the page declares.

    A part that calls 8-bit text ASCII does not count (HTML section 13.2.3.2 has the way in which pages declare a charset).
    """
    known = codec(charset) if charset else None
    if page.isascii() or (known and (known != "utf-8" or "utf" in charset)):
        return charset
    head = page[:_SEARCHED]
    found = _XML.match(head)
    head = _COMMENT.sub(b"", head) if b"-->" in head else head
    for meta in () if found else _META.finditer(head):
        named = _CHARSET.search(meta[1])
        content = _CONTENT.search(meta[1])
        # Within ``content`` it counts only if the meta element replaces a Content-Type header.
        if named and (not content or named.start() < content.start() or b"content-type" in meta[1].lower()):
            found = named
            break
    label = found[1].decode("latin-1") if found else ""
    # The declaration was found byte by byte, so the page can't be UTF-16.
    return charset if not label or (codec(label) or "").startswith("utf_16") else label
