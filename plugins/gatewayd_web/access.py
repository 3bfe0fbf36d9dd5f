"""Find who visits a page, by the cookie of the web session, before the page is asked; and refuse forms that others sent."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from gatewayd import AuthError, TransientError, calls, may
from gatewayd_web.addresses import client_address, is_secure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.responses import Response

    from gatewayd import Person, Reader, Role
    from gatewayd_web.rendering import Rendering

    AnswerT = TypeVar("AnswerT", bound=BaseModel)

__all__ = ["Endpoints", "Visit", "cookie_name", "token_of"]

#: Fields of one form, and the longest of them.
_FIELDS, _PART = 2000, 64 << 10
_NOTHING = FormData()
#: How old the note of a web session's last use may be.
_NOTED = timedelta(minutes=2)
#: More than the digits of any id.
_DIGITS = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request: who it is from, and what it says."""

    reader: Reader
    rendering: Rendering
    request: Request
    form: FormData
    #: Empty where nobody is logged in.
    token: str
    _person: Person | None

    @property
    def person(self) -> Person:
        """Who is logged in. Only pages that need a role ask."""
        if self._person is None:
            raise HTTPException(401)
        return self._person

    @property
    def address(self) -> str:
        """The address that the request comes from: of a proxy of ours, the one that it names."""
        return client_address(self.request, self.reader.config.web)

    @property
    def csrf(self) -> str:
        """What each form of this web session has to carry: a page of another site can't know it."""
        return csrf_of(self.token)

    def ask(self, call: calls.Call | calls.LogIn, answer: type[AnswerT]) -> AnswerT:
        """Have the daemon do something; see ``DaemonClient.ask``."""
        return self.reader.daemon.ask(call, answer)

    def gettext(self, text: str) -> str:
        """Return a text in the language of the page."""
        return self.rendering.gettext(self.request, text)

    def tell(self, call: calls.Call) -> None:
        """Have the daemon note something that the page does not depend on: it shows what is there without a daemon, too."""
        with suppress(TransientError):
            self.ask(call, calls.Nothing)

    def back(self, default: str) -> Response:
        """Go where the form was; or to a page of ours."""
        return RedirectResponse(self.back_path(default), 303)

    def back_path(self, default: str) -> str:
        """Return where the form was, which names a page of ours by ``back``; or ``default``."""
        path = self.field("back", default)
        # A browser takes `//` and `/\` for another host, and leaves out line ends and tabs.
        ours = path.startswith("/") and path[1:2] not in {"/", "\\"} and path.isprintable()
        return path if ours else default

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form, or of the address; a file is none."""
        value = self.form.get(name, self.request.query_params.get(name, default))
        return value if isinstance(value, str) else default

    def fields(self, name: str) -> list[str]:
        """Return all values of a field of the form, or where there is none of the address."""
        given = self.form.getlist(name) or self.request.query_params.getlist(name)
        return [value for value in given if isinstance(value, str)]

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return all values of a field of the form as ids; what is none is left out."""
        return tuple(number for number in map(_number, self.fields(name)) if number)

    def number(self, name: str) -> int | None:
        """Return a field of the form, or of the address, as an id; None for what is none."""
        return _number(self.field(name))

    def page(self, template: str, /, status: int = 200, **values: object) -> Response:
        """Return a page."""
        return self.rendering.page(self, template, status, values)

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return "hx-request" in self.request.headers


def _number(value: str) -> int | None:
    """Return a text as an id; None for what is none."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < _DIGITS else None


def cookie_name(*, secure: bool) -> str:
    """Return the name of the cookie. A browser takes `__Host-` only over TLS, and from no other host (RFC 6265bis 4.1.3.2)."""
    return "__Host-gatewayd" if secure else "gatewayd"


def token_of(request: Request, reader: Reader) -> str:
    """Return the token that the browser has; empty if it has none."""
    return request.cookies.get(cookie_name(secure=is_secure(reader.config.web)), "")


def csrf_of(token: str) -> str:
    """Return what forms of a web session carry."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Makes the endpoints of pages."""

    reader: Reader
    rendering: Rendering

    def of(self, role: Role | None, answer: Callable[[Visit], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page. The page is answered in a thread, since it waits for the store and the daemon."""

        async def answered(request: Request) -> Response:
            form = (
                await request.form(max_files=0, max_fields=_FIELDS, max_part_size=_PART) if request.method == "POST" else _NOTHING
            )
            return await run_in_threadpool(self._answered, role, answer, request, form)

        return answered

    def _answered(self, role: Role | None, answer: Callable[[Visit], Response], request: Request, form: FormData) -> Response:
        token = token_of(request, self.reader)
        person = self.reader.person(token) if token else None
        visit = Visit(
            reader=self.reader,
            rendering=self.rendering,
            request=request,
            form=form,
            token=token if person else "",
            _person=person,
        )
        if role is None:
            return answer(visit)
        if person is None:
            return _to_log_in(visit)
        given = request.headers.get("x-csrf") or visit.field("csrf")
        if not may(person.role, role) or (
            request.method == "POST" and not hmac.compare_digest(visit.csrf.encode(), given.encode())
        ):
            raise HTTPException(403)
        try:
            _stay(visit)
            return answer(visit)
        except AuthError:
            # The web session ended since its row was read.
            return _to_log_in(visit)


def _stay(visit: Visit) -> None:
    """Have the daemon note that the web session is used, now and then. Without a daemon the pages still show what is there."""
    if datetime.now(UTC) - visit.person.web_session.last_at > _NOTED:
        visit.tell(calls.StayLoggedIn(token=visit.token))


def _to_log_in(visit: Visit) -> Response:
    if visit.is_fragment:
        # htmx follows a redirect by itself, and would put the form into a part of the page.
        raise HTTPException(401, headers={"HX-Redirect": "/log-in"})
    return RedirectResponse("/log-in", 303)
