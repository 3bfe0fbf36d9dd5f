"""The inline styles that HTML of mail may have: how text and tables look, nothing that fetches, moves or covers anything."""

from __future__ import annotations

import re

__all__ = ["PROPERTIES", "safe_style"]

_SIDES = ("top", "right", "bottom", "left")
_OF_SIDES = {f"border-{side}{what}" for side in _SIDES for what in ("", "-color", "-style", "-width")}
_OF_SIDES |= {f"{what}-{side}" for side in _SIDES for what in ("margin", "padding")}
_OTHERS = """
    background-color border border-collapse border-color border-radius border-spacing border-style border-width clear color
    direction display float font font-family font-size font-style font-variant font-weight height letter-spacing line-height
    list-style-type margin max-height max-width min-height min-width overflow-wrap padding table-layout text-align
    text-decoration text-indent text-transform vertical-align white-space width word-break word-spacing word-wrap
"""
#: No ``position``, ``transform`` or ``z-index``, which cover what is elsewhere; nothing that takes a URL.
PROPERTIES = _OF_SIDES | frozenset(_OTHERS.split())
_MAX_STYLE = 4000
_MAX_VALUE = 300
#: Words, numbers, colours and quoted names of fonts. No backslash, since it may write any other character, and no other function.
#: What begins with a parenthesis or a quote fits in one way, so that there is nothing to try again.
_VALUE = re.compile(
    r"(?:(?:rgb|hsl)a?\([0-9%., /+\-]*+\)|[\w#%.,+\- /]|\"[\w ,.+\-]*+\"|'[\w ,.+\-]*+'|!important)+", re.IGNORECASE
)
#: ``background`` is kept where it is a colour alone.
_COLOUR = re.compile(r"#?[a-z0-9]++|(?:rgb|hsl)a?\([0-9%., /+\-]*+\)", re.IGNORECASE)


def safe_style(style: str) -> str:
    """Return the declarations of a ``style`` attribute that are kept, in their order; empty if none is."""
    if len(style) > _MAX_STYLE:
        return ""
    return ";".join([kept for one in style.split(";") if (kept := _declaration(one))])


def _declaration(text: str) -> str:
    name, _, value = text.partition(":")
    name, value = name.strip().lower(), " ".join(value.split())
    if name == "background" and _COLOUR.fullmatch(value):
        name = "background-color"
    if name not in PROPERTIES or len(value) > _MAX_VALUE or not _VALUE.fullmatch(value):
        return ""
    return f"{name}:{value}"
