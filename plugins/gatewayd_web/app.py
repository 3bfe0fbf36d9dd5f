"""All routes of the pages, in one table: path, methods, the role that it needs, and the function that answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gatewayd_web.access import Endpoints, token_of
from gatewayd_web.news import News
from gatewayd_web.pages import (
    downloading,
    emails,
    files,
    incoming,
    linking,
    log_in,
    one_mail,
    settings,
    settings_log_in,
    settings_mailboxes,
    settings_sessions,
    settings_subscriptions,
)
from gatewayd_web.protection import Protection
from gatewayd_web.rendering import Rendering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from gatewayd import Reader, Role
    from gatewayd_web.access import Visit

__all__ = ["ROUTES", "STREAM", "PageRoute", "app_of"]

_STATIC = Path(__file__).parent / "static"


class PageRoute(NamedTuple):
    """A route. ``role`` None: nobody needs to be logged in."""

    path: str
    method: str
    role: Role | None
    answer: Callable[[Visit], Response]


#: A test walks all of it with each role: what is missing there fails.
ROUTES = (
    PageRoute("/", "GET", "reader", emails.index),
    PageRoute("/log-in", "GET", None, log_in.form),
    PageRoute("/log-in", "POST", None, log_in.log_in),
    PageRoute("/log-out", "POST", "reader", log_in.log_out),
    PageRoute("/emails", "GET", "reader", emails.emails),
    PageRoute("/emails/mark", "POST", "agent", emails.mark),
    PageRoute("/emails/{mail:int}", "GET", "reader", one_mail.mail),
    PageRoute("/emails/{mail:int}/text", "GET", "reader", one_mail.frame),
    PageRoute("/emails/{mail:int}/print", "GET", "reader", one_mail.printed),
    PageRoute("/emails/{mail:int}/unread", "POST", "agent", one_mail.mark),
    PageRoute("/emails/{mail:int}/files/{number:int}", "GET", "reader", files.attachment),
    PageRoute("/emails/{mail:int}/raw", "GET", "reader", files.raw),
    PageRoute("/incoming", "GET", "reader", incoming.incoming),
    PageRoute("/incoming/look", "POST", "reader", incoming.look),
    PageRoute("/incoming/progress", "POST", "reader", incoming.progress),
    PageRoute("/incoming/confirm", "POST", "agent", downloading.confirm),
    PageRoute("/incoming/download", "POST", "agent", downloading.download),
    PageRoute("/incoming/download", "GET", "reader", downloading.downloaded),
    PageRoute("/incoming/dismiss", "POST", "agent", downloading.dismiss),
    PageRoute("/link", "GET", "agent", linking.link),
    PageRoute("/link", "POST", "agent", linking.save),
    PageRoute("/unlink", "POST", "agent", linking.unlink),
    PageRoute("/settings", "GET", "reader", settings.index),
    PageRoute("/settings/subscriptions", "GET", "reader", settings_subscriptions.subscriptions),
    PageRoute("/settings/follow", "POST", "reader", settings_subscriptions.follow),
    PageRoute("/settings/ask", "POST", "reader", settings_subscriptions.ask),
    PageRoute("/settings/answer", "POST", "agent", settings_subscriptions.answer),
    PageRoute("/settings/mailboxes", "GET", "agent", settings_mailboxes.mailboxes),
    PageRoute("/settings/mailboxes/find", "POST", "agent", settings_mailboxes.find_servers),
    PageRoute("/settings/mailboxes/add", "POST", "agent", settings_mailboxes.add),
    PageRoute("/settings/mailboxes/password", "POST", "agent", settings_mailboxes.change_password),
    PageRoute("/settings/mailboxes/remove", "POST", "agent", settings_mailboxes.remove),
    PageRoute("/settings/log-in", "GET", "reader", settings_log_in.log_in),
    PageRoute("/settings/password", "POST", "reader", settings_log_in.change_password),
    PageRoute("/settings/factor", "POST", "reader", settings_log_in.set_up_factor),
    PageRoute("/settings/factor/confirm", "POST", "reader", settings_log_in.confirm_factor),
    PageRoute("/settings/factor/codes", "POST", "reader", settings_log_in.new_codes),
    PageRoute("/settings/factor/end", "POST", "reader", settings_log_in.end_factor),
    PageRoute("/settings/sessions", "GET", "reader", settings_sessions.sessions),
    PageRoute("/settings/sessions/end", "POST", "reader", settings_sessions.end),
)


#: Where a browser hears of new mail. Who is not logged in gets nothing there.
STREAM = "/stream"


def app_of(reader: Reader) -> Starlette:
    """Return the application that serves what ``reader`` reads."""
    rendering = Rendering(reader)
    endpoints = Endpoints(reader, rendering)
    routes: list[Route | Mount] = [Route(page.path, endpoints.of(page.role, page.answer), methods=[page.method]) for page in ROUTES]
    routes.append(Route(STREAM, _stream(reader, News(reader))))
    routes.append(Mount("/static", StaticFiles(directory=_STATIC), name="static"))
    app = Starlette(routes=routes, exception_handlers=rendering.of_errors)
    app.add_middleware(Protection, web=lambda: reader.config.web)
    return app


def _stream(reader: Reader, news: News) -> Callable[[Request], Awaitable[Response]]:
    async def stream(request: Request) -> Response:
        token = token_of(request, reader)
        return (await run_in_threadpool(news.stream, token)) or Response(status_code=204)

    return stream
