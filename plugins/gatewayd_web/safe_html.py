"""Make the text of a mail a page that is safe to show, in a frame of its own.

Three things stand between a mail and who reads it, each enough by itself for most attacks: the page is written anew with nothing
but plain elements (``html_nesting``), nh3 cleans it by a list of what is allowed, and the frame's headers let it run and fetch
nothing. Inline styles are kept, since mail of today can't be read without them, but only harmless properties (``safe_style``).
"""

from __future__ import annotations

import hashlib
import html
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import nh3

from gatewayd_web.html_nesting import ELEMENTS, Nesting, TooManyElements
from gatewayd_web.html_tokens import reference_free, tokens
from gatewayd_web.safe_links import linked, marked, safe_link
from gatewayd_web.safe_pictures import Pictures
from gatewayd_web.safe_style import PROPERTIES, safe_style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import Mail, ShownText

__all__ = ["Note", "SafePage", "frame_headers", "safe_page"]

#: What people should know of a page: more of the mail is not shown; it is shown as plain text, since it has too many elements;
#: it is shown less deeply nested than it came; pictures of the mail are too large to be shown within the page.
Note: TypeAlias = Literal["cut", "plain", "flattened", "pictures too large"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SafePage:
    """The page of a mail's text, for a frame with ``frame_headers``."""

    #: The whole document.
    document: str
    #: How many pictures lie elsewhere. They are shown if that was asked for.
    pictures_elsewhere: int
    notes: frozenset[Note]


#: Our own style sheet, which the frame's headers allow by its digest.
_SHEET = (
    ":root{color-scheme:light;background:#fff;color:#111}:root.plain{color-scheme:light dark;background:Canvas;color:CanvasText}"
    "body{margin:12px;font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}img{max-width:100%}table{overflow-wrap:normal}"
    "img:not([src]){display:inline-block;min-width:16px;min-height:16px;outline:1px dashed #888;outline-offset:-1px}"
    "img[width='1']:not([src]),img[height='1']:not([src]){display:none}"
    ".plain-text{white-space:pre-wrap}mark{margin-left:4px;padding:0 4px;border-radius:3px;background:#ffe08a;color:#111}"
)
_DIGEST = b64encode(hashlib.sha256(_SHEET.encode()).digest()).decode()

_WORD = re.compile(r"[a-zA-Z\-]{1,20}")
_LENGTH = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?(?:%|px)?")
_NUMBER = re.compile(r"[+\-]?[0-9]{1,4}")
#: A table whose cells span more takes browsers minutes.
_SPAN = re.compile(r"[0-9]{1,2}")
_COLOUR = re.compile(r"#?[a-zA-Z0-9]{1,30}")
_NAMES = re.compile(r"[\w ,.\-'\"]{1,200}")
_TEXT = re.compile(r"(?s:.{1,1000})")
_EVERYWHERE = {"align": _WORD, "dir": _WORD, "lang": _WORD, "style": _TEXT}
_SIZED = {"width": _LENGTH, "height": _LENGTH}
_CELL = {**_SIZED, "valign": _WORD, "bgcolor": _COLOUR}
_SPANNING = {**_CELL, "colspan": _SPAN, "rowspan": _SPAN, "nowrap": _WORD}
#: The attributes that are kept, with what their values must be; ``href`` and ``src`` have functions of their own.
_ATTRIBUTES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "a": {"href": _TEXT},
    "font": {"color": _COLOUR, "face": _NAMES, "size": _NUMBER},
    "hr": {**_SIZED, "color": _COLOUR, "size": _NUMBER},
    "img": {**_SIZED, "src": _TEXT, "alt": _TEXT, "border": _NUMBER, "hspace": _NUMBER, "vspace": _NUMBER},
    "li": {"value": _NUMBER},
    "ol": {"start": _NUMBER, "type": re.compile("[aAiI1]")},
    "table": {**_CELL, "border": _NUMBER, "cellpadding": _NUMBER, "cellspacing": _NUMBER},
    "tr": _CELL,
    **{name: {"valign": _WORD} for name in ("tbody", "thead", "tfoot")},
    "td": _SPANNING,
    "th": _SPANNING,
}


def _filtered(_: str, name: str, value: str) -> str | None:
    """Return the value of an attribute as it is; None where links and pictures changed their roles."""
    wrong = (name == "href" and value.startswith("data:")) or (name == "src" and not value.startswith(("data:image/", "https://")))
    return None if wrong else value


_CLEANER = nh3.Cleaner(
    tags=set(ELEMENTS),
    attributes={name: {*_EVERYWHERE, *_ATTRIBUTES.get(name, ())} for name in ELEMENTS},
    set_tag_attribute_values={"a": {"target": "_blank"}},
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto", "tel", "data"},
    url_relative="deny",
    filter_style_properties=set(PROPERTIES),
    generic_attribute_prefixes=None,
    strip_comments=True,
    attribute_filter=_filtered,
)


#: With these, text looks as if it said something else; thousands of them take browsers seconds. The attribute ``dir`` is kept.
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), None)


def safe_page(mail: Mail, *, pictures: bool = False) -> SafePage:
    """Return the text of a mail as a page, with html where it has some.

    ``pictures`` has the reader's browser fetch pictures that lie elsewhere, by https alone; by that, whoever wrote the mail may
    learn that it was opened. Takes linear time, whatever the mail is.
    """
    making = _Making(Pictures(mail, remote=pictures))
    pieces = mail.shown
    body = "<hr>".join([making.piece(piece) for piece in pieces if len(pieces) == 1 or piece.cut or piece.says])
    return making.page(body)


def frame_headers(*, pictures: bool = False, ancestors: Sequence[str] = ()) -> dict[str, str]:
    """Return the headers of the answer that a frame shows a ``SafePage`` from; they hold where it is opened by itself, too.

    ``ancestors`` are origins whose pages may show ours in frames. Links open pages of their own, which are not in the sandbox.
    """
    policy = (
        "sandbox allow-popups allow-popups-to-escape-sandbox",
        "default-src 'none'",
        f"img-src data:{' https:' if pictures else ''}",
        f"style-src-elem 'sha256-{_DIGEST}'",
        "style-src-attr 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        " ".join(("frame-ancestors 'self'", *ancestors)),
    )
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Browsers would ask for the addresses of hosts in links before anybody follows one.
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "private, no-store",
    }


class _Making:
    """Makes the page of one mail."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._notes: set[Note] = set()
        self._html = False

    def piece(self, piece: ShownText) -> str:
        """Return a piece of the mail's text as safe html."""
        if piece.cut:
            self._notes.add("cut")
        if piece.kind == "plain":
            return _plain(piece.text)
        try:
            nesting = Nesting(self._kept)
            plain = nesting.plain(marked(tokens(piece.text)))
        except TooManyElements:
            self._notes.add("plain")
            return _plain(piece.words)
        if nesting.flattened:
            self._notes.add("flattened")
        self._html = True
        return f"<div>{_clean(plain)}</div>"

    def page(self, body: str) -> SafePage:
        """Return the page of what ``piece`` returned."""
        if self._pictures.too_large:
            self._notes.add("pictures too large")
        return SafePage(
            document='<!doctype html><html{}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            "<title></title><style>{}</style></head><body>{}</body></html>".format(
                "" if self._html else ' class="plain"', _SHEET, body
            ),
            pictures_elsewhere=self._pictures.elsewhere,
            notes=frozenset(self._notes),
        )

    def _kept(self, element: str, attributes: Mapping[str, str]) -> str:
        """Return the attributes of an element that are kept, as html."""
        may = _ATTRIBUTES.get(element, {})
        if element == "div" and _COLOUR.fullmatch(colour := attributes.get("bgcolor", "")):
            # It was the body.
            attributes = {**attributes, "style": f"background-color:{colour};{attributes.get('style', '')}"}
        if element == "p" and attributes.get("class", "").startswith("Mso"):
            # Outlook's paragraphs have no space around them by its style sheet, and empty ones between them.
            attributes = {**attributes, "style": f"margin:0;{attributes.get('style', '')}"}
        kept = [
            (name, self._value(name, value, pattern))
            for name, value in attributes.items()
            if (pattern := may.get(name) or _EVERYWHERE.get(name))
        ]
        return "".join([f' {name}="{html.escape(value)}"' for name, value in kept if value])

    def _value(self, name: str, value: str, pattern: re.Pattern[str]) -> str:
        if name == "src":
            return self._pictures.source(value)
        if name == "href":
            return safe_link(value) or ""
        value = reference_free(value).strip()
        if name == "style":
            return safe_style(value)
        return value if pattern.fullmatch(value) else ""


def _plain(text: str) -> str:
    return f'<div class="plain-text">{_clean(linked(text))}</div>'


def _clean(plain: str) -> str:
    """Return what nh3 leaves of a page, without characters that change the direction of writing."""
    cleaned = _CLEANER.clean(plain)
    return cleaned if cleaned.isascii() else cleaned.translate(_DIRECTIONS)
