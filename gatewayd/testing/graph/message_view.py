"""A message as Graph shows it in JSON: its properties, and its extended ones (MAPI)."""

from __future__ import annotations

import re
from datetime import UTC
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.testing.graph.exchange_mime import header_fields, header_value
from gatewayd.testing.graph.odata import ODataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.testing.graph.calls import GraphCall
    from gatewayd.testing.graph.exchange_items import ExchangeMessage
    from gatewayd.testing.graph.odata import QueryOptions

__all__ = ["date_text", "refuse_corrupt_page", "shown_message", "value_of"]

#: Extended properties that are header fields (MS-OXPROPS): PidTagInternetMessageId, -References and -InReplyTo.
HEADER_PROPERTIES: Mapping[str, str] = {
    "string 0x1035": "Message-ID",
    "string 0x1039": "References",
    "string 0x1042": "In-Reply-To",
}
#: PidTagMessageSize.
_SIZE = {"long 0x0e08", "integer 0x0e08"}
_ATTACHED = re.compile(rb"content-disposition:\s*attachment", re.IGNORECASE)
_EXPANDED = re.compile(r"singleValueExtendedProperties\(\$filter=(.*)\)")
_PROPERTY_ID = re.compile(r"id eq '((?:[^']|'')*)'")


def shown_message(call: GraphCall, message: ExchangeMessage, query: QueryOptions) -> dict[str, object]:
    """Return a message as JSON, with the properties that ``$select`` and ``$expand`` name."""
    shown: dict[str, object] = {
        "@odata.etag": f'W/"CQAAABYA{message.version:x}"',
        **query.selected({"id": partial(call.id_of, message), **_properties(call, message)}),
    }
    if "internetMessageHeaders" in query["$select"]:
        shown["internetMessageHeaders"] = [
            {"name": lines.partition(b":")[0].decode("latin-1"), "value": _text(lines.partition(b":")[2])}
            for _, lines in header_fields(message.mime)
        ]
    if query["$expand"]:
        shown |= _expanded(message, query["$expand"])
    return shown


def value_of(message: ExchangeMessage, name: str) -> object:
    """Return a property, or an extended one, for a ``$filter``."""
    simple = _simple(message).get(name)
    if simple is not None:
        return simple()
    if name == "from/emailAddress/address":
        return next((address for _, address in _addresses(message, "From")), "")
    if " " not in name:
        raise ODataError(400, "ErrorInvalidProperty", f"The property '{name}' does not support filtering.")
    return _extended(message, name)


def refuse_corrupt_page(messages: Sequence[ExchangeMessage]) -> None:
    """Raise ODataError if a page has a corrupt message beside others."""
    if len(messages) > 1 and any(message.corrupt_page for message in messages):
        raise ODataError(500, "ErrorContentConversionFailed", "Content conversion failed.")


def date_text(message: ExchangeMessage) -> str:
    """Return when it was received."""
    return message.received.strftime("%Y-%m-%dT%H:%M:%SZ")


def _simple(message: ExchangeMessage) -> dict[str, Callable[[], object]]:
    return {
        "receivedDateTime": lambda: date_text(message),
        "createdDateTime": lambda: date_text(message),
        "lastModifiedDateTime": lambda: date_text(message),
        "internetMessageId": lambda: message.internet_message_id,
        "isRead": lambda: message.is_read,
        "isDraft": lambda: message.is_draft,
        "hasAttachments": lambda: bool(message.attachments or _ATTACHED.search(message.mime)),
        "subject": lambda: _decoded(message, "Subject"),
        "parentFolderId": lambda: message.folder.id,
    }


def _properties(call: GraphCall, message: ExchangeMessage) -> dict[str, Callable[[], object]]:
    return {
        **_simple(message),
        "changeKey": lambda: f"CQAAABYA{message.version:x}",
        "categories": lambda: [*message.categories],
        "sentDateTime": lambda: _sent(message),
        "importance": lambda: "normal",
        "conversationId": lambda: f"AAQk{message.immutable_id[-30:]}",
        "bodyPreview": lambda: "",
        "webLink": lambda: f"{call.base}/owa/?ItemID={message.item_id}",
        "from": lambda: next(iter(_people(message, "From")), None),
        "sender": lambda: next(iter(_people(message, "From")), None),
        "toRecipients": lambda: _people(message, "To"),
        "ccRecipients": lambda: _people(message, "Cc"),
        "bccRecipients": lambda: _people(message, "Bcc"),
        "replyTo": lambda: _people(message, "Reply-To"),
    }


def _addresses(message: ExchangeMessage, name: str) -> list[tuple[str, str]]:
    return [(_unencoded(who), address) for who, address in getaddresses([header_value(message.mime, name)]) if address]


def _people(message: ExchangeMessage, name: str) -> list[object]:
    return [{"emailAddress": {"name": who or address, "address": address}} for who, address in _addresses(message, name)]


def _sent(message: ExchangeMessage) -> str:
    try:
        sent_at = parsedate_to_datetime(header_value(message.mime, "Date"))
        return (sent_at if sent_at.tzinfo is None else sent_at.astimezone(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return date_text(message)


def _decoded(message: ExchangeMessage, name: str) -> str:
    return _unencoded(header_value(message.mime, name))


def _unencoded(text: str) -> str:
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        return text


def _text(value: bytes) -> str:
    return b" ".join(value.split()).decode("utf-8", "replace")


def _extended(message: ExchangeMessage, name: str) -> str:
    if name.lower() in _SIZE:
        return str(len(message.content))
    if name.lower() in HEADER_PROPERTIES:
        return header_value(message.mime, HEADER_PROPERTIES[name.lower()])
    return message.properties.get(name.lower(), "")


def _expanded(message: ExchangeMessage, expand: str) -> dict[str, object]:
    found = _EXPANDED.fullmatch(expand.strip())
    if found is None:
        raise ODataError(400, "BadRequest", f"Parsing OData Select and Expand failed: '{expand}'.")
    names = [name.replace("''", "'") for name in _PROPERTY_ID.findall(found[1])]
    values = [{"id": name, "value": value} for name in names if (value := _extended(message, name))]
    return {"singleValueExtendedProperties": values} if values else {}
