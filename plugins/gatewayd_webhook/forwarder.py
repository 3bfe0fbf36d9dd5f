"""The forwarder ``webhook``: one signed POST for each delivery, over a connection that is kept."""

from __future__ import annotations

import time
from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING

from gatewayd import Courier, Forwarder, PermanentError, TransientError
from gatewayd_webhook.answer import WebhookAnswer, receipt
from gatewayd_webhook.body import body, notice_body
from gatewayd_webhook.connection import WebhookConnection
from gatewayd_webhook.faults import BROKEN, errors
from gatewayd_webhook.options import WebhookOptions
from gatewayd_webhook.signature import Keys, webhook_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Notice, Parcel, Receipt

__all__ = ["Webhook", "WebhookCourier"]

_PIECE = 1 << 13
#: What may end a request, and what may come before it, asked for or not (RFC 9110 section 15). We ask for no other protocol.
_FINAL, _INTERIM = range(200, 600), range(102, 200)


class Webhook(Forwarder):
    """Posts filings to an HTTP server as signed JSON (Standard Webhooks 1.0.0)."""

    kind = "webhook"
    Options = WebhookOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: WebhookOptions

    def open(self) -> WebhookCourier:
        """See ``Forwarder``: connects, and asks for nothing yet."""
        keys = Keys(self.options.secret, self.options.previous_secret)
        connection = WebhookConnection(self.options)
        connection.begin()
        return WebhookCourier(self.options, keys, connection)


class WebhookCourier(Courier):
    """A connection to the server. It reconnects if it ended between two requests."""

    def __init__(self, options: WebhookOptions, keys: Keys, connection: WebhookConnection) -> None:
        self._options = options
        self._keys = keys
        self._connection = connection

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """See ``Courier``. If a server asks us to wait, the parcels behind are not sent."""
        busy: WebhookAnswer | None = None
        for parcel in parcels:
            answer = busy or self._post(parcel.message_id, body(self._options, parcel))
            yield receipt(parcel, answer, self._keys, sent=busy is None)
            busy = answer if answer.is_busy else None

    def notify(self, notice: Notice) -> Sequence[str]:
        """See ``Courier``: an event of its own type."""
        answer = self._post(notice.message_id, notice_body(notice))
        if answer.state != "delivered":
            text = f"{self._options.host}: {answer.text(self._keys)}"
            raise (TransientError if answer.state == "waiting" else PermanentError)(text, advice="See to the receiver of `notify`.")
        return ()

    def abort(self) -> None:
        """See ``Courier``."""
        self._connection.cut()

    def close(self) -> None:
        """See ``Courier``: HTTP says no goodbye."""
        self._connection.drop()

    def _post(self, message_id: str, content: bytes) -> WebhookAnswer:
        self._connection.begin()
        connection = HTTPConnection(self._options.host, self._options.port)
        # Only our connection connects: it knows the permitted addresses.
        connection.auto_open = 0
        connection.response_class = _Response
        connection.sock = self._connection
        with errors(self._options):
            response = self._answered(connection, message_id, content)
            if response.status not in _FINAL:
                raise BadStatusLine(f"status {response.status}")
        answer = _read(response)
        if response.will_close or not response.isclosed():
            # The rest of it would be taken for the next response.
            self._connection.close()
        response.close()
        return answer

    def _answered(self, connection: HTTPConnection, message_id: str, content: bytes) -> HTTPResponse:
        """Send a request and return its answer, the body still unread.

        A server may refuse a request before its end, and hang up: then its response counts, not that we could not send the rest.
        Without a response, nobody knows whether it acted on the request. It is made again later, with the same webhook-id.
        """
        try:
            self._send(connection, message_id, content)
            self._connection.answer()
        except (BrokenPipeError, ConnectionResetError) as lost:
            self._connection.close()
            with suppress(*BROKEN):
                response = connection.getresponse()
                # Nobody has taken what he has not got to its end.
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    return response
            raise lost from None
        return connection.getresponse()

    def _send(self, connection: HTTPConnection, message_id: str, content: bytes) -> None:
        name, now = webhook_id(message_id), int(time.time())
        connection.putrequest("POST", self._options.path, skip_host=True)
        headers = {
            "Host": self._options.parts.netloc,
            "User-Agent": "gatewayd",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "webhook-id": name,
            "webhook-timestamp": str(now),
            "webhook-signature": self._keys.signatures(name, now, content),
        }
        for header, value in headers.items():
            connection.putheader(header, value)
        connection.endheaders(content)


class _Response(HTTPResponse):
    """A response. http.client takes an interim response, such as 103 (RFC 8297), for the final one."""

    def begin(self) -> None:
        """Read its head, and what comes before that."""
        super().begin()
        while self.status in _INTERIM:
            # Else it counts as begun.
            self.headers = None  # type: ignore[assignment]  # as http.client has it before it begins
            super().begin()


def _read(response: HTTPResponse) -> WebhookAnswer:
    """Return an answer with as much of its body as arrives. The status decides, whatever happens to the body."""
    pieces: list[bytes] = []
    with suppress(TransientError, *BROKEN):
        while piece := response.read(_PIECE):
            pieces.append(piece)
    return WebhookAnswer(
        status=response.status,
        reason=response.reason,
        retry_after=response.headers.get("Retry-After", ""),
        location=response.headers.get("Location", ""),
        body=b"".join(pieces),
    )
