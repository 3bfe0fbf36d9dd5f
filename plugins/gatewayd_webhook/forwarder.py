"""The forwarder ``webhook``: one signed POST for each delivery, over a connection that is kept."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gatewayd import AnswerLost, Courier, Forwarder, HttpClient, HttpPool, PermanentError, TransientError
from gatewayd_webhook.addresses import permitted
from gatewayd_webhook.answer import WebhookAnswer, receipt
from gatewayd_webhook.body import body, notice_body
from gatewayd_webhook.options import WebhookOptions
from gatewayd_webhook.signature import Keys, webhook_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import HttpStream, Notice, Parcel, Receipt

__all__ = ["Webhook", "WebhookCourier"]

#: How much of the body of one answer is read.
_MAX_BODY = 1 << 16


class Webhook(Forwarder):
    """Posts filings to an HTTP server as signed JSON (Standard Webhooks 1.0.0)."""

    kind = "webhook"
    Options = WebhookOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: WebhookOptions

    def open(self) -> WebhookCourier:
        """See ``Forwarder``: connects, and asks for nothing yet."""
        keys = Keys(self.options.secret, self.options.previous_secret)
        options = self.options
        pool = HttpPool(
            options.url, ca_file=options.ca_file, timeout=options.timeout, kept=1, permitted=partial(permitted, options)
        )
        client = HttpClient(pool)
        client.open()
        return WebhookCourier(options, keys, pool, client)


class WebhookCourier(Courier):
    """A connection to the server. It reconnects if it ended between two requests."""

    def __init__(self, options: WebhookOptions, keys: Keys, pool: HttpPool, client: HttpClient) -> None:
        self._options = options
        self._keys = keys
        self._pool = pool
        self._client = client

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
        self._client.abort()

    def close(self) -> None:
        """See ``Courier``: HTTP says no goodbye."""
        self._pool.close()

    def _post(self, message_id: str, content: bytes) -> WebhookAnswer:
        """Post, and return the answer. Without one, nobody knows whether the server acted on it: it goes again later, with the same
        webhook-id.
        """
        options, name, now = self._options, webhook_id(message_id), int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(now),
            "webhook-signature": self._keys.signatures(name, now, content),
        }
        try:
            with self._client.stream(
                "POST",
                options.url,
                what="the answer",
                headers=headers,
                body=content,
                limit=_MAX_BODY,
                deadline=options.deadline,
            ) as stream:
                return _read(stream)
        except AnswerLost as lost:
            if lost.status is None:
                raise
            return WebhookAnswer(status=lost.status, reason=lost.reason)


def _read(stream: HttpStream) -> WebhookAnswer:
    """Return an answer with as much of its body as arrives. The status decides, whatever happens to the body."""
    pieces: list[bytes] = []
    with suppress(TransientError):
        pieces.extend(stream)
    return WebhookAnswer(
        status=stream.status,
        reason=stream.reason,
        retry_after=stream.headers.get("retry-after", ""),
        location=stream.headers.get("location", ""),
        body=b"".join(pieces),
    )
