"""Receivers of webhooks: one that takes what is posted and keeps it, and one of raw bytes for what real servers don't do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import trustme

from gatewayd import FilingFault, FilingView, LinkView, Parcel, RivalView, Secret
from gatewayd.message.mail import BytesSource, parse
from gatewayd_webhook.forwarder import Webhook
from gatewayd_webhook.options import WebhookOptions
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from pathlib import Path

#: The secret of the specification's own example libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

RAW = (
    b"From: Anna Nov\xc3\xa1k <anna@example.com>\r\nTo: reservations@example.com\r\nSubject: Booking 756\r\n"
    b'Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nDobr\xc3\xbd den \xf0\x9f\x8c\x8d\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=voucher.pdf\r\n\r\nPDF\r\n--b--\r\n"
)


def parcel(number: int = 1, raw: bytes = RAW) -> Parcel:
    """A delivery of a filing that has something of everything."""
    mail = parse(BytesSource(raw))
    filing = FilingView(
        id=700 + number,
        operator="acme",
        user=None,
        account="reservations",
        folder="INBOX",
        key="1:7",
        message_id=mail.message_id,
        sender="anna@example.com",
        sender_name="Anna Novák",
        to=("reservations@example.com",),
        subject="Booking 756 \u202e\u2028\x07 \ud800",
        sent_at=None,
        received_at=datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
        size=len(raw),
        digest=b"",
        direction="in",
        unread=True,
        attachments=mail.attachments,
        links=(LinkView(kind="reservation", id="R9", label="B-756 Rome", by="reservations", because="756 in the subject"),),
        rivals=(RivalView(kind="customer", id="C1", label="Nord GmbH", by="contacts", because="anna@example.com"),),
        faults=(FilingFault(by="vouchers", error="ValueError"),),
        queue="front-office",
    )
    return Parcel(
        id=number,
        message_id=f"<gw.f.nonce{number}.token@gatewayd.invalid>",
        filing=filing,
        source=BytesSource(raw),
        mode="attached",
        sender=None,
        to=("acme/crm",),
        addressed=("acme/crm",),
        entered_at=datetime(2026, 11, 22, 11, 30, tzinfo=UTC),
        cause="rule 2",
    )


def options(tmp_path: Path, url: str, **fields: Any) -> WebhookOptions:
    """Options for this URL, whose secret is in a file."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "old").write_text(OLD_SECRET)
    given = {"url": url, "secret": Secret("file", str(tmp_path / "secret")), "insecure": True, "allow_private": ["localhost"]}
    return WebhookOptions.model_validate(given | fields)


def webhook(tmp_path: Path, url: str, **fields: Any) -> Webhook:
    """The forwarder for this URL."""
    return Webhook(options(tmp_path, url, **fields), name="acme/crm")


def old_secret(tmp_path: Path) -> Secret:
    return Secret("file", str(tmp_path / "old"))


def verified(headers: Message, body: bytes, secret: str) -> bool:
    """Whether one of the signatures is by this secret: written from the specification, without a line of ours."""
    key = base64.b64decode(secret[len("whsec_") :])
    signed = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(one == f"v1,{wanted}" for one in headers["webhook-signature"].split(" "))


@dataclass
class Request:
    """What a receiver was posted."""

    path: str
    headers: Message
    body: bytes
    #: Which connection it came by, counted from 1.
    connection: int

    @property
    def event(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server of the standard library's that answers as it is told, and remembers every request."""

    ca_file: Path
    #: Status, headers and body by path; else 204.
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    #: Whether each answer ends its connection, with and without saying so.
    hang_up: bool = False
    hang_up_silently: bool = False
    port: int = 0
    scheme: str = "https"
    #: While it is not set, nothing is answered.
    talks: threading.Event = field(default_factory=threading.Event)
    #: What ends the server and all connections.
    go_away: Callable[[], None] = lambda: None

    def url(self, path: str = "/mail") -> str:
        return f"{self.scheme}://localhost:{self.port}{path}"


def _handler(site: Receiver, open_ones: set[socket.socket]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            site.connections += 1
            self.number = site.connections
            open_ones.add(self.connection)

        def finish(self) -> None:
            open_ones.discard(self.connection)
            super().finish()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            site.talks.wait(LONG)
            site.requests.append(Request(self.path, self.headers, body, self.number))
            status, headers, said = site.answers.get(self.path, (204, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(said)))
            if site.hang_up:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(said)
            self.close_connection = self.close_connection or site.hang_up_silently

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def receiver(tmp_path: Path, *, tls: bool = True) -> Iterator[Receiver]:
    """Run a receiver; with TLS by a CA of its own."""
    site = Receiver(tmp_path / "ca.pem", scheme="https" if tls else "http")
    site.talks.set()
    open_ones: set[socket.socket] = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(site, open_ones)) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls_context(tmp_path).wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def go_away() -> None:
            server.shutdown()
            thread.join()
            server.server_close()
            for connection in list(open_ones):
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

        site.go_away = go_away
        try:
            yield site
        finally:
            site.talks.set()
            go_away()


def tls_context(tmp_path: Path, name: str = "localhost") -> ssl.SSLContext:
    """A server's context, whose CA is in ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@contextmanager
def scripted(play: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server whose every connection is handed to ``play``, and then closed; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(LONG)
                        if context is None:
                            play(connection)
                            continue
                        with context.wrap_socket(connection, server_side=True) as wrapped:
                            play(wrapped)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Read one whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(rest) < length:
        piece = connection.recv(65536)
        if not piece:
            break
        rest += piece
    return head + b"\r\n\r\n" + rest
