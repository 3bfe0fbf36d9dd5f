"""Make the JSON body of a request: an event with the line of ``mail list --json``. Its schema is docs/webhook.schema.json."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

from gatewayd import CHUNK, filing_row, moment, notice_row, parse

if TYPE_CHECKING:
    from gatewayd import Json, Notice, Parcel
    from gatewayd_webhook.options import WebhookOptions

__all__ = ["body", "notice_body"]

_MAX_TEXT = 100_000


def body(options: WebhookOptions, parcel: Parcel) -> bytes:
    """Return the JSON of one delivery, in ASCII: so no odd character of a mail can make it invalid."""
    source, filing = parcel.source, parcel.filing
    raw = None
    if options.raw == "inline" and source.size <= options.inline_bytes:
        # A store may give fewer bytes at a time than it is asked for at its end only: a chunk is never short inside.
        raw = b64encode(b"".join(source.read(offset, CHUNK) for offset in range(0, source.size, CHUNK))).decode()
    link = options.raw_url.format(operator=filing.operator, id=filing.id) if options.raw_url else None
    data: dict[str, Json] = {
        **filing_row(filing),
        "text": parse(source).text[:_MAX_TEXT] if options.text else None,
        "raw": raw,
        "raw_url": link,
        "delivery": parcel.id,
        "because": parcel.cause,
    }
    event: dict[str, Json] = {"type": "mail.filed", "timestamp": moment(parcel.entered_at), "data": data}
    return json.dumps(event, separators=(",", ":")).encode()


def notice_body(notice: Notice) -> bytes:
    """Return the JSON of a notice to the administrators, in ASCII as well."""
    event: dict[str, Json] = {"type": "alarm", "timestamp": moment(notice.at), "data": notice_row(notice)}
    return json.dumps(event, separators=(",", ":")).encode()
