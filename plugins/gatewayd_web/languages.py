"""The languages of the pages: English, in which the texts are written, and one catalogue for each other one."""

from __future__ import annotations

import io
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["ENGLISH", "Languages", "marked"]

ENGLISH = "en"
_LOCALES = Path(__file__).parent / "locales"
#: So much of Accept-Language is read.
_MOST = 200


class Languages:
    """The catalogues, read once."""

    def __init__(self) -> None:
        self.catalogues: Mapping[str, NullTranslations] = {ENGLISH: NullTranslations()} | {
            path.stem: _catalogue(path) for path in sorted(_LOCALES.glob("*.po"))
        }

    def of(self, request: Request) -> str:
        """Return the first language that the browser asks for and that there is; the order says what it likes best."""
        wanted = request.headers.get("accept-language", "")[:_MOST].lower().split(",")
        names = (one.partition(";")[0].strip().partition("-")[0] for one in wanted)
        return next((name for name in names if name in self.catalogues), ENGLISH)


def _catalogue(path: Path) -> NullTranslations:
    with path.open("rb") as file:
        messages = read_po(file, locale=path.stem)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return GNUTranslations(compiled)


def marked(text: str) -> str:
    """Return a text as it is, which belongs into the catalogues, since it is translated where it is shown."""
    return text
