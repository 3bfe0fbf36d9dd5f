"""Log people in and out, end their web sessions, and keep these from being idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.access.tokens import digest_of
from gatewayd.rpc.calls import Count, EndWebSessions, LoggedIn, LogIn, LogOut, Nothing, StayLoggedIn

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.rpc.tools import Tools

__all__ = ["end", "log_in", "log_out", "stay"]


def log_in(tools: Tools, call: LogIn) -> LoggedIn:
    """Begin a web session for who proves to be a user."""
    token = tools.authenticator.log_in(tools.config, call.name, call.password, call.code, address=call.address, agent=call.agent)
    return LoggedIn(token=token)


def log_out(tools: Tools, person: Person, _: LogOut) -> Nothing:
    """End the web session that asks."""
    tools.store.end_web_session(person.operator, person.web_session.number, user=person.user)
    note(tools.store, person, "logged out")
    return Nothing()


def stay(tools: Tools, _: Person, call: StayLoggedIn) -> Nothing:
    """Note that the web session is used."""
    digest = digest_of(call.token)
    if digest:
        tools.store.touch_web_session(digest)
    return Nothing()


def end(tools: Tools, person: Person, call: EndWebSessions) -> Count:
    """End others of the person's web sessions."""
    if call.number is None:
        ended = tools.store.end_web_sessions(person.operator, person.user, but=person.web_session.number)
    else:
        ended = int(tools.store.end_web_session(person.operator, call.number, user=person.user))
    if ended:
        note(tools.store, person, "changed", detail=f"web sessions ended: {ended}")
    return Count(changed=ended)
