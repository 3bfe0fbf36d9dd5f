"""A small client of the stand-in, over one connection that is kept."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPSConnection
from ssl import create_default_context
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from gatewayd.testing.graph import EntraApp, ExchangeMailbox, Graph

IMMUTABLE = 'IdType="ImmutableId"'
TIMEOUT = 60


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def values(self) -> list[Any]:
        return list(self.json["value"])

    @property
    def link(self) -> str:
        return str(self.json.get("@odata.nextLink") or self.json.get("@odata.deltaLink") or "")


class Client:
    """Asks for one mailbox, with a token that it gets when it is made."""

    def __init__(self, graph: Graph, mailbox: ExchangeMailbox | None = None, app: EntraApp | None = None) -> None:
        self.graph = graph
        self.app = app or graph.app
        self.mailbox = mailbox or graph.add_mailbox("ops@acme.example")
        self._context = create_default_context(cafile=str(graph.ca_file))
        self._connection = HTTPSConnection(graph.host, graph.port, context=self._context, timeout=TIMEOUT)
        self.token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def abandon(self) -> None:
        """Break the connection, also while another thread waits for an answer."""
        if self._connection.sock is not None:
            socket.socket.shutdown(self._connection.sock, socket.SHUT_RDWR)

    def raw(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask for a path, or for an address of any host."""
        address = urlsplit(target)
        connection = self._connection
        if address.netloc and address.port != self.graph.port:
            connection = HTTPSConnection(str(address.hostname), address.port, context=self._context, timeout=TIMEOUT)
        path = target.removeprefix(f"{address.scheme}://{address.netloc}")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        except BaseException:
            connection.close()
            raise
        finally:
            if connection is not self._connection:
                connection.close()

    def post_token(self, tenant: str = "", **fields: str) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.app.client,
            "client_secret": self.app.secret,
            "scope": f"{self.graph.authority}/.default",
            **fields,
        }
        path = f"/{tenant or self.app.tenant}/oauth2/v2.0/token"
        return self.raw("POST", path, urlencode(form).encode(), Content_Type="application/x-www-form-urlencoded")

    def log_in(self) -> Self:
        self.token = self.post_token().json["access_token"]
        return self

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask with the token; a ``target`` that does not begin with a slash or a scheme is below the mailbox."""
        if not target.startswith(("/", "https:")):
            target = f"/v1.0/users/{self.mailbox.id}/{target}"
        return self.raw(method, target.replace(" ", "%20"), body, **{"Authorization": f"Bearer {self.token}", **headers})

    def get(self, target: str, **headers: str) -> Answer:
        return self.ask("GET", target, None, **headers)

    def post(self, target: str, value: object = None, **headers: str) -> Answer:
        body = b"" if value is None else json.dumps(value).encode()
        return self.ask("POST", target, body, **{"Content_Type": "application/json", **headers})

    def pages(self, target: str, **headers: str) -> Iterator[Answer]:
        """Follow links to the last page. The link of the last one is the deltaLink, if there is any."""
        while True:
            answer = self.get(target, **headers)
            assert answer.status == 200, answer.body
            yield answer
            if "@odata.nextLink" not in answer.json:
                return
            target = answer.link

    def mime(self, message_id: str, **headers: str) -> Answer:
        return self.get(f"messages/{quote(message_id, safe='')}/$value", **headers)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def mail(number: int = 1, text: str = "Hello", **fields: str) -> bytes:
    """Return a message."""
    lines = {
        "From": "Ann <ann@example.org>",
        "To": "ops@acme.example",
        "Subject": f"Mail {number}",
        "Message-ID": f"<{number}@x.example>",
    }
    lines |= {name.replace("_", "-"): value for name, value in fields.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + f"\r\n{text}\r\n".encode()
