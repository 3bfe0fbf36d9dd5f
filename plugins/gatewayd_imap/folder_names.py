"""Write names of folders as the config must have them. Does no I/O."""

from __future__ import annotations

import re

__all__ = ["in_quotes", "in_yaml"]

#: What YAML takes as it is, wherever it stands, and for text.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/.-]*(?: [A-Za-z0-9_/.-]+)*")
_NO_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def in_yaml(name: str) -> str:
    """Return a folder's name as it must be written in YAML."""
    return name if _PLAIN.fullmatch(name) and name.casefold() not in _NO_TEXT else in_quotes(name)


def in_quotes(name: str) -> str:
    """Return a folder's name in quotes that YAML reads, on one line, with nothing unprintable in it."""
    if name.isprintable():
        return "'" + name.replace("'", "''") + "'"
    # YAML knows the escapes of Python (section 5.7 of YAML 1.2), and no two halves of a character, as JSON has them.
    signs = (f"\\{sign}" if sign in '\\"' else sign for sign in name)
    return '"' + "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in signs) + '"'
