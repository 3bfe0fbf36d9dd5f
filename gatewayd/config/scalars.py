"""Read unquoted scalars of YAML by the core schema of YAML 1.2 (section 10.3), refuse those that YAML 1.1 reads differently, and
write scalars.
"""

from __future__ import annotations

import math
import re

from gatewayd.errors import ConfigError

__all__ = ["plain", "quoted_by_hand", "surprise", "written"]

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
#: Patterns that YAML 1.1 and 1.2 read differently, and what to write instead. The first that fits counts.
_SURPRISES = (
    (r"yes|no|on|off|y|n", "an unquoted yes, no, on, off, y or n, expected true or false, or the word in quotes"),
    (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", "an unquoted number with colons, expected it in quotes"),
    (r"[-+]?0[0-9_]+", "an unquoted number with a leading zero, expected it in quotes or without the zero"),
    (r"[-+]?[0-9][0-9_.]*_[0-9_.]*", "an unquoted number with underscores, expected it in quotes or without them"),
    (r"[-+]?0(b[01_]+|o[0-7_]+|x[0-9a-f_]+)", "an unquoted number in base 2, 8 or 16, expected it in quotes or as a decimal"),
    (r"[-+]?\.inf|\.nan|[-+]?[0-9]{19,}", "a number that is too large, expected a smaller one, or text in quotes"),
)
_SURPRISE = tuple((re.compile(pattern, re.IGNORECASE), what) for pattern, what in _SURPRISES)

#: Quotes that mean nothing to YAML: those of Europe's languages, of Chinese and Japanese, and characters that people type as
#: quotes: an acute accent and primes.
_TYPOGRAPHIC = (
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
    "\u300c\u300d\u300e\u300f\u301d\u301e\u301f\uff02\uff07\u00b4\u2032\u2033"
)


def surprise(text: str) -> str:
    """Return the fault of an unquoted scalar that YAML readers read differently; empty if there is none.

    The text never shows the value: it may be a secret in the wrong place.
    """
    what = next((what for pattern, what in _SURPRISE if pattern.fullmatch(text)), "")
    value = None if what else plain(text)
    return _SURPRISES[-1][1] if isinstance(value, float) and not math.isfinite(value) else what


def quoted_by_hand(text: str) -> str:
    """Return the fault of an unquoted scalar in typographic quotes, which word processors make of straight ones; else empty.

    At its end a straight one, or a backquote, closes it as well.
    """
    inside = len(text) > 1 and text[0] in _TYPOGRAPHIC and text[-1] in f"{_TYPOGRAPHIC}'\"`"
    return "typographic quotes, which belong to the value, expected ' or \"" if inside else ""


def plain(text: str) -> object:
    """Return the value of an unquoted scalar: nothing, true or false, a number, or the text itself."""
    if text in (text.lower(), text.title(), text.upper()) and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


#: Besides letters and digits, what ``written`` leaves unquoted.
_UNQUOTED = set("._@-+/")


def written(text: str) -> str:
    """Return a text as YAML: as it is where every reader takes it for that text, else in single quotes.

    Raises ConfigError for characters that can't be printed.
    """
    if not text.isprintable():
        raise ConfigError("found a character that can't be printed", advice="Type it without control characters.")
    bare = text.isascii() and text[:1].isalpha() and all(one.isalnum() or one in _UNQUOTED for one in text)
    sound = bare and not surprise(text) and isinstance(plain(text), str)
    return text if sound else "'" + text.replace("'", "''") + "'"
