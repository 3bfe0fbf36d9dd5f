"""The values of an Exchange mailbox: messages, folders, the log of changes that delta queries read, and the ids of all."""

from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from gatewayd.testing.graph.exchange_mime import attached, header_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatewayd.testing.graph.exchange_mime import ExchangeAttachment

__all__ = ["ExchangeFolder", "ExchangeMessage", "FolderChange", "immutable_id", "item_id"]

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
    #: How many items it has that are no messages: its ``totalItemCount`` has them, and no listing.
    other_items: int = 0


class FolderChange(NamedTuple):
    """What happened to a message in a folder."""

    number: int
    kind: Literal["created", "updated", "deleted"]
    message: ExchangeMessage
    #: The message's changing id while it was there.
    item_id: str


def immutable_id() -> str:
    """Return a new immutable id."""
    return f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{_distinct(_immutable_numbers)}"


def item_id() -> str:
    """Return a new id of an item that changes when the item is moved, or of a folder."""
    return f"AAMkAGI1NzQ0ZGM5LTdjYjYtNDdkOC1iNDgwLTRjYTU3MjE3ZDc5MABGAAAAAAD{_distinct(_item_numbers)}"


def _distinct(numbers: Iterator[int]) -> str:
    """Return the end of an id. Each second one differs from the one before by the case of a letter alone: ids have case."""
    half, odd = divmod(next(numbers), 2)
    digest = hashlib.sha256(half.to_bytes(8, "big")).digest()[:24]
    return f"{base64.urlsafe_b64encode(digest).decode()}{'aA'[odd]}AA="
