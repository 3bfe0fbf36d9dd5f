"""Sending: the endpoints ``sendMail`` and ``send``, what Exchange changes in mail that goes out, and who gets it."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from email.utils import getaddresses
from typing import TYPE_CHECKING
from uuid import uuid4

from gatewayd.testing.graph.exchange_mime import header_value, with_field, with_fields
from gatewayd.testing.graph.json_mail import apply, new_mime
from gatewayd.testing.graph.odata import ODataError, answered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.testing.graph.calls import GraphCall
    from gatewayd.testing.graph.exchange_items import ExchangeMessage
    from gatewayd.testing.graph.mailboxes import ExchangeMailbox
    from gatewayd.testing.graph.wire import ServedResponse

__all__ = ["DeliveredCopy", "PostOffice", "mime_body", "new_message_id", "send_draft", "send_mail"]

_ALWAYS_DROPPED = {"auto-submitted", "return-path", "bcc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredCopy:
    """A mail as one of its recipients got it."""

    #: The address of the mailbox that sent it.
    sender: str
    recipient: str
    mime: bytes
    #: The immutable id of the message that was sent.
    message_id: str
    #: When, on the monotonic clock.
    time: float


@dataclass(slots=True, kw_only=True)
class PostOffice:
    """Delivers mail: into mailboxes of the stand-in, and to whoever else there is."""

    #: By addresses in lower case.
    mailboxes: Mapping[str, ExchangeMailbox]
    delivered: list[DeliveredCopy] = field(default_factory=list)
    on_delivered: Callable[[DeliveredCopy], object] = lambda _copy: None

    def deliver(self, sender: ExchangeMailbox, message: ExchangeMessage, mime: bytes, recipients: list[str]) -> None:
        """Deliver one copy to each recipient."""
        for recipient in recipients:
            copy = DeliveredCopy(
                sender=sender.address, recipient=recipient, mime=mime, message_id=message.immutable_id, time=time.monotonic()
            )
            self.delivered.append(copy)
            self.on_delivered(copy)
            mailbox = self.mailboxes.get(recipient.lower())
            if mailbox is not None:
                mailbox.deliver(mime)


def mime_body(call: GraphCall) -> bytes:
    """Return the MIME in a request's body, which is base64."""
    try:
        # Lines may be folded.
        return base64.b64decode(b"".join(call.request.body.split()), validate=True)
    except binascii.Error:
        text = "Invalid base64 string for MIME content."
        raise ODataError(400, "ErrorMimeContentInvalidBase64String", text) from None


def new_message_id() -> str:
    """Return a Message-ID of Exchange's own."""
    return f"<{uuid4().hex.upper()}@outlook.example>"


def send_mail(call: GraphCall) -> ServedResponse:
    """Send a message, given as MIME or JSON, and keep a copy."""
    mailbox, keeps = call.mailbox, True
    if call.request.headers.get("content-type", "").startswith("text/plain"):
        message = mailbox.unplaced(mime_body(call), mailbox.folders["sentitems"], is_draft=True)
    else:
        body = call.parameters()
        keeps = body.get("savetosentitems") is not False
        message = mailbox.unplaced(new_mime(mailbox.address), mailbox.folders["sentitems"], is_draft=True)
        written = body.get("message")
        apply(written if isinstance(written, dict) else {}, message)
    _dispatch(call, message)
    if keeps:
        mailbox.keep_copy(message, call.knobs.sent_copy_after)
    return answered(202)


def send_draft(call: GraphCall) -> ServedResponse:
    """Send a draft; it becomes the copy in Sent Items."""
    mailbox = call.mailbox
    message = mailbox.find(call.ids[0])
    if message is None or not message.is_draft:
        again = mailbox.sent.get(call.ids[0])
        if again is None or not call.knobs.sends_twice:
            raise ODataError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        _dispatch(call, again)
        return answered(202)
    _dispatch(call, message)
    mailbox.sent |= {message.immutable_id: message, message.item_id: message}
    mailbox.take_out(message)
    mailbox.keep_copy(message, call.knobs.sent_copy_after)
    return answered(202)


def _dispatch(call: GraphCall, message: ExchangeMessage) -> None:
    mailbox = call.mailbox
    message.mime = _from_checked(call, message.mime)
    recipients = _recipients(message.mime)
    if not recipients:
        raise ODataError(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
    if call.knobs.replaces_message_id or not message.internet_message_id:
        message.mime = with_field(message.mime, "Message-ID", new_message_id())
    kept = message.kept_headers | mailbox.known_headers

    def outgoing(name: str, lines: bytes) -> bytes:
        return b"" if name in _ALWAYS_DROPPED or (name.startswith("x-") and name not in kept) else lines

    call.post.deliver(mailbox, message, with_fields(message.content, outgoing), recipients)


def _from_checked(call: GraphCall, mime: bytes) -> bytes:
    mailbox = call.mailbox
    senders = [address.lower() for _, address in getaddresses([header_value(mime, "From")]) if address]
    if senders and {*senders} <= {mailbox.address.lower(), *mailbox.send_as}:
        return mime
    if senders and call.knobs.refuses_send_as:
        text = (
            "The user account which was used to submit this request does not have the right to send mail on behalf of the sender."
        )
        raise ODataError(403, "ErrorSendAsDenied", text)
    return with_field(mime, "From", mailbox.address)


def _recipients(mime: bytes) -> list[str]:
    """Return the addresses of To, Cc and Bcc, each once: there is no other envelope."""
    headers = [value for name in ("To", "Cc", "Bcc") if (value := header_value(mime, name))]
    found = {address.lower(): address for _, address in getaddresses(headers) if "@" in address}
    return [*found.values()]
