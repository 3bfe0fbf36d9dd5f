"""Which endpoint a request to Graph is for, by the shape of its path below the mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gatewayd.testing.graph import drafts, messages, sending
from gatewayd.testing.graph.delta import refuse_without_folder
from gatewayd.testing.graph.odata import ODataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.testing.graph.calls import GraphCall
    from gatewayd.testing.graph.wire import ServedResponse

    Handler: TypeAlias = Callable[[GraphCall], ServedResponse]

__all__ = ["Routes"]

#: Behind these names stands an id, unless it is one of these words.
_COLLECTIONS = {"mailFolders", "childFolders", "messages", "attachments"}
_WORDS = {"delta", "createUploadSession"}


class Routes:
    """The endpoints by method and shape, such as ``GET mailFolders/*/messages``; ``*`` is an id."""

    def __init__(self, delta: Handler, upload: Handler) -> None:
        self._routes: Mapping[tuple[str, str], Handler] = {
            ("GET", "mailFolders"): messages.top_folders,
            ("GET", "mailFolders/*"): messages.folder,
            ("GET", "mailFolders/*/childFolders"): messages.child_folders,
            ("GET", "mailFolders/*/messages"): messages.folder_messages,
            ("GET", "mailFolders/*/messages/delta"): delta,
            ("GET", "mailFolders/*/messages/*"): messages.message,
            ("GET", "mailFolders/*/messages/*/$value"): messages.mime_below_folder,
            ("GET", "messages"): messages.mailbox_messages,
            ("GET", "messages/delta"): refuse_without_folder,
            ("GET", "messages/*"): messages.message,
            ("GET", "messages/*/$value"): messages.message_mime,
            ("POST", "sendMail"): sending.send_mail,
            ("POST", "messages"): drafts.create_draft,
            ("POST", "mailFolders/*/messages"): drafts.create_draft,
            ("POST", "messages/*/send"): sending.send_draft,
            ("POST", "messages/*/attachments"): drafts.add_attachment,
            ("GET", "messages/*/attachments"): drafts.attachments,
            ("POST", "messages/*/attachments/createUploadSession"): upload,
            ("PATCH", "messages/*"): drafts.update_message,
            ("PATCH", "mailFolders/*/messages/*"): drafts.update_message,
            ("POST", "messages/*/move"): messages.move_message,
            ("DELETE", "messages/*"): messages.delete_message,
            ("DELETE", "mailFolders/*/messages/*"): messages.delete_message,
        }
        self._shapes = {shape for _, shape in self._routes}

    def find(self, method: str, below: Sequence[str]) -> tuple[Handler, list[str]]:
        """Return what answers a request, and the ids in its path. Raises ODataError for a path or method that Graph lacks."""
        shape, ids = [], []
        for before, name in zip(["", *below], below, strict=False):
            is_id = before in _COLLECTIONS and name not in _WORDS
            shape.append("*" if is_id else name)
            ids += [name] if is_id else []
        path = "/".join(shape)
        if path not in self._shapes:
            raise ODataError(400, "BadRequest", f"Resource not found for the segment '{(shape or [''])[-1]}'.")
        if (method, path) not in self._routes:
            raise ODataError(405, "ErrorInvalidRequest", "The OData request is not supported.")
        return self._routes[method, path], ids
