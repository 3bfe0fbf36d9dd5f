"""The way of a request from the wire to its endpoint and back: who asks, what is throttled, and what fails as the test wants."""

from __future__ import annotations

import re
import time
from email.utils import formatdate, parsedate_to_datetime
from threading import RLock
from typing import TYPE_CHECKING

from gatewayd.testing.graph.calls import GraphCall
from gatewayd.testing.graph.delta import SyncStates
from gatewayd.testing.graph.drafts import UploadSessions
from gatewayd.testing.graph.faults import FaultQueue, Throttling
from gatewayd.testing.graph.knobs import Knobs
from gatewayd.testing.graph.odata import ODataError, QueryOptions, answered, error_answer, new_id, preferences, segments
from gatewayd.testing.graph.request_log import RequestLog
from gatewayd.testing.graph.routes import Routes
from gatewayd.testing.graph.sending import PostOffice
from gatewayd.testing.graph.tokens import LoginService, request_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.testing.graph.apps import EntraTenant
    from gatewayd.testing.graph.faults import RequestFault
    from gatewayd.testing.graph.mailboxes import ExchangeMailbox
    from gatewayd.testing.graph.request_log import LoggedRequest
    from gatewayd.testing.graph.wire import ServedConnection, ServedRequest, ServedResponse

__all__ = ["VERSION", "GraphService"]

VERSION = "v1.0"
_MAX_REQUEST = 4 << 20
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class GraphService:
    """Login and Graph, without the listeners. ``serve`` is called in the threads of connections, each its own."""

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.throttling = Throttling()
        self.faults = FaultQueue()
        self.log = RequestLog()
        self.on_request: Callable[[LoggedRequest], object] = lambda _request: None
        self.tenants: dict[str, EntraTenant] = {}
        #: By id, and by address in lower case.
        self.mailboxes: dict[str, ExchangeMailbox] = {}
        self.lock = RLock()
        self.sync_states = SyncStates()
        self.post = PostOffice(mailboxes=self.mailboxes)
        self.login = LoginService(self.tenants, self.mailboxes)
        self._uploads = UploadSessions()
        self.routes = Routes(self.sync_states.answer, self._uploads.create)
        self.authority = self.elsewhere = ""

    def listens(self, authority: str, elsewhere: str) -> None:
        """Note the addresses of both hosts: that of login and Graph, and the other one."""
        self.authority, self.elsewhere = authority, elsewhere
        self.login.audiences.add(authority)

    @property
    def base(self) -> str:
        """Graph's address with its version."""
        return f"{self.authority}/{VERSION}"

    def serve(self, request: ServedRequest, connection: ServedConnection) -> None:
        """Answer one request, or fail as the test wants."""
        logged = self.log.begin(request)
        try:
            fault = self.faults.take(logged)
            way = fault.way if fault else "answer"
            response = self._responded(request, logged, fault)
            if self.knobs.delay:
                connection.wait(self.knobs.delay)
            if way == "freeze":
                connection.send_half(response)
            if way in {"stall", "freeze"}:
                # It stays in flight until its client has gone.
                connection.stall()
        except BaseException:
            self.log.end(logged, 0)
            raise
        has_status = way in {"answer", "cut", "freeze"}
        self.log.end(logged, response.status if has_status else 0, _seconds(response.headers.get("Retry-After", "")))
        if way == "answer":
            connection.send(response)
        elif way == "cut":
            connection.send_half(response)
        elif way == "reset":
            connection.reset()
        connection.is_open = connection.is_open and way == "answer"

    def _responded(self, request: ServedRequest, logged: LoggedRequest, fault: RequestFault | None) -> ServedResponse:
        request_id = new_id()
        try:
            response = self._answer(request, logged, fault)
        except ODataError as error:
            response = error_answer(error, request_id)
        response.headers |= {"request-id": request_id, "Date": formatdate(usegmt=True)}
        if client_id := request.headers.get("client-request-id"):
            response.headers["client-request-id"] = client_id
        return response

    def _answer(self, request: ServedRequest, logged: LoggedRequest, fault: RequestFault | None) -> ServedResponse:
        path, _, query = request.target.partition("?")
        parts = segments(path)
        if not self.authority.endswith(f":{request.port}"):
            self._begin(logged, fault, "")
            response = self._other_host(request, parts)
        elif parts[0] != VERSION:
            self._begin(logged, fault, request_form(request).get("client_id", ""))
            response = self._log_in(request, parts)
        else:
            response = self._graph(request, logged, parts[1:], QueryOptions(query), fault)
        if fault is not None and fault.way == "answer":
            raise fault.error()
        return response

    def _other_host(self, request: ServedRequest, parts: list[str]) -> ServedResponse:
        *place, key = parts
        if place != ["upload"]:
            return answered(404)
        with self.lock:
            return self._uploads.answer(request, key)

    def _log_in(self, request: ServedRequest, parts: list[str]) -> ServedResponse:
        tenant, *rest = parts
        where = "/".join(rest)
        if (request.method, where) == ("GET", "v2.0/.well-known/openid-configuration"):
            return self.login.discovery(tenant, self.authority)
        if (request.method, where) == ("POST", "oauth2/v2.0/token"):
            with self.lock:
                return self.login.answer(tenant, request, self.authority + request.target)
        if (request.method, where) == ("GET", "oauth2/v2.0/authorize"):
            with self.lock:
                return self.login.page(tenant, QueryOptions(request.target.partition("?")[2]).options)
        if (request.method, where) == ("POST", "oauth2/v2.0/devicecode"):
            with self.lock:
                return self.login.device(tenant, request, self.authority)
        return answered(404)

    def _graph(
        self, request: ServedRequest, logged: LoggedRequest, parts: list[str], query: QueryOptions, fault: RequestFault | None
    ) -> ServedResponse:
        with self.lock:
            token = self.login.owner(request.headers.get("authorization", ""))
            parts = _user_path(parts, token.person)
            mailbox = self._mailbox(parts, token.app.tenant)
        self._begin(logged, fault, token.app.client, mailbox.id)
        if len(request.body) > _MAX_REQUEST:
            raise ODataError(413, "ErrorMessageSizeExceeded", "The maximum request length supported is 4MB.")
        handler, roles, ids = self.routes.find(request.method, parts[2:])
        # As the client has reached it: by a proxy on another port, perhaps.
        base = f"https://{request.headers.get('host', '')}/{VERSION}"
        call = GraphCall(
            request=request,
            token=token,
            mailbox=mailbox,
            ids=ids,
            query=query,
            prefer=preferences(request.headers.get("prefer", "")),
            knobs=self.knobs,
            base=base,
            link_base=f"{self.elsewhere}/{VERSION}" if self.knobs.foreign_links else base,
            elsewhere=self.elsewhere,
            post=self.post,
        )
        with self.lock:
            call.needs(roles)
            mailbox.place_late_copies()
            return handler(call)

    def _begin(self, logged: LoggedRequest, fault: RequestFault | None, client: str, mailbox: str = "") -> None:
        """Count a request, and raise ODataError if it fails without being carried out."""
        self.log.count(logged, client, mailbox)
        self.on_request(logged)
        if mailbox:
            self.throttling.check(logged)
        if fault is not None and not fault.done:
            raise fault.error()

    def _mailbox(self, parts: list[str], tenant: str) -> ExchangeMailbox:
        if len(parts) < 2 or parts[0] != "users":  # noqa: PLR2004
            raise ODataError(400, "BadRequest", f"Resource not found for the segment '{(parts or [''])[0]}'.")
        user = parts[1]
        found = self.mailboxes.get(user.lower())
        if found is None and _GUID.fullmatch(user):
            text = f"Resource '{user}' does not exist or one of its queried reference-property objects are not present."
            raise ODataError(404, "Request_ResourceNotFound", text)
        if found is None or found.tenant != tenant:
            raise ODataError(404, "ErrorInvalidUser", f"The requested user '{user}' is invalid.")
        if not found.is_licensed:
            text = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise ODataError(404, "MailboxNotEnabledForRESTAPI", text)
        return found


def _user_path(parts: list[str], person: str) -> list[str]:
    """Return a path below ``/me`` as it is below ``/users``. Raises ODataError if no person stands behind the token."""
    if parts[:1] != ["me"]:
        return parts
    if not person:
        raise ODataError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
    return ["users", person, *parts[1:]]


def _seconds(retry_after: str) -> float:
    """Return the seconds that a header ``Retry-After`` tells (RFC 9110 section 10.2.3)."""
    if not retry_after or retry_after.isdigit():
        return float(retry_after or 0)
    return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
