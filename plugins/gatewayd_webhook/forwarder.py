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
from gatewayd_webhook.faults import BROKEN, errors
from gatewayd_webhook.line import WebhookConnection
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
        line = WebhookConnection(self.options)
        line.begin()
        return WebhookCourier(self.options, keys, line)


class WebhookCourier(Courier):
    """A connection to the server. One that ended between two requests is made anew."""

    def __init__(self, options: WebhookOptions, keys: Keys, line: WebhookConnection) -> None:
        self._options = options
        self._keys = keys
        self._line = line

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """See ``Courier``. A server that asks us to wait gets none of the parcels behind."""
        busy: WebhookAnswer | None = None
        for parcel in parcels:
            answer = busy or self._post(parcel.message_id, body(self._options, parcel))
            yield receipt(parcel, answer, self._keys, sent=busy is None)
            busy = answer if answer.is_busy else None

    def notify(self, notice: Notice) -> Sequence[str]:
        """See ``Courier``: an event of its own type."""
        answer = self._post(notice.message_id, notice_body(notice))
        if answer.state != "delivered":
            words = f"{self._options.host}: {answer.words(self._keys)}"
            raise (TransientError if answer.state == "waiting" else PermanentError)(
                words, advice="See to the receiver of `notify`."
            )
        return ()

    def abort(self) -> None:
        """See ``Courier``."""
        self._line.cut()

    def close(self) -> None:
        """See ``Courier``: HTTP has no word of leave."""
        self._line.drop()

    def _post(self, message_id: str, content: bytes) -> WebhookAnswer:
        self._line.begin()
        connection = HTTPConnection(self._options.host, self._options.port)
        # Only the line connects, since only it knows where to.
        connection.auto_open = 0
        connection.response_class = _Response
        connection.sock = self._line
        with errors(self._options):
            response = self._answered(connection, message_id, content)
            if response.status not in _FINAL:
                raise BadStatusLine(f"status {response.status}")
        answer = _read(response)
        if response.will_close or not response.isclosed():
            # What is left of it would be taken for the next answer.
            self._line.close()
        response.close()
        return answer

    def _answered(self, connection: HTTPConnection, message_id: str, content: bytes) -> HTTPResponse:
        """Send a request and return its answer, the body still unread.

        A server may refuse what it has not read to the end, and hang up: then its word counts, not that we could not go on.
        Without one, nobody knows whether it acted on the request. It is made again later; its webhook-id lets the receiver know it.
        """
        try:
            self._send(connection, message_id, content)
            self._line.answer()
        except (BrokenPipeError, ConnectionResetError) as lost:
            self._line.close()
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
    """An answer; http.client would take what may come before it, such as 103 (RFC 8297), for all of it."""

    def begin(self) -> None:
        """Read its head, and what comes before that."""
        super().begin()
        while self.status in _INTERIM:
            # Else it counts as begun.
            self.headers = None  # type: ignore[assignment]  # as http.client has it before it begins
            super().begin()


def _read(response: HTTPResponse) -> WebhookAnswer:
    """Return an answer with as much of its body as can be had: the status has decided, whatever becomes of the rest."""
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
