"""The browsers in which a person is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import calls
from gatewayd_web.pages.settings import changed, section_page

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["browser_of", "end", "sessions"]

#: What browsers call themselves, and what people do. Each also says the names of those below it.
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))
_OTHERS = (("CrOS", "ChromeOS"), ("Linux", "Linux"))


def sessions(visit: Visit) -> Response:
    """Show them, the one used last first."""
    reader, person, times = visit.reader, visit.person, visit.reader.config.web.sessions
    found = reader.store.web_sessions(person.operator, person.user, idle=times.idle, longest=times.longest)
    return section_page(visit, "sessions", sessions=[(one, browser_of(one.agent)) for one in found])


def end(visit: Visit) -> Response:
    """End one, or all but this one."""
    number = visit.number("number")
    if number or visit.field("others"):
        visit.ask(calls.EndWebSessions(token=visit.token, number=number), calls.Count)
    return changed("sessions", "ended")


def browser_of(agent: str) -> str:
    """Return the browser and the system that a User-Agent names; as it is where it names none."""
    names = [next((name for word, name in table if word in agent), "") for table in (_BROWSERS, (*_SYSTEMS, *_OTHERS))]
    return ", ".join(name for name in names if name) or agent
