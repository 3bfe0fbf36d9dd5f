"""Exchange mailboxes as tests set them up and look at them: folders, messages, and the log of changes that delta queries read."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from gatewayd.testing.graph.exchange_mime import attached, header_value
from gatewayd.testing.graph.folder_names import HIDDEN, ROOT, display_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import RLock

    from gatewayd.testing.graph.exchange_mime import ExchangeAttachment

__all__ = ["ExchangeFolder", "ExchangeMailbox", "ExchangeMessage", "FolderChange"]

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_immutable_numbers, _item_numbers = itertools.count(), itertools.count()


@dataclass(slots=True, kw_only=True, eq=False)
class ExchangeMessage:
    """One message of a mailbox. Read it; what clients shall see is changed by methods of its mailbox."""

    #: Its id where the client prefers immutable ids; it stays the same in all folders of the mailbox.
    immutable_id: str
    #: Its id otherwise; another one after each move.
    item_id: str
    folder: ExchangeFolder
    #: As it was delivered or made, without ``attachments``.
    mime: bytes
    received: datetime
    is_read: bool = False
    is_draft: bool = False
    #: Files that were added to a draft.
    attachments: list[ExchangeAttachment] = field(default_factory=list)
    #: Extended properties that a client set: values by ids such as ``String {GUID} Name x``.
    properties: dict[str, str] = field(default_factory=dict)
    categories: list[str] = field(default_factory=list)
    #: Headers of ours that Exchange keeps when it sends, in lower case: a client gave them by JSON.
    kept_headers: set[str] = field(default_factory=set)
    #: Its ``$value`` is answered with 500.
    corrupt_value: bool = False
    #: A page of several messages that has it is answered with 500.
    corrupt_page: bool = False
    #: How often it was changed.
    version: int = 0

    @property
    def internet_message_id(self) -> str:
        """Its Message-ID; empty if it has none."""
        return header_value(self.mime, "Message-ID")

    @property
    def content(self) -> bytes:
        """Its MIME with all attachments."""
        return attached(self.mime, self.attachments)

    def has_id(self, given: str) -> bool:
        """Whether it is meant by an id of either kind. Ids are case-sensitive."""
        return given in {self.immutable_id, self.item_id}


@dataclass(slots=True, kw_only=True, eq=False)
class ExchangeFolder:
    """One folder of a mailbox."""

    id: str
    #: The name that people see, in the language of the mailbox.
    name: str
    #: The name by which it is found in any language; empty for folders that people made.
    well_known: str = ""
    parent: ExchangeFolder | None
    children: list[ExchangeFolder] = field(default_factory=list)
    #: By immutable id, in the order in which they came.
    messages: dict[str, ExchangeMessage] = field(default_factory=dict)
    changes: list[FolderChange] = field(default_factory=list)


class FolderChange(NamedTuple):
    """What happened to a message in a folder."""

    number: int
    kind: Literal["created", "updated", "deleted"]
    message: ExchangeMessage
    #: The message's changing id while it was there.
    item_id: str


class ExchangeMailbox:
    """One mailbox. All methods may be called while clients are connected."""

    def __init__(self, address: str, tenant: str, lock: RLock, *, language: str = "en") -> None:
        self.address = address
        self.tenant = tenant
        #: The User Object ID.
        self.id = str(uuid.uuid4())
        #: Whether it has a licence, and lies in Exchange Online.
        self.is_licensed = True
        #: The addresses beside its own that mail may be sent as.
        self.send_as: set[str] = set()
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
        #: Sent copies that are not in Sent Items yet, each with its time on the monotonic clock.
        self.late_copies: deque[tuple[float, ExchangeMessage]] = deque()
        for known, name in display_names(language).items():
            self._new_folder(name, self.folders.get(ROOT), known)

    # --- for tests ------------------------------------------------------------------------------------------------

    def folder(self, path: str) -> ExchangeFolder:
        """Return the folder of a path such as ``inbox/Invoices``, which is made as needed. It begins with any name of a folder."""
        with self.lock:
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
        """Let a person delete it for good, so that nobody can restore it."""
        with self.lock:
            self._leave(message)
            del self._messages[message.immutable_id], self._messages[message.item_id]

    # --- for the endpoints ----------------------------------------------------------------------------------------

    def find(self, given: str) -> ExchangeMessage | None:
        """Return the message with an id of either kind; None if there is none now."""
        self.place_late_copies()
        return self._messages.get(given)

    def new_message(
        self, mime: bytes, folder: ExchangeFolder, *, received: datetime | None = None, is_draft: bool = False
    ) -> ExchangeMessage:
        """Add a message to a folder."""
        message = ExchangeMessage(
            immutable_id=_immutable_id(),
            item_id=_item_id(),
            folder=folder,
            mime=mime,
            received=(received or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0),
            is_draft=is_draft,
            is_read=is_draft,
        )
        self._messages[message.immutable_id] = message
        self._enter(message, folder)
        return message

    def changed(self, message: ExchangeMessage) -> None:
        """Record that a message has changed."""
        message.version += 1
        self._record("updated", message)

    def move_to(self, message: ExchangeMessage, folder: ExchangeFolder) -> None:
        """Move a message; its changing id becomes another one."""
        self._leave(message)
        del self._messages[message.item_id]
        message.item_id = _item_id()
        message.version += 1
        self._enter(message, folder)

    def withdraw(self, message: ExchangeMessage) -> None:
        """Take a message out, for ``late_copies``: it comes back in Sent Items."""
        self._leave(message)
        del self._messages[message.immutable_id], self._messages[message.item_id]

    def place_late_copies(self, *, all_of_them: bool = False) -> None:
        """Put the sent copies whose time has come into Sent Items."""
        while self.late_copies and (all_of_them or self.late_copies[0][0] <= time.monotonic()):
            _, message = self.late_copies.popleft()
            self._messages[message.immutable_id] = message
            message.item_id = _item_id()
            self._enter(message, self.folders["sentitems"])

    def listed_folders(self, parent: ExchangeFolder) -> list[ExchangeFolder]:
        """Return the folders below another one as Graph lists them."""
        return sorted((child for child in parent.children if child.well_known not in HIDDEN), key=lambda child: child.name)

    def folder_by_id(self, given: str) -> ExchangeFolder | None:
        """Return the folder with an id or a well-known name."""
        self.place_late_copies()
        return self.folders.get(given.lower()) or next((f for f in self._all_folders() if f.id == given), None)

    def all_messages(self) -> list[ExchangeMessage]:
        """Return the messages of all folders."""
        self.place_late_copies()
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
        folder = ExchangeFolder(id=_item_id(), name=name, parent=parent, well_known=well_known)
        if parent is not None:
            parent.children.append(folder)
        if well_known:
            self.folders[well_known] = folder
        return folder


def is_object_id(text: str) -> bool:
    """Whether a text has the form of an object id, and not of an address."""
    return _GUID.fullmatch(text) is not None


def _immutable_id() -> str:
    return f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{_distinct(_immutable_numbers)}"


def _item_id() -> str:
    return f"AAMkAGI1NzQ0ZGM5LTdjYjYtNDdkOC1iNDgwLTRjYTU3MjE3ZDc5MABGAAAAAAD{_distinct(_item_numbers)}"


def _distinct(numbers: Iterator[int]) -> str:
    """Return the end of an id. Each second one differs from the one before by the case of a letter alone: ids have case."""
    half, odd = divmod(next(numbers), 2)
    digest = hashlib.sha256(half.to_bytes(8, "big")).digest()[:24]
    return f"{base64.urlsafe_b64encode(digest).decode()}{'aA'[odd]}AA="
