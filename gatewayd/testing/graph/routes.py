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
        reading: dict[tuple[str, str], Handler] = {
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
            ("GET", "messages/*/attachments"): drafts.attachments,
        }
        writing: dict[tuple[str, str], Handler] = {
            ("POST", "messages"): drafts.create_draft,
            ("POST", "mailFolders/*/messages"): drafts.create_draft,
            ("POST", "messages/*/attachments"): drafts.add_attachment,
            ("POST", "messages/*/attachments/createUploadSession"): upload,
            ("POST", "messages/*/move"): messages.move_message,
            ("PATCH", "messages/*"): drafts.update_message,
            ("PATCH", "mailFolders/*/messages/*"): drafts.update_message,
            ("DELETE", "messages/*"): messages.delete_message,
            ("DELETE", "mailFolders/*/messages/*"): messages.delete_message,
        }
        sends: dict[tuple[str, str], Handler] = {
            ("POST", "sendMail"): sending.send_mail,
            ("POST", "messages/*/send"): sending.send_draft,
        }
        endpoints: list[dict[tuple[str, str], Handler]] = [reading, writing, sends, {("GET", ""): messages.person}]
        roles = ("Mail.Read Mail.ReadWrite", "Mail.ReadWrite", "Mail.Send", "User.Read User.Read.All")
        #: The endpoints, each with the permissions of which an app needs one.
        self.all: Mapping[tuple[str, str], tuple[Handler, frozenset[str]]] = {
            key: (handler, frozenset(names.split()))
            for routes, names in zip(endpoints, roles, strict=True)
            for key, handler in routes.items()
        }
        self._shapes = {shape for _, shape in self.all}

    def find(self, method: str, below: Sequence[str]) -> tuple[Handler, frozenset[str], list[str]]:
        """Return what answers a request, its permissions, and the ids in its path.

        Raises ODataError for a path or method that Graph lacks.
        """
        shape, ids = [], []
        for before, name in zip(["", *below], below, strict=False):
            is_id = before in _COLLECTIONS and name not in _WORDS
            shape.append("*" if is_id else name)
            ids += [name] if is_id else []
        path = "/".join(shape)
        if path not in self._shapes:
            raise ODataError(400, "BadRequest", f"Resource not found for the segment '{(shape or [''])[-1]}'.")
        if (method, path) not in self.all:
            raise ODataError(405, "ErrorInvalidRequest", "The OData request is not supported.")
        return *self.all[method, path], ids
