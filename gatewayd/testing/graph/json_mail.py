"""Messages that clients write in JSON: they become MIME at once, and what a later PATCH says changes lines of it."""

from __future__ import annotations

import base64
import binascii
import re
from email.utils import formataddr, formatdate
from typing import TYPE_CHECKING

from gatewayd.testing.graph.exchange_mime import ExchangeAttachment, with_body, with_field
from gatewayd.testing.graph.message_view import HEADER_PROPERTIES
from gatewayd.testing.graph.odata import ODataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.testing.graph.exchange_items import ExchangeMessage
    from gatewayd.testing.graph.odata import Json

__all__ = ["apply", "attachment", "entries", "field_of"]

_PEOPLE: Mapping[str, str] = {
    "from": "From",
    "sender": "Sender",
    "toRecipients": "To",
    "ccRecipients": "Cc",
    "bccRecipients": "Bcc",
    "replyTo": "Reply-To",
}
_MOST_HEADERS = 5
_FILE = "#microsoft.graph.fileAttachment"


def apply(written: Json, message: ExchangeMessage) -> None:
    """Change a message as JSON says. Raises ODataError for what Graph refuses; the message may have changed in part by then."""
    if "isRead" in written:
        message.is_read = written["isRead"] is True
    if "categories" in written:
        message.categories = [str(one) for one in entries(written, "categories")]
    for one in entries(written, "singleValueExtendedProperties"):
        _set_property(message, field_of(one, "id"), field_of(one, "value"))
    drafted = {name: value for name, value in written.items() if name in {*_PEOPLE, "subject", "body", "internetMessageId"}}
    if drafted and not message.is_draft:
        raise ODataError(400, "ErrorInvalidPropertySet", "Property can only be set on a draft.")
    for name, value in drafted.items():
        _set_drafted(message, name, value)
    _add_headers(message, written)
    message.attachments += map(attachment, entries(written, "attachments"))


def new_mime(sender: str) -> bytes:
    """Return an empty message."""
    date = formatdate(usegmt=True)
    return f"From: {sender}\r\nDate: {date}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n".encode()


def attachment(written: object) -> ExchangeAttachment:
    """Return an attached file."""
    if field_of(written, "@odata.type") != _FILE:
        raise ODataError(400, "ErrorInvalidRequest", "The attachment's type is not supported.")
    try:
        content = base64.b64decode(field_of(written, "contentBytes"), validate=True)
    except binascii.Error:
        raise ODataError(400, "RequestBodyRead", "Cannot convert the contentBytes to the expected type 'Edm.Binary'.") from None
    return ExchangeAttachment(
        name=field_of(written, "name"),
        content_type=field_of(written, "contentType") or "application/octet-stream",
        content=content,
        is_inline=isinstance(written, dict) and written.get("isInline") is True,
        content_id=field_of(written, "contentId"),
    )


def entries(written: Json, name: str) -> list[object]:
    """Return the list of that name; an empty one if there is none."""
    value = written.get(name)
    return value if isinstance(value, list) else []


def field_of(written: object, name: str) -> str:
    """Return the text of that name; empty if there is none."""
    value = written.get(name) if isinstance(written, dict) else None
    return value if isinstance(value, str) else ""


def _set_property(message: ExchangeMessage, name: str, value: str) -> None:
    header = HEADER_PROPERTIES.get(name.lower())
    if header:
        message.mime = with_field(message.mime, header, value)
    else:
        message.properties[name.lower()] = value


def _set_drafted(message: ExchangeMessage, name: str, value: object) -> None:
    if name == "body":
        kind = "text/html" if field_of(value, "contentType").lower() == "html" else "text/plain"
        message.mime = with_body(message.mime, kind, field_of(value, "content"))
    elif name in _PEOPLE:
        people = value if isinstance(value, list) else [value]
        addresses = [_address(one.get("emailAddress") if isinstance(one, dict) else None) for one in people]
        message.mime = with_field(message.mime, _PEOPLE[name], ", ".join(addresses))
    else:
        header = {"subject": "Subject", "internetMessageId": "Message-ID"}[name]
        message.mime = with_field(message.mime, header, _encoded(str(value)))


def _address(written: object) -> str:
    return formataddr((field_of(written, "name"), field_of(written, "address")))


def _encoded(text: str) -> str:
    """Return a text as a header has it (RFC 2047)."""
    if re.fullmatch(r"[ -~]*", text):
        return text
    pieces = [text[start : start + 10] for start in range(0, len(text), 10)]
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(piece.encode()).decode()}?=" for piece in pieces)


def _add_headers(message: ExchangeMessage, written: Json) -> None:
    headers = entries(written, "internetMessageHeaders")
    if len(headers) > _MOST_HEADERS:
        raise ODataError(400, "InvalidInternetMessageHeaderCollection", "Maximum number of headers in one message should be 5.")
    for header in headers:
        name = field_of(header, "name")
        if not name.lower().startswith("x-"):
            text = f"The internet message header name '{name}' should start with 'x-' or 'X-'."
            raise ODataError(400, "InvalidInternetMessageHeader", text)
        message.mime = with_field(message.mime, name, field_of(header, "value"))
        message.kept_headers.add(name.lower())
