"""What every request and answer goes through: which host is meant, from which site a form comes, how large it is; and the headers
that tell a browser what the page may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from gatewayd_web.addresses import hosts, is_secure

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatewayd import WebConfig

__all__ = ["Protection"]

#: Bytes of a form. What is larger is refused before all of it is here.
_MOST = 1 << 20
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "frame-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {}"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Protection:
    """An ASGI middleware."""

    def __init__(self, app: ASGIApp, web: Callable[[], WebConfig]) -> None:
        self._app = app
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused:
            await PlainTextResponse(refused, 421 if "host" in refused else 403)(scope, receive, send)
            return
        await self._app(scope, _Bounded(receive), self._with_headers(scope, send))

    def _refused(self, scope: Scope) -> str:
        """Return why a request is refused; empty if it is not."""
        headers, web = Headers(scope=scope), self._web()
        host = headers.get("host", "").lower()
        # Another name for us could be any site's (DNS rebinding).
        if host not in hosts(web):
            return "this host is not served here"
        if scope["method"] in {"GET", "HEAD"}:
            return ""
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return "a form of another site"
        origin = headers.get("origin")
        return "" if origin is None or urlsplit(origin).netloc.lower() == host else "a form of another site"

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        secure, ancestors = is_secure(self._web()), " ".join(self._web().frame_ancestors) or "'none'"
        static = scope["path"].startswith("/static/")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                # A page that shows mail brings a stricter one.
                headers.setdefault("Content-Security-Policy", _POLICY.format(ancestors))
                headers.setdefault("Cache-Control", "max-age=3600" if static else "no-store")
                if secure:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        return sent


class _Bounded:
    """Receives at most so many bytes of a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = _MOST

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            return {"type": "http.disconnect"}
        return message
