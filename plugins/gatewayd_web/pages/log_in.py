"""Log in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from gatewayd import GatewaydError, TransientError, calls
from gatewayd_web.access import cookie_name
from gatewayd_web.addresses import is_secure

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["form", "log_in", "log_out"]


def form(visit: Visit) -> Response:
    """Show the form."""
    if visit.token:
        return RedirectResponse("/emails", 303)
    return visit.page("log_in.html", name="", error="", advice="")


def log_in(visit: Visit) -> Response:
    """Have the daemon check the password. The web session gets a token that was never used before."""
    name = visit.field("name").strip()
    call = calls.LogIn(
        name=name[:320],
        password=visit.field("password")[:1000],
        code=visit.field("code").replace(" ", "")[:40],
        address=visit.address,
        agent=visit.request.headers.get("user-agent", "")[:400],
    )
    try:
        token = visit.ask(call, calls.LoggedIn).token
    except GatewaydError as error:
        status = (
            429 if isinstance(error, TransientError) and error.retry_after else 503 if isinstance(error, TransientError) else 403
        )
        return visit.page("log_in.html", status, name=name, error=error.message, advice=error.advice)
    answer = RedirectResponse("/emails", 303)
    secure = is_secure(visit.reader.config.web)
    answer.set_cookie(cookie_name(secure=secure), token, secure=secure, httponly=True, samesite="strict", path="/")
    return answer


def log_out(visit: Visit) -> Response:
    """End the web session."""
    visit.ask(calls.LogOut(token=visit.token), calls.Nothing)
    answer = RedirectResponse("/log-in", 303)
    secure = is_secure(visit.reader.config.web)
    answer.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="strict")
    return answer
