"""Drafts: the endpoints that make and change them, add files, and take large files piece by piece at an address of its own."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.testing.graph.exchange_mime import ExchangeAttachment, with_field
from gatewayd.testing.graph.json_mail import apply, attachment, field_of, new_mime
from gatewayd.testing.graph.message_view import shown_message
from gatewayd.testing.graph.odata import ODataError, answered
from gatewayd.testing.graph.sending import mime_body, new_message_id

if TYPE_CHECKING:
    from gatewayd.testing.graph.calls import GraphCall
    from gatewayd.testing.graph.exchange_items import ExchangeMessage
    from gatewayd.testing.graph.wire import ServedRequest, ServedResponse

__all__ = ["UploadSessions", "add_attachment", "attachments", "create_draft", "update_message"]

#: Files from 3 to 150 MB take the way of an upload session, in pieces of at most 4 MB.
_LEAST_UPLOAD, _MOST_UPLOAD, _MOST_PIECE = 3 << 20, 150 << 20, 4 << 20
_RANGE = re.compile(r"bytes (\d{1,12})-(\d{1,12})/(\d{1,12})")


def create_draft(call: GraphCall) -> ServedResponse:
    """Make a draft from MIME or JSON, in Drafts or in the folder that the path names."""
    mailbox = call.mailbox
    folder = call.folder() if call.ids else mailbox.folders["drafts"]
    if call.request.headers.get("content-type", "").startswith("text/plain"):
        mime = mime_body(call)
        if call.knobs.replaces_message_id_of_drafts:
            mime = with_field(mime, "Message-ID", new_message_id())
        message = mailbox.new_message(mime, folder, is_draft=True)
    else:
        written = call.json()
        message = mailbox.unplaced(new_mime(mailbox.address), folder, is_draft=True)
        apply(written, message)
        mailbox.place(message, folder)
    place = f"{call.base}/users/{mailbox.id}/messages/{call.id_of(message)}"
    return answered(201, shown_message(call, message, call.query), Location=place)


def update_message(call: GraphCall) -> ServedResponse:
    """Change properties of a message; most only as long as it is a draft."""
    message = call.message(len(call.ids) - 1)
    apply(call.json(), message)
    call.mailbox.changed(message)
    return answered(200, shown_message(call, message, call.query))


def add_attachment(call: GraphCall) -> ServedResponse:
    """Add a file to a draft."""
    draft = _draft(call)
    added = attachment(call.json())
    draft.attachments.append(added)
    call.mailbox.changed(draft)
    return answered(201, _attachment_view(added))


def attachments(call: GraphCall) -> ServedResponse:
    """List the files of a draft."""
    return answered(200, {"value": [_attachment_view(one) for one in call.message().attachments]})


def _attachment_view(one: ExchangeAttachment) -> dict[str, object]:
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "id": one.id,
        "name": one.name,
        "contentType": one.content_type,
        "size": len(one.content),
        "isInline": one.is_inline,
        "contentId": one.content_id or None,
    }


def _draft(call: GraphCall) -> ExchangeMessage:
    draft = call.message()
    if not draft.is_draft:
        raise ODataError(400, "ErrorInvalidRequest", "Attachments can be added to drafts only.")
    return draft


@dataclass(slots=True, kw_only=True)
class _Upload:
    call: GraphCall
    draft: ExchangeMessage
    name: str
    content_type: str
    size: int
    content: bytearray = field(default_factory=bytearray)

    @property
    def progress(self) -> dict[str, object]:
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return {"expirationDateTime": ends, "nextExpectedRanges": [f"{len(self.content)}-"]}


class UploadSessions:
    """The uploads that are under way."""

    def __init__(self) -> None:
        self._uploads: dict[str, _Upload] = {}

    def create(self, call: GraphCall) -> ServedResponse:
        """Begin an upload of a large file for a draft; the answer has the address for its pieces."""
        item = call.parameters().get("attachmentitem")
        size = item.get("size") if isinstance(item, dict) else None
        if not isinstance(size, int) or field_of(item, "attachmentType") != "file" or not field_of(item, "name"):
            raise ODataError(400, "ErrorInvalidRequest", "AttachmentItem needs attachmentType, name and size.")
        if size < _LEAST_UPLOAD:
            text = "The attachment size should be greater than or equal to the minimum size of 3 MB."
            raise ODataError(400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize", text)
        if size > _MOST_UPLOAD:
            raise ODataError(400, "ErrorAttachmentSizeLimitExceeded", "The attachment size exceeds the limit of 150 MB.")
        kind = field_of(item, "contentType") or "application/octet-stream"
        upload = _Upload(call=call, draft=_draft(call), name=field_of(item, "name"), content_type=kind, size=size)
        key = secrets.token_urlsafe(24)
        self._uploads[key] = upload
        return answered(201, {"uploadUrl": f"{call.elsewhere}/upload/{key}", **upload.progress})

    def answer(self, request: ServedRequest, key: str) -> ServedResponse:
        """Take a piece, or the end of an upload that is given up. Its address alone permits it: a token has leaked."""
        upload = self._uploads.get(key)
        if "authorization" in request.headers:
            raise ODataError(400, "ErrorInvalidRequest", "The header Authorization must not be sent to this address.")
        if upload is None or upload.call.mailbox.find(upload.draft.immutable_id) is None:
            raise ODataError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if request.method == "DELETE":
            del self._uploads[key]
            return answered(204)
        if request.method != "PUT":
            raise ODataError(405, "ErrorInvalidRequest", "The request is not supported.")
        _take_piece(upload, request)
        if len(upload.content) < upload.size:
            return answered(200, upload.progress)
        del self._uploads[key]
        added = ExchangeAttachment(name=upload.name, content_type=upload.content_type, content=bytes(upload.content))
        upload.draft.attachments.append(added)
        upload.call.mailbox.changed(upload.draft)
        return answered(201, Location=f"{upload.call.base}/messages/{upload.draft.immutable_id}/attachments/{added.id}")


def _take_piece(upload: _Upload, request: ServedRequest) -> None:
    found = _RANGE.fullmatch(request.headers.get("content-range", ""))
    start, end, size = map(int, found.groups()) if found else (-1, -1, -1)
    fits = start == len(upload.content) and size == upload.size and end - start + 1 == len(request.body) and end < size
    if not fits or len(request.body) > _MOST_PIECE:
        raise ODataError(416, "ErrorInvalidContentRange", f"Expected bytes from {len(upload.content)} on, at most 4 MB.")
    upload.content += request.body
