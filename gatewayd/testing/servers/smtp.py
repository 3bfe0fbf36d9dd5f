"""A real SMTP server for tests: plain, STARTTLS or TLS with a private CA. It remembers what it got, and answers as it is told."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Literal, get_args

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from gatewayd.testing.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Self

    from aiosmtpd.smtp import Envelope, LoginPassword, Session

__all__ = ["CUT", "SILENCE", "ReceivedMessage", "SmtpServer", "Step"]

#: In place of an answer: the connection is broken; no answer comes at all.
CUT, SILENCE = "CUT", "SILENCE"

#: What a server can answer. ``dot``: a mail came whole, and is not taken yet; ``taken``: it is, and the answer is due.
Step = Literal["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot", "taken", "RSET", "QUIT"]
_STEPS: Mapping[str, Step] = {step: step for step in get_args(Step) if step.isupper()}
_NO_LIMIT = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A mail that was taken."""

    sender: str
    recipients: tuple[str, ...]
    #: What MAIL said of it, in upper case: ``SIZE=123``, ``BODY=8BITMIME``, ``SMTPUTF8``.
    options: tuple[str, ...]
    #: Byte for byte, without the dots that SMTP adds.
    data: bytes
    #: The name that the client greeted with.
    hello: str
    #: Who logged in; empty where nobody did.
    user: str
    tls: bool
    #: Number of the connection over which it came, from 1 on.
    connection: int


class SmtpServer:
    """One server on a private port; use it as a context manager. What is set on it holds from then on, live."""

    host = "localhost"

    def __init__(
        self,
        security: Literal["tls", "starttls", "none"] = "none",
        *,
        users: Mapping[str, str] | None = None,
        mechanisms: Sequence[str] = ("PLAIN", "LOGIN"),
        size: int = 0,
        hidden: Sequence[str] = (),
    ) -> None:
        """Prepare it. ``users`` must log in (name to password); ``size``: the largest mail; ``hidden``: words left out of EHLO."""
        self.security = security
        self.users = dict(users or {})
        self.mechanisms = tuple(mechanisms)
        self.size = size
        self.hidden = tuple(hidden)
        #: Asked at each step with the command's argument: an answer, CUT, SILENCE, or None for what the server says by itself.
        self.answer: Callable[[Step, str], str | None] = lambda _step, _argument: None
        #: After so many bytes of a mail the connection breaks; None: it does not.
        self.cut_within: int | None = None
        self.messages: list[ReceivedMessage] = []
        #: Every command line that came, without its line end; what is sent in answer to a question of AUTH is none.
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="smtp-"))
        self.ca_file = self.folder / "ca.pem"
        self.open: set[asyncio.BaseTransport] = set()
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        self.context = SSLContext(PROTOCOL_TLS_SERVER)
        authority.issue_cert(self.host, "127.0.0.1").configure_cert(self.context)
        # Daemonic: a test that fails in the middle must not keep the run from ending.
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(120)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(120)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def go_away(self) -> None:
        """Break every connection that stands, and take no more."""
        asyncio.run_coroutine_threadsafe(self._go_away(), self._loop).result(120)

    async def _listen(self) -> None:
        context = self.context if self.security == "tls" else None
        self._server = await self._loop.create_server(lambda: _Protocol(self), "127.0.0.1", 0, ssl=context)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _go_away(self) -> None:
        self._server.close()
        for transport in tuple(self.open):
            # On Python 3.11.2 a TLS transport that was closed twice raises: nobody is left to abort.
            if isinstance(transport, asyncio.WriteTransport):
                with suppress(AttributeError):
                    transport.abort()
        # Two turns of the loop, in which the transports close their sockets.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _close(self) -> None:
        await self._go_away()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Handler:
    """What aiosmtpd asks."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def handle_EHLO(  # noqa: N802  aiosmtpd's own name
        self, protocol: _Protocol, session: Session, envelope: Envelope, name: str, lines: list[str]
    ) -> list[str]:
        """Say what the server can do."""
        del envelope
        session.host_name = name
        offered = [line for line in lines if not line[4:].startswith(("AUTH", *self._server.hidden))]
        if self._server.users and not protocol.needs_tls:
            offered.insert(1, f"250-AUTH {' '.join(self._server.mechanisms)}")
        return offered

    async def handle_DATA(  # noqa: N802  aiosmtpd's own name
        self, protocol: _Protocol, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail that came whole, unless the test has other plans."""
        if answer := await protocol.scripted_answer("dot"):
            return answer
        message = ReceivedMessage(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            options=tuple(envelope.mail_options),
            data=envelope.original_content or b"",
            hello=session.host_name or "",
            user=str(session.auth_data or ""),
            tls=protocol.transport is not None and protocol.transport.get_extra_info("ssl_object") is not None,
            connection=protocol.number,
        )
        self._server.messages.append(message)
        return await protocol.scripted_answer("taken") or f"250 2.0.0 taken as {len(self._server.messages)}"


class _Protocol(SMTP):
    """One connection."""

    def __init__(self, server: SmtpServer) -> None:
        self._owner = server
        self._transports: set[asyncio.BaseTransport] = set()
        #: Bytes of the mail that comes in; None where none does.
        self._came: int | None = None
        server.connections += 1
        self.number = server.connections
        context = server.context if server.security == "starttls" else None
        super().__init__(
            _Handler(server),
            hostname="smtp.example",
            data_size_limit=server.size or _NO_LIMIT,
            enable_SMTPUTF8=True,
            tls_context=context,
            require_starttls=context is not None,
            authenticator=self._known,
            auth_require_tls=False,
            loop=asyncio.get_running_loop(),
        )
        for name, method in self._smtp_methods.items():
            self._smtp_methods[name] = partial(self._obey, name, method)

    @property
    def needs_tls(self) -> bool:
        """Whether nothing but STARTTLS may come."""
        return bool(self.tls_context) and self._tls_protocol is None

    async def scripted_answer(self, step: Step, argument: str = "") -> str | None:
        """Return what the test wants to be answered; None: what the server says by itself. Ends where nothing more is to come."""
        answer = self._owner.answer(step, argument)
        if answer == CUT:
            self._abort()
        if answer in {CUT, SILENCE}:
            # Until the connection is lost.
            await asyncio.sleep(3600)
        return answer

    def _abort(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def _obey(self, name: str, method: Callable[[str | None], Awaitable[None]], argument: str | None) -> None:
        self._owner.commands.append(f"{name} {argument or ''}".strip())
        answer = await self.scripted_answer(_STEPS[name], argument or "") if name in _STEPS else None
        if answer:
            await self.push(answer)
        elif name == "MAIL" and self._owner.users and self.session is not None and not self.session.authenticated:
            await self.push("530 5.7.0 Authentication required")
        else:
            self._came = 0 if name == "DATA" else None
            await method(argument)
            self._came = None

    async def _handle_client(self) -> None:
        if answer := await self.scripted_answer("connect"):
            await self.push(answer)
            try:
                await asyncio.sleep(3600)
            finally:
                # The client has gone: aiosmtpd itself would leave it half open.
                self._abort()
        await super()._handle_client()

    def _known(self, _smtp: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword) -> AuthResult:
        name, password = given.login.decode(), given.password.decode()
        return AuthResult(success=self._owner.users.get(name) == password, handled=False, auth_data=name)

    def data_received(self, data: bytes) -> None:
        """Break off within a mail where the test wants that."""
        limit = self._owner.cut_within
        if self._came is not None and limit is not None:
            self._came += len(data)
            if self._came > limit:
                self._abort()
                return
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember it, so that the server can break it."""
        self._transports.add(transport)
        self._owner.open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._owner.open -= self._transports
        super().connection_lost(error)


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Message": "ReceivedMessage"})
