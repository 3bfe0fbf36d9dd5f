"""Queries and their results: who asks for mail, for which, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.renamed_fields import HasUser
from gatewayd.api.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from gatewayd.api.ledger import FilingFault, State
    from gatewayd.api.values import Kind, Listed
    from gatewayd.message.values import Attachment

__all__ = [
    "Audit",
    "DatabaseCheck",
    "EntryView",
    "FilingView",
    "Json",
    "LastFiled",
    "LinkView",
    "Listing",
    "Query",
    "RivalView",
    "Viewer",
    "file_rows",
    "filing_row",
]

#: What a line of JSON is made of.
Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks: no question about mail goes to the store without one."""

    operator: str
    #: The users whose personal filings may be seen besides the operator's general ones, and those that are shared with them.
    users: tuple[str, ...] = ()
    #: What files of personal accounts share with these users: each account with its user. The store knows what owners share.
    shared: tuple[tuple[str, str], ...] = ()
    #: Also what is withheld from users who came back, and is of users who left: for administrators, and for our own work.
    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link as it is shown."""

    kind: Kind
    id: str
    label: str
    #: A matcher's kind, or ``person:<who>`` for a link made by hand.
    by: str
    because: str
    #: Who took it away; empty where it stands.
    removed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalView:
    """One of several records that fit; a person must choose."""

    kind: Kind
    id: str
    label: str
    by: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilingView(HasUser):
    """A filing as it is listed. ``sender`` and ``to`` are bare addresses."""

    id: int
    operator: str
    user: str | None
    account: str
    folder: str
    key: str
    message_id: str
    sender: str
    sender_name: str
    to: tuple[str, ...]
    subject: str
    sent_at: datetime | None
    received_at: datetime
    size: int
    digest: bytes
    direction: Literal["in", "out"]
    unread: bool
    attachments: tuple[Attachment, ...]
    links: tuple[LinkView, ...]
    rivals: tuple[RivalView, ...]
    faults: tuple[FilingFault, ...]
    #: The error queue it stands in; None where it stands in none.
    queue: str | None
    #: Links that a person took away.
    unlinked: tuple[LinkView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFiled:
    """When mail of an account was last filed, and for whom: it says nothing of the mail itself."""

    operator: str
    #: Whose personal mail it is; None where it is the operator's.
    user: str | None
    account: str
    filed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which filings to list, newest first; what is None does not restrict."""

    ids: tuple[int, ...] | None = None
    account: str | None = None
    #: Only of accounts that the viewer follows: one user; for several users, or none, it does not restrict.
    followed: bool = False
    unread: bool | None = None
    linked: bool | None = None
    #: A record's kind, or kind and id, that the filing must be linked to.
    kind: str | None = None
    record: str | None = None
    #: A word that subject, sender or recipients contain, compared without case.
    text: str | None = None
    #: Words that subject, people, text or names of attachments have, as people type them: see ``gatewayd.search_terms``. What the
    #: index does not have yet is not found.
    words: str | None = None
    #: Message-IDs: mail that has one of them or refers to one, see ``gatewayd.thread_term``; with ``words``, it must fit both.
    thread: tuple[str, ...] | None = None
    direction: Literal["in", "out"] | None = None
    #: The address that it is from, compared without case.
    sender: str | None = None
    #: When it was received: at this time or later, and before this one.
    since: datetime | None = None
    until: datetime | None = None
    #: Only mail with files, or only mail without any.
    attachments: bool | None = None
    #: Only what stands in an error queue; ``queue`` names one.
    faulty: bool | None = None
    queue: str | None = None
    #: Only what has a fault of this one: a matcher's kind, ``directory``, ``parser`` or ``config``.
    fault_by: str | None = None
    #: Only ids below this one: the next page.
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """A key of the ledger as it is shown: what became of it, and why."""

    id: int
    folder: str
    key: str
    state: State
    cause: str
    tries: int
    size: int | None
    arrival: datetime | None
    #: The mail that it is, or is a duplicate of.
    mail_id: int | None
    #: The server no longer lists it.
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a server lists of one folder now."""

    #: Their Message-IDs are as ``Mail.message_id`` has them.
    keys: tuple[Listed, ...]
    #: How many messages the server counts in it; None where it does not say.
    exists: int | None = None
    #: See ``Page.doubts``.
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One folder of the ledger against what the server lists, and what is stored of it.

    Keys are shown as the server called them.
    """

    folder: str
    #: How many keys the ledger has, by state.
    states: Mapping[str, int]
    #: How many messages the server listed and counted; None where it did not.
    listed: int | None = None
    exists: int | None = None
    #: What the server says against its own listing, one sentence each.
    doubts: tuple[str, ...] = ()
    #: Keys that the server lists and the ledger lacks.
    unknown: tuple[str, ...] = ()
    #: Keys that the server lists with another size, arrival or Message-ID than is here: they may be other messages.
    changed: tuple[str, ...] = ()
    #: Keys that the server lists and that wait: they are not here yet.
    waiting: tuple[str, ...] = ()
    #: How many keys of the ledger the server no longer lists.
    gone: int = 0
    #: Keys that are filed but whose raw bytes are missing or don't have their digest.
    damaged: tuple[str, ...] = ()
    #: Keys that the server lists and that are filed with bytes of another length than it says.
    unlike: tuple[str, ...] = ()
    #: The SHA-256 of the bytes that are filed under each of these.
    digests: Mapping[str, bytes] = field(default_factory=dict)
    #: Keys of which the same is true, and whose bytes the server has sent once more, the same: its sizes are inexact.
    inexact: tuple[str, ...] = ()
    #: Keys that are gone, and were filed with bytes of another length than the server said: perhaps not those of the message.
    doubtful: tuple[str, ...] = ()
    #: Keys that were known again by their headers after a renumbering, and that have been of another length since: they are here
    #: as they were before.
    grown: tuple[str, ...] = ()
    #: Keys that are filed but whose filing is missing for an operator that it was filed for, or is not what was written.
    unfiled: tuple[str, ...] = ()
    #: Keys that the server lists and that are fetched once more before anything is done to them there: see ``Reread``.
    rereads: tuple[str, ...] = ()
    #: How many filed keys the server lists without a size: no size proves that their bytes are all of the message.
    unsized: int = 0

    @property
    def short(self) -> int:
        """How many messages the server counts and does not list."""
        return 0 if self.exists is None or self.listed is None else max(0, self.exists - self.listed)

    @property
    def proven(self) -> bool:
        """Whether every message that is on the server now is here, whole and filed, or left there on purpose."""
        missing = self.unknown or self.changed or self.waiting
        return not (self.short or self.doubts or missing or self.damaged or self.unlike or self.unfiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCheck:
    """What the database's own check of itself says."""

    #: One sentence for each fault.
    faults: tuple[str, ...] = ()
    #: What could not be checked, and how it could; empty where all was.
    unchecked: str = ""


# --- as lines of JSON --------------------------------------------------------------------------------------------------


def file_rows(files: Iterable[Attachment]) -> list[Json]:
    """Return files of a mail as lines of JSON show them."""
    return [{"name": one.name, "type": one.type, "size": one.size} for one in files]


def filing_row(filing: FilingView) -> dict[str, Json]:
    """Return a filing as `mail list --json` prints it, and as a webhook is sent it."""
    return {
        "id": filing.id,
        "operator": filing.operator,
        "account": filing.account,
        "folder": filing.folder,
        "key": filing.key,
        "message_id": filing.message_id,
        "from": filing.sender,
        "from_name": filing.sender_name,
        "to": list(filing.to),
        "subject": filing.subject,
        "sent_at": moment(filing.sent_at),
        "received_at": moment(filing.received_at),
        "size": filing.size,
        "direction": filing.direction,
        "unread": filing.unread,
        "attachments": file_rows(filing.attachments),
        "links": [
            {"kind": link.kind, "id": link.id, "label": link.label, "by": link.by, "because": link.because} for link in filing.links
        ],
        "rivals": [{"kind": one.kind, "id": one.id, "label": one.label, "because": one.because} for one in filing.rivals],
        "errors": [{"by": fault.by, "error": fault.error} for fault in filing.faults],
        "queue": filing.queue,
    }
