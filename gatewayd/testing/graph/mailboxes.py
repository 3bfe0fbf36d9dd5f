"""Exchange mailboxes, as tests set them up and look at them, and as the endpoints change them."""

from __future__ import annotations

import itertools
import math
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gatewayd.testing.graph.exchange_items import ExchangeFolder, ExchangeMessage, FolderChange, immutable_id, item_id
from gatewayd.testing.graph.folder_names import HIDDEN, ROOT, display_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import RLock

__all__ = ["ExchangeMailbox"]


class ExchangeMailbox:
    """One mailbox. All methods may be called while clients are connected."""

    def __init__(self, address: str, tenant: str, lock: RLock, *, language: str = "en") -> None:
        self.address = address
        #: The name that its user logs in with.
        self.login_name = address
        #: More addresses at which it gets mail.
        self.aliases: list[str] = []
        self.tenant = tenant
        #: The User Object ID.
        self.id = str(uuid.uuid4())
        #: Whether it has a licence, and lies in Exchange Online.
        self.is_licensed = True
        #: The addresses beside its own that mail may be sent as, in lower case.
        self.send_as: set[str] = set()
        #: The names of X- headers, in lower case, that it knows and keeps when it sends.
        self.known_headers: set[str] = set()
        #: How many delta queries were begun here: each stores its state in the mailbox.
        self.initial_deltas = 0
        #: More than so many are refused, as the mailbox is full then.
        self.most_initial_deltas = 1_000_000
        self.lock = lock
        self.folders: dict[str, ExchangeFolder] = {}
        self._messages: dict[str, ExchangeMessage] = {}
        self._changes = itertools.count(1)
        #: The number of the last change.
        self.last_change = 0
        #: What was sent, by all ids that it had before.
        self.sent: dict[str, ExchangeMessage] = {}
        #: Sent copies that are not in Sent Items yet, each with its time on the monotonic clock.
        self._late_copies: list[tuple[float, ExchangeMessage]] = []
        for known, name in display_names(language).items():
            self._new_folder(name, self.folders.get(ROOT), known)

    # --- for tests ------------------------------------------------------------------------------------------------

    def folder(self, path: str) -> ExchangeFolder:
        """Return the folder of a path such as ``inbox/Invoices``, which is made as needed. It begins with any name of a folder."""
        with self.lock:
            self.place_late_copies()
            first, *others = path.split("/")
            folder = self.folders.get(first.lower()) or self._child(self.folders[ROOT], first)
            for name in others:
                folder = self._child(folder, name)
            return folder

    def deliver(self, mime: bytes, folder: str = "inbox", *, received: datetime | None = None) -> ExchangeMessage:
        """Put a message into a folder, as if it had just arrived, or at the time ``received``."""
        with self.lock:
            return self.new_message(mime, self.folder(folder), received=received)

    def messages(self, folder: str = "inbox") -> list[ExchangeMessage]:
        """Return the messages of a folder."""
        with self.lock:
            return [*self.folder(folder).messages.values()]

    def mark_read(self, message: ExchangeMessage, *, is_read: bool = True) -> None:
        """Let a person read it, or mark it as unread."""
        with self.lock:
            message.is_read = is_read
            self.changed(message)

    def move(self, message: ExchangeMessage, folder: str) -> None:
        """Let a person move it into another folder."""
        with self.lock:
            self.move_to(message, self.folder(folder))

    def delete(self, message: ExchangeMessage) -> None:
        """Let a person delete it for good, so that nobody can restore it, if it is still there."""
        with self.lock:
            if message.immutable_id in self._messages:
                self.take_out(message)

    # --- for the endpoints ----------------------------------------------------------------------------------------

    def find(self, given: str) -> ExchangeMessage | None:
        """Return the message with an id of either kind; None if there is none now."""
        return self._messages.get(given)

    def new_message(
        self, mime: bytes, folder: ExchangeFolder, *, received: datetime | None = None, is_draft: bool = False
    ) -> ExchangeMessage:
        """Add a message to a folder."""
        message = self.unplaced(mime, folder, received=received, is_draft=is_draft)
        self.place(message, folder)
        return message

    def unplaced(
        self, mime: bytes, folder: ExchangeFolder, *, received: datetime | None = None, is_draft: bool = False
    ) -> ExchangeMessage:
        """Return a message for a folder, which is nowhere yet."""
        return ExchangeMessage(
            immutable_id=immutable_id(),
            item_id=item_id(),
            folder=folder,
            mime=mime,
            received=(received or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0),
            is_draft=is_draft,
            is_read=is_draft,
        )

    def place(self, message: ExchangeMessage, folder: ExchangeFolder) -> None:
        """Put a message that is nowhere yet into a folder."""
        self._messages[message.immutable_id] = message
        self._enter(message, folder)

    def changed(self, message: ExchangeMessage) -> None:
        """Record that a message has changed."""
        message.version += 1
        self._record("updated", message)

    def move_to(self, message: ExchangeMessage, folder: ExchangeFolder) -> None:
        """Move a message; its changing id becomes another one."""
        self._leave(message)
        del self._messages[message.item_id]
        message.item_id = item_id()
        message.version += 1
        self._enter(message, folder)

    def take_out(self, message: ExchangeMessage) -> None:
        """Take a message out of its folder and of the mailbox."""
        self._leave(message)
        del self._messages[message.immutable_id], self._messages[message.item_id]

    def keep_copy(self, message: ExchangeMessage, seconds: float) -> None:
        """Put a sent message, which is nowhere, into Sent Items after some seconds."""
        message.is_draft, message.is_read = False, True
        message.received = datetime.now(UTC).replace(microsecond=0)
        self._late_copies.append((time.monotonic() + seconds, message))
        self.place_late_copies()

    def place_late_copies(self, *, all_of_them: bool = False) -> None:
        """Put the sent copies whose time has come into Sent Items, or all of them."""
        if not self._late_copies:
            return
        with self.lock:
            now = math.inf if all_of_them else time.monotonic()
            due = [message for at, message in self._late_copies if at <= now]
            self._late_copies = [(at, message) for at, message in self._late_copies if at > now]
            for message in due:
                message.item_id = item_id()
                self.place(message, self.folders["sentitems"])

    def listed_folders(self, parent: ExchangeFolder) -> list[ExchangeFolder]:
        """Return the folders below another one as Graph lists them."""
        return sorted((child for child in parent.children if child.well_known not in HIDDEN), key=lambda child: child.name)

    def folder_by_id(self, given: str) -> ExchangeFolder | None:
        """Return the folder with an id or a well-known name."""
        return self.folders.get(given.lower()) or next((f for f in self._all_folders() if f.id == given), None)

    def all_messages(self) -> list[ExchangeMessage]:
        """Return the messages of all folders."""
        return [message for folder in self._all_folders() for message in folder.messages.values()]

    def _all_folders(self) -> Iterable[ExchangeFolder]:
        waiting = [self.folders[ROOT]]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += folder.children

    def _enter(self, message: ExchangeMessage, folder: ExchangeFolder) -> None:
        message.folder = folder
        self._messages[message.item_id] = message
        folder.messages[message.immutable_id] = message
        self._record("created", message)

    def _leave(self, message: ExchangeMessage) -> None:
        del message.folder.messages[message.immutable_id]
        self._record("deleted", message)

    def _record(self, kind: Literal["created", "updated", "deleted"], message: ExchangeMessage) -> None:
        self.last_change = next(self._changes)
        message.folder.changes.append(FolderChange(self.last_change, kind, message, message.item_id))

    def _child(self, parent: ExchangeFolder, name: str) -> ExchangeFolder:
        return next((child for child in parent.children if child.name == name), None) or self._new_folder(name, parent)

    def _new_folder(self, name: str, parent: ExchangeFolder | None, well_known: str = "") -> ExchangeFolder:
        folder = ExchangeFolder(id=item_id(), name=name, parent=parent, well_known=well_known)
        if parent is not None:
            parent.children.append(folder)
        if well_known:
            self.folders[well_known] = folder
        return folder
