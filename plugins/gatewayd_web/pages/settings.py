"""Personal settings: what all their pages share."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["changed", "index", "section_page"]


def index(_: Visit) -> Response:
    """Begin with the subscriptions."""
    return RedirectResponse("/settings/subscriptions", 303)


def section_page(visit: Visit, section: str, status: int = 200, **values: object) -> Response:
    """Return the page of a section, or for htmx its part alone."""
    part = f"settings_{section}.html"
    done = visit.request.query_params.get("done", "")
    return visit.page(part if visit.is_fragment else "settings.html", status, section=section, part=part, done=done, **values)


def changed(section: str, done: str = "") -> Response:
    """Lead back to a section after a change; ``done`` is the word by which its page says what was done."""
    return RedirectResponse(f"/settings/{section}" + (f"?{urlencode({'done': done})}" if done else ""), 303)
