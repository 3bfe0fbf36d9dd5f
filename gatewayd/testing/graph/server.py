"""The stand-in as tests use it: its certificates and listeners, what there is, and what goes wrong."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.testing.graph.apps import EntraApp, EntraTenant
from gatewayd.testing.graph.certificates import server_certificate
from gatewayd.testing.graph.faults import RequestFault
from gatewayd.testing.graph.mailboxes import ExchangeMailbox
from gatewayd.testing.graph.service import GraphService
from gatewayd.testing.graph.wire import HttpsListener

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewayd.testing.graph.faults import FaultWay
    from gatewayd.testing.graph.request_log import LoggedRequest
    from gatewayd.testing.graph.sending import DeliveredCopy

__all__ = ["Graph"]


class Graph:
    """Microsoft's login and Graph for one or more tenants, on private ports; use it as a context manager.

    It begins with one tenant and one app, which may read, write and send in all of the tenant's mailboxes.
    """

    host = "localhost"

    def __init__(self) -> None:
        self._service = service = GraphService()
        self.knobs = service.knobs
        self.throttling = service.throttling
        self.faults = service.faults
        self.log = service.log
        self.tokens = service.login
        self.consents = service.login.consents
        self.folder = Path(tempfile.mkdtemp(prefix="graph-"))
        #: The certificate of the CA that clients must trust.
        self.ca_file = self.folder / "ca.pem"
        self.tenant = self.add_tenant("acme.example")
        self.app = self.add_app(secret="q~.8&+" + secrets.token_urlsafe(24))

    def __enter__(self) -> Self:
        ca, context = server_certificate(self.host)
        self.ca_file.write_bytes(ca)
        self._listener = HttpsListener(context, self._service.serve).__enter__()
        # Its address has another host, for uploads and for links that lead astray.
        self._elsewhere = HttpsListener(context, self._service.serve).__enter__()
        self._service.listens(f"https://{self.host}:{self.port}", f"https://127.0.0.1:{self._elsewhere.port}")
        return self

    def __exit__(self, *_: object) -> None:
        self._elsewhere.__exit__()
        self._listener.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def on_request(self) -> Callable[[LoggedRequest], object]:
        """What is called with each request whose token is valid, before it is carried out, in a thread of the server.

        It does what a person or another program does in this moment, such as deleting the message that is asked for.
        """
        return self._service.on_request

    @on_request.setter
    def on_request(self, call: Callable[[LoggedRequest], object]) -> None:
        self._service.on_request = call

    @property
    def on_delivered(self) -> Callable[[DeliveredCopy], object]:
        """What is called with each copy of mail that is delivered, before its sender has an answer, in a thread of the server."""
        return self._service.post.on_delivered

    @on_delivered.setter
    def on_delivered(self, call: Callable[[DeliveredCopy], object]) -> None:
        self._service.post.on_delivered = call

    # --- addresses --------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port of login and Graph."""
        return self._listener.port

    @property
    def authority(self) -> str:
        """The address of the login, in place of ``https://login.microsoftonline.com``."""
        return self._service.authority

    @property
    def base(self) -> str:
        """The address of Graph with its version, in place of ``https://graph.microsoft.com/v1.0``."""
        return self._service.base

    @property
    def elsewhere(self) -> str:
        """The address of the other host, which takes uploads, and which no token may reach."""
        return self._service.elsewhere

    # --- what there is ----------------------------------------------------------------------------------------------

    def add_tenant(self, domain: str) -> EntraTenant:
        """Add a tenant."""
        tenant = EntraTenant(domain=domain)
        self._service.tenants[tenant.id] = tenant
        return tenant

    def add_app(self, *, secret: str = "", certificate: str = "", tenant: EntraTenant | None = None) -> EntraApp:
        """Register an app with a secret or a certificate (PEM). Raises TypeError for a certificate that is no text."""
        if not isinstance(certificate, str):
            raise TypeError("expected the certificate as a PEM text")
        tenant = tenant or self.tenant
        app = EntraApp(tenant=tenant.id, secret=secret, certificate=certificate)
        tenant.apps[app.client] = app
        return app

    def add_mailbox(self, address: str, *, language: str = "en", tenant: EntraTenant | None = None) -> ExchangeMailbox:
        """Add a mailbox, whose folders have their names in a language: ``en``, ``de`` or ``nl``."""
        mailbox = ExchangeMailbox(address, (tenant or self.tenant).id, self._service.lock, language=language)
        with self._service.lock:
            self._service.mailboxes |= {mailbox.id: mailbox, address.lower(): mailbox}
        return mailbox

    @property
    def delivered(self) -> list[DeliveredCopy]:
        """All copies of mail that were delivered so far: one for each recipient."""
        with self._service.lock:
            return [*self._service.post.delivered]

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
        done = done or way in {"cut", "freeze"}
        fault = RequestFault(where=where, way=way, status=status, code=code, done=done, times=times, after=after, headers=named)
        self.faults.add(fault)

    def expire_tokens(self) -> None:
        """Let all tokens that were issued so far end now."""
        self.tokens.expire()

    def drop_sync_states(self) -> None:
        """Forget the states of all delta queries: links to them are answered with 410."""
        with self._service.lock:
            self._service.sync_states.drop()

    def place_late_copies(self) -> None:
        """Put all sent copies into Sent Items now, whatever ``sent_copy_after`` said."""
        for mailbox in {*self._service.mailboxes.values()}:
            mailbox.place_late_copies(all_of_them=True)

    def break_connections(self) -> None:
        """Break every connection; new ones are taken."""
        self._listener.break_connections()
        self._elsewhere.break_connections()
