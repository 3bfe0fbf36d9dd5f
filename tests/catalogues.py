"""Keep the catalogues of the pages' texts: ``python -m tests.catalogues`` adds texts that are new and takes out those that are gone.

A new text is empty there until somebody writes it in the catalogue's language; a test tells of those.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

__all__ = ["PACKAGE", "missing", "texts", "update"]

PACKAGE = Path(__file__).parent.parent / "plugins" / "gatewayd_web"
#: Fields of the header that no program reads.
_PASSING = re.compile(rb'^"(?:Project-Id|Report|POT|PO-Revision|Last|Language-Team|Generated)[^"]*"\n', re.MULTILINE)
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_KEYWORDS = {**DEFAULT_KEYWORDS, "marked": None}


def texts() -> Catalog:
    """Return all texts of the pages."""
    found = Catalog(project="gatewayd", charset="utf-8", header_comment="# Texts of the pages.")
    for _, _, message, _, context in extract_from_dir(PACKAGE, _METHODS, keywords=_KEYWORDS):
        # Without places: these change with every line, and nobody looks at them.
        found.add(message, None, context=context)
    return found


def catalogue(path: Path) -> Catalog:
    """Read a catalogue."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def missing(path: Path) -> list[str]:
    """Return the texts that a catalogue does not have, or has as somebody guessed them."""
    there = catalogue(path)
    wanted = [one.id for one in texts() if one.id]
    return [str(one) for one in wanted if not (found := there.get(one)) or not _is_whole(found.string) or found.fuzzy]


def _is_whole(string: str | tuple[str, ...] | list[str] | None) -> bool:
    return bool(string) and (isinstance(string, str) or all(string or ()))


def update(path: Path) -> None:
    """Bring a catalogue up to date with the texts."""
    there = catalogue(path)
    there.update(texts(), no_fuzzy_matching=True)
    there.obsolete.clear()
    written = io.BytesIO()
    write_po(written, there, width=132, sort_output=True)
    # What changes with each day, and who did it, is in the history.
    path.write_bytes(_PASSING.sub(b"", written.getvalue()))


if __name__ == "__main__":
    for one in sorted((PACKAGE / "locales").glob("*.po")):
        update(one)
        sys.stdout.write(f"{one.name}: {len(missing(one))} missing\n")
