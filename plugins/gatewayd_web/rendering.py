"""Render pages from templates, and put errors into words that a person can do something with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from gatewayd import GatewaydError, PermanentError, TransientError, __version__, may
from gatewayd_web import showing
from gatewayd_web.languages import Languages, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from gettext import NullTranslations

    from starlette.requests import Request
    from starlette.responses import Response

    from gatewayd import Reader
    from gatewayd_web.access import Visit

__all__ = ["Rendering"]

_FAILED = marked("The page failed.")
_WORDS = {
    400: marked("The request is not complete."),
    401: marked("You are not logged in any more."),
    403: marked("You may not do this."),
    404: marked("There is no such page."),
    405: marked("There is no such page."),
}

#: What people call the kinds of records.
_KINDS = {
    "person": marked("Person"),
    "customer": marked("Customer"),
    "supplier": marked("Supplier"),
    "reservation": marked("Reservation"),
    "quote": marked("Quote/order"),
    "invoice": marked("Invoice"),
    "product": marked("Product"),
}

#: What became of what we sent.
_DELIVERIES = {
    "waiting": marked("Waits"),
    "delivered": marked("Delivered"),
    "parked": marked("Parked, needs a person"),
    "withheld": marked("Withheld"),
    "bounced": marked("Came back"),
    "cancelled": marked("Cancelled"),
}


class Rendering:
    """Renders in any of several threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._languages = Languages()
        self._templates = {name: _templates(name, one) for name, one in self._languages.catalogues.items()}

    def page(self, visit: Visit, template: str, status: int, values: Mapping[str, object]) -> Response:
        """Return a page. ``visit`` is known to it as ``visit``, and who is logged in as ``person``."""
        zone = ZoneInfo(self._reader.config.time_zone)

        def when(moment: datetime | None) -> str:
            return showing.when(moment, zone)

        def exactly(moment: datetime | None) -> str:
            return showing.exactly(moment, zone)

        person = visit.person if visit.token else None
        text = (
            self._templates[self.language(visit.request)]
            .get_template(template)
            .render(visit=visit, person=person, csrf=visit.csrf if person else "", when=when, exactly=exactly, **values)
        )
        return HTMLResponse(text, status)

    def language(self, request: Request) -> str:
        """Return the language of a page."""
        return self._languages.of(request)

    def gettext(self, request: Request, text: str) -> str:
        """Return a text in the language of a page."""
        return self._languages.catalogues[self.language(request)].gettext(text)

    @property
    def of_errors(self) -> Mapping[type[Exception], Callable[[Request, Exception], Response]]:
        """What answers in place of a page that failed, by the error."""
        return {HTTPException: self._refused, GatewaydError: self._failed}

    def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        what = self.gettext(request, _WORDS.get(status, _FAILED))
        return self._error(request, status, what, "", headers)

    def _failed(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, GatewaydError):
            raise error
        status = 404 if isinstance(error, PermanentError) else 503 if isinstance(error, TransientError) else 500
        return self._error(request, status, error.message, error.advice, None)

    def _error(self, request: Request, status: int, what: str, advice: str, headers: Mapping[str, str] | None) -> Response:
        part = "hx-request" in request.headers
        template = self._templates[self.language(request)].get_template("error_part.html" if part else "error.html")
        text = template.render(what=what, advice=advice, person=None, csrf="", visit=None)
        return HTMLResponse(text, status, headers)


def _templates(language: str, catalogue: NullTranslations) -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        extensions=["jinja2.ext.i18n"],
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]  # of the extension
    made.filters |= {"size": showing.size}
    made.globals |= {"delivery_names": _DELIVERIES, "kind_names": _KINDS, "language": language, "version": __version__, "may": may}
    return made
