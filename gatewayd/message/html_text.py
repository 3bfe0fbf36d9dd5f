"""HTML to readable text, in one pass: for search and matching, not for display. It can't raise and takes linear time."""

from __future__ import annotations

import contextlib
import html
import re

from gatewayd.message.charsets import codec

__all__ = ["declared", "html_to_text"]

_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9]*")
_UNQUOTED = re.compile(r"[^>\"']*+")
# A comment ends like this to a browser (HTML section 13.2.5.51), though not all of it is right.
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
    """Return what a reader would see of an HTML text: no tags, scripts or styles, a line for each block."""
    out: list[str] = []
    at, quoting = 0, True
    while (opens := source.find("<", at)) >= 0:
        out.append(_flat(source[at:opens]))
        name = _NAME.match(source, opens + 1)
        if name is None:
            at = _markup(source, opens, out)
            continue
        closes = _end_of_tag(source, name.end()) if quoting else 0
        # Once quotes don't pair up, they are no longer minded: looking for their ends again and again is quadratic.
        quoting = closes > 0
        at = closes or source.find(">", name.end()) + 1
        if not at:
            return _joined(out)
        at = _tag(source, name[0].lower(), at, out)
    out.append(_flat(source[at:]))
    return _joined(out)


def _end_of_tag(source: str, at: int) -> int:
    """Return where a tag ends, behind its quoted values; 0 where a quote is not closed, or the tag has no end."""
    while unquoted := _UNQUOTED.match(source, at):
        sign = source[unquoted.end() : unquoted.end() + 1]
        if sign in {"", ">"}:
            return unquoted.end() + 1 if sign else 0
        at = source.find(sign, unquoted.end() + 1) + 1
        if not at:
            return 0
    return 0


def _markup(source: str, opens: int, out: list[str]) -> int:
    """Pass over a comment or declaration; anything else that begins like a tag is text."""
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


def _joined(out: list[str]) -> str:
    text = "".join(out)
    # A character reference with thousands of digits is no number for Python: such a text keeps its references.
    with contextlib.suppress(ValueError):
        text = html.unescape(text)
    text = _SPACES.sub(" ", text)
    return _LINES.sub(lambda gap: "\n\n" if gap[0].count("\n") > 1 else "\n", text).strip()


# --- charset ----------------------------------------------------------------------------------------------------------

#: Of a page so many bytes are searched; the standard asks for 1024, but the styles of Outlook can stand before it.
_SEARCHED = 8192
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta[\s/]([^>]{1,1000})", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s{0,20}=\s{0,20}[\"']?\s{0,20}([^\s\"'/>;]{1,64})", re.IGNORECASE)
_CONTENT = re.compile(rb"content\s{0,20}=", re.IGNORECASE)
_XML = re.compile(rb"\s{0,100}<\?xml\s[^>]{0,200}?encoding\s{0,20}=\s{0,20}[\"']([^\"'\s>]{1,64})[\"']")


def declared(page: bytes, charset: str) -> str:
    """Return the charset to read a page by: that of its part, or where that names none that is known, what the page says.

    A part that calls 8-bit text ASCII names none.
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
        # In ``content`` it counts only where the meta stands for the header of that name.
        if named and (not content or named.start() < content.start() or b"content-type" in meta[1].lower()):
            found = named
            break
    label = found[1].decode("latin-1") if found else ""
    # Whoever can read it byte by byte sees that it is not of two bytes each.
    return charset if not label or (codec(label) or "").startswith("utf_16") else label
