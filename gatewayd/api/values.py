"""Values that all rooms and plugins share: records, links, keys and pages of a listing, fetched messages, actions.

They hold data and no behaviour that does I/O.

Values that go from process to process in great numbers have no slots: pickle then handles them without a line of Python.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gatewayd.message.values import Source

__all__ = [
    "KINDS",
    "Action",
    "Came",
    "Contact",
    "Failed",
    "Fetched",
    "Finding",
    "Follows",
    "Gone",
    "Kind",
    "Link",
    "Listed",
    "Miss",
    "Page",
    "Record",
    "Rivals",
    "decide",
]

#: What a record of an operator's directory can be.
Kind: TypeAlias = Literal["person", "customer", "supplier", "reservation", "quote", "invoice", "product"]
KINDS: tuple[Kind, ...] = ("person", "customer", "supplier", "reservation", "quote", "invoice", "product")


# --- an operator's directory and what a matcher says ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Record:
    """One entry of an operator's directory."""

    kind: Kind
    #: The operator's own id of it, unique within the kind.
    id: str
    #: What a person recognises it by: a name, a booking code with its title.
    label: str
    #: All further columns as (name, value), so that records stay hashable and pickle small.
    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return the value of the field ``name``, an empty string where the record has none."""
        return next((value for key, value in self.fields if key == name), "")


_NOT_GIVEN: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Contact:
    """One way to reach a customer or supplier, as the directory keeps it."""

    #: The customer or supplier whose contact this is.
    record: Record
    #: EMAIL, PHONE, …; always in upper case.
    type: str
    value: str
    #: The operator's own word for the contact's role, such as ``sales``; may be empty.
    contact_type: str

    def __init__(
        self,
        *,
        type: str,  # noqa: A002  the column's name
        value: str,
        contact_type: str,
        record: Record = _NOT_GIVEN,
        owner: Record = _NOT_GIVEN,
    ) -> None:
        """``owner`` is the old name of ``record``; it works for one release, and warns."""
        if owner is not _NOT_GIVEN:
            warnings.warn("Contact(owner=...) is called record now", DeprecationWarning, stacklevel=2)
        given = record if owner is _NOT_GIVEN else owner
        if given is _NOT_GIVEN:
            raise TypeError("Contact.__init__() missing 1 required keyword-only argument: 'record'")
        for name, one in (("record", given), ("type", type), ("value", value), ("contact_type", contact_type)):
            object.__setattr__(self, name, one)

    @property
    def owner(self) -> Record:
        """The old name of ``record``; it works for one release, and warns."""
        warnings.warn("Contact.owner is called record now", DeprecationWarning, stacklevel=2)
        return self.record


@dataclass(frozen=True)
class Link:
    """The mail ``mail_id`` is about ``record``."""

    mail_id: int
    record: Record
    because: str


@dataclass(frozen=True)
class Rivals:
    """The mail ``mail_id`` is about one of ``records``, and a person must choose which."""

    mail_id: int
    records: tuple[Record, ...]
    because: str


@dataclass(frozen=True)
class Miss:
    """The matcher found nothing for the mail ``mail_id``, and says why. Shown by ``explain``, kept nowhere."""

    mail_id: int
    because: str


@dataclass(frozen=True)
class Follows:
    """The mail ``mail_id`` answers a mail that we sent, and inherits its links. A Message-ID that is not ours links nothing."""

    mail_id: int
    #: As it stands in the mail, with its brackets.
    message_id: str
    because: str


#: What a matcher may yield.
Finding: TypeAlias = Link | Rivals | Miss | Follows


def decide(mail_id: int, records: Iterable[Record], *, because: str) -> Finding:
    """Return a ``Link`` for exactly one record, ``Rivals`` for several, a ``Miss`` for none.

    Records that are equal in kind and id count once.

    >>> decide(7, [Record(kind="product", id="1", label="Rome")], because="its name").record.id
    '1'
    """
    found = {(record.kind, record.id): record for record in records}
    if not found:
        return Miss(mail_id, because)
    if len(found) == 1:
        return Link(mail_id, next(iter(found.values())), because)
    return Rivals(mail_id, tuple(found.values()), because)


# --- what a session of a transport says -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """One key that a server listed."""

    #: Stable and unique in its folder: ``uidvalidity:uid``, a UIDL, an immutable id.
    key: str
    #: Size in bytes as the server says, None where it does not say.
    size: int | None = None
    #: When the message came to the mailbox, aware; None where the server does not say.
    arrival: datetime | None = None
    #: The value of the message's Message-ID header; None where the server does not say. For messages without a size.
    message_id: str | None = None
    #: What the server calls the message in each folder that shows it, where keys name it in one folder only: X-GM-MSGID of Gmail.
    #: None where the server does not say.
    spanning_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a folder's listing. Its keys and its cursor are committed together."""

    keys: tuple[Listed, ...]
    #: By which the listing goes on behind this page; opaque to everybody but the transport.
    cursor: str
    #: These keys come from a listing that began at the folder's beginning: they are backlog.
    backlog: bool = False
    #: Every key of the folder that was entered before and is not on this page is gone: the server
    #: renumbered the folder, or this page is the whole folder.
    others_gone: bool = False
    #: How many messages the server counts in the folder (EXISTS of IMAP, STAT of POP3); None where it does not say.
    exists: int | None = None
    #: Contradictions between what the server says here and what it said before or says elsewhere, one sentence each, such as
    #: "UIDNEXT went back from 9 to 6". The whole folder is then compared with the ledger, and nothing is settled meanwhile.
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A message was fetched whole into the spool."""

    key: str
    source: Source
    #: SHA-256 of the raw bytes.
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The server no longer has the message."""

    key: str
    cause: str = "gone from the server before it was fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The message could not be had this time; it waits and is tried again."""

    key: str
    cause: str


#: What ``Session.fetch`` yields, one for each key that it was asked for.
Fetched: TypeAlias = Came | Gone | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What is done to a message on the server once it is filed."""

    do: Literal["seen", "move", "delete"]
    #: For ``move``: the folder to move to.
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.do} {self.folder}" if self.folder else self.do

    @classmethod
    def parse(cls, text: str) -> Action:
        """Return the action that ``str(action)`` gave ``text`` for."""
        do, _, folder = text.partition(" ")
        if do == "move":
            return cls(do="move", folder=folder)
        return cls(do="delete" if do == "delete" else "seen")
