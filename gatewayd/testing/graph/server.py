"""The stand-in itself: certificates, listeners, and the way of a request from the wire to its endpoint and back."""

from __future__ import annotations

import shutil
import tempfile
import time
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import RLock
from typing import TYPE_CHECKING

import trustme

from gatewayd.testing.graph.apps import EntraApp, EntraTenant
from gatewayd.testing.graph.calls import GraphCall
from gatewayd.testing.graph.delta import SyncStates
from gatewayd.testing.graph.faults import FaultQueue, RequestFault, Throttling
from gatewayd.testing.graph.knobs import Knobs
from gatewayd.testing.graph.mailboxes import ExchangeMailbox, is_object_id
from gatewayd.testing.graph.odata import ODataError, QueryOptions, answered, error_answer, new_id, preferences, segments
from gatewayd.testing.graph.request_log import LoggedRequest, RequestLog
from gatewayd.testing.graph.routes import Routes
from gatewayd.testing.graph.tokens import LoginService, request_form
from gatewayd.testing.graph.wire import HttpListener, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewayd.testing.graph.faults import FaultWay
    from gatewayd.testing.graph.wire import HttpConnection, HttpRequest

__all__ = ["Graph"]

_VERSION = "v1.0"
_MAX_REQUEST = 4 << 20


class Graph:
    """Microsoft's login and Graph for one or more tenants, on private ports; use it as a context manager.

    It begins with one tenant and one app, which may read, write and send in all of the tenant's mailboxes.
    """

    host = "localhost"

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.throttling = Throttling()
        self.faults = FaultQueue()
        self.log = RequestLog()
        #: Called with each request before it is carried out, in a thread of the server: what a person or another program does
        #: in this moment, such as deleting the message that is asked for.
        self.on_request: Callable[[LoggedRequest], object] = lambda _request: None
        self.folder = Path(tempfile.mkdtemp(prefix="graph-"))
        #: The certificate of the CA that clients must trust.
        self.ca_file = self.folder / "ca.pem"
        self.tenant = EntraTenant(domain="acme.example")
        self.tenants = {self.tenant.id: self.tenant}
        #: By id, and by address in lower case.
        self._mailboxes: dict[str, ExchangeMailbox] = {}
        self._lock = RLock()
        self._sync_states = SyncStates()
        self._routes = Routes(self._sync_states.answer)
        self.app = self.add_app(secret="q~.8&+" + new_id())

    def __enter__(self) -> Self:
        ca, context = _certificates()
        self.ca_file.write_bytes(ca)
        self._listener = HttpListener(context, self._serve).__enter__()
        # Its address has another host, for uploads and for links that lead astray.
        self._elsewhere = HttpListener(context, self._serve).__enter__()
        self.tokens = LoginService(self.tenants, self.authority)
        return self

    def __exit__(self, *_: object) -> None:
        self._elsewhere.__exit__()
        self._listener.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- addresses --------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port of login and Graph."""
        return self._listener.port

    @property
    def authority(self) -> str:
        """The address of the login, in place of ``https://login.microsoftonline.com``."""
        return f"https://{self.host}:{self.port}"

    @property
    def base(self) -> str:
        """The address of Graph with its version, in place of ``https://graph.microsoft.com/v1.0``."""
        return f"{self.authority}/{_VERSION}"

    @property
    def elsewhere(self) -> str:
        """The address of the other host, which takes uploads, and which no token may reach."""
        return f"https://127.0.0.1:{self._elsewhere.port}"

    # --- what there is ----------------------------------------------------------------------------------------------

    def add_tenant(self, domain: str) -> EntraTenant:
        """Add a tenant."""
        tenant = EntraTenant(domain=domain)
        self.tenants[tenant.id] = tenant
        return tenant

    def add_app(self, *, secret: str = "", certificate: str = "", tenant: EntraTenant | None = None) -> EntraApp:
        """Register an app with a secret or a certificate (PEM)."""
        tenant = tenant or self.tenant
        app = EntraApp(tenant=tenant.id, secret=secret, certificate=certificate)
        tenant.apps[app.client] = app
        return app

    def add_mailbox(self, address: str, *, language: str = "en", tenant: EntraTenant | None = None) -> ExchangeMailbox:
        """Add a mailbox, whose folders have their names in a language: ``en``, ``de`` or ``nl``."""
        mailbox = ExchangeMailbox(address, (tenant or self.tenant).id, self._lock, language=language)
        with self._lock:
            self._mailboxes |= {mailbox.id: mailbox, address.lower(): mailbox}
        return mailbox

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def fail(
        self,
        where: str,
        way: FaultWay = "answer",
        *,
        status: int = 503,
        code: str = "",
        done: bool = False,
        times: int = 1,
        after: int = 0,
        **headers: str,
    ) -> None:
        """Let the next requests fail whose ``METHOD target`` has the text ``where``. See ``RequestFault``.

        ``headers`` are those of the answer, with underscores for hyphens: ``Retry_After="1"``.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        done = done or way == "cut"
        fault = RequestFault(where=where, way=way, status=status, code=code, done=done, times=times, after=after, headers=named)
        self.faults.add(fault)

    def expire_tokens(self) -> None:
        """Let all tokens that were issued so far end now."""
        self.tokens.expire()

    def drop_sync_states(self) -> None:
        """Forget the states of all delta queries: links to them are answered with 410."""
        with self._lock:
            self._sync_states.drop()

    def break_connections(self) -> None:
        """Break every connection; new ones are taken."""
        self._listener.break_connections()
        self._elsewhere.break_connections()

    # --- the way of a request ---------------------------------------------------------------------------------------

    def _serve(self, request: HttpRequest, connection: HttpConnection) -> None:
        logged = self.log.begin(request)
        try:
            self.on_request(logged)
            fault = self.faults.take(logged)
            response = self._responded(request, logged, fault)
            if self.knobs.delay:
                self._listener.wait(self.knobs.delay)
            if fault is not None and fault.way == "stall":
                connection.stall()
            closed = fault is not None and fault.way in {"stall", "close", "reset"}
        except BaseException:
            self.log.end(logged, 0)
            raise
        self.log.end(logged, 0 if closed else response.status, _seconds(response.headers.get("Retry-After", "")))
        _send(connection, response, fault.way if fault else "answer")

    def _responded(self, request: HttpRequest, logged: LoggedRequest, fault: RequestFault | None) -> HttpResponse:
        request_id = new_id()
        try:
            response = self._answer(request, logged, fault)
        except ODataError as error:
            response = error_answer(error, request_id)
        response.headers["request-id"] = request_id
        if client_id := request.headers.get("client-request-id"):
            response.headers["client-request-id"] = client_id
        return response

    def _answer(self, request: HttpRequest, logged: LoggedRequest, fault: RequestFault | None) -> HttpResponse:
        path, _, query = request.target.partition("?")
        parts = segments(path)
        if request.port != self.port:
            return answered(404)
        if parts[0] != _VERSION:
            self.log.count(logged, request_form(request).get("client_id", ""), "")
            if fault is not None and not fault.done:
                raise fault.error()
            response = self._login(request, parts)
        else:
            response = self._graph(request, logged, parts[1:], QueryOptions(query), fault)
        if fault is not None and fault.way == "answer":
            raise fault.error()
        return response

    def _login(self, request: HttpRequest, parts: list[str]) -> HttpResponse:
        tenant, *rest = parts
        where = "/".join(rest)
        if (request.method, where) == ("GET", "v2.0/.well-known/openid-configuration"):
            return self.tokens.discovery(tenant, self.authority)
        if (request.method, where) == ("POST", "oauth2/v2.0/token"):
            with self._lock:
                return self.tokens.answer(tenant, request, self.authority + request.target)
        return answered(404)

    def _graph(
        self, request: HttpRequest, logged: LoggedRequest, parts: list[str], query: QueryOptions, fault: RequestFault | None
    ) -> HttpResponse:
        with self._lock:
            token = self.tokens.owner(request.headers.get("authorization", ""))
            mailbox = self._mailbox(parts, token.app.tenant)
            self.log.count(logged, token.app.client, mailbox.id)
            self.throttling.check(logged)
            if fault is not None and not fault.done:
                raise fault.error()
            if len(request.body) > _MAX_REQUEST:
                raise ODataError(413, "ErrorMessageSizeExceeded", "The maximum request length supported is 4MB.")
            handler, ids = self._routes.find(request.method, parts[2:])
            call = GraphCall(
                request=request,
                token=token,
                mailbox=mailbox,
                ids=ids,
                query=query,
                prefer=preferences(request.headers.get("prefer", "")),
                knobs=self.knobs,
                base=self.base,
                link_base=f"{self.elsewhere}/{_VERSION}" if self.knobs.foreign_links else self.base,
            )
            return handler(call)

    def _mailbox(self, parts: list[str], tenant: str) -> ExchangeMailbox:
        if len(parts) < 2 or parts[0] != "users":  # noqa: PLR2004
            raise ODataError(400, "BadRequest", f"Resource not found for the segment '{(parts or [''])[0]}'.")
        user = parts[1]
        found = self._mailboxes.get(user.lower())
        if found is None and is_object_id(user):
            text = f"Resource '{user}' does not exist or one of its queried reference-property objects are not present."
            raise ODataError(404, "Request_ResourceNotFound", text)
        if found is None or found.tenant != tenant:
            raise ODataError(404, "ErrorInvalidUser", f"The requested user '{user}' is invalid.")
        if not found.is_licensed:
            text = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise ODataError(404, "MailboxNotEnabledForRESTAPI", text)
        return found


@cache
def _certificates() -> tuple[bytes, SSLContext]:
    """Return the certificate of a CA, and the TLS context of both hosts. All stand-ins of a process share them."""
    authority = trustme.CA()
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert(Graph.host, "127.0.0.1").configure_cert(context)
    return authority.cert_pem.bytes(), context


def _send(connection: HttpConnection, response: HttpResponse, way: FaultWay) -> None:
    if way == "answer":
        connection.send(response)
    elif way == "cut":
        connection.cut(response)
    elif way == "reset":
        connection.reset()
    else:
        connection.is_open = False


def _seconds(retry_after: str) -> float:
    """Return the seconds that a header ``Retry-After`` tells (RFC 9110 section 10.2.3)."""
    if not retry_after or retry_after.isdigit():
        return float(retry_after or 0)
    return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
