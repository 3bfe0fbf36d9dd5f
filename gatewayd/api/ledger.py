"""The frozen values that go between a visit and the store: leases, ledger entries, and what became of each key of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.renamed_fields import HasHolder, HasUser

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.api.copies import Recognised
    from gatewayd.api.delivery import Bounce, Delivery
    from gatewayd.api.values import Action, Follows, Link, Listed, Rivals
    from gatewayd.api.verdicts import Provisional
    from gatewayd.message.mail import Mail

__all__ = [
    "AGAIN",
    "Anchor",
    "Entry",
    "Filed",
    "Filing",
    "FilingFault",
    "FolderState",
    "Held",
    "Known",
    "Lease",
    "NotAdmitted",
    "Outcome",
    "Owed",
    "Retry",
    "State",
    "Vanished",
    "Waiting",
]

#: The states of a key in the ledger.
State: TypeAlias = Literal["offered", "dismissed", "waiting", "filed", "duplicate", "not admitted", "vanished"]


# --- leases -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(HasHolder):
    """The right to work on an account. Every write of a visit is fenced by it."""

    account: str
    #: Who holds it: the name of a process.
    holder: str
    #: Grows with every change of holder, so that a late write of an earlier holder is refused.
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(HasHolder):
    """Somebody else holds the account's lease."""

    account: str
    holder: str
    #: When the lease ends if it is not renewed.
    until: datetime


# --- the ledger -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderState:
    """How far a folder was listed."""

    cursor: str
    #: Backlog that arrived before this is offered, not waiting; None takes all.
    start_at: datetime | None
    #: When a listing began that came to its end and proved that nothing is missing; None where none did yet.
    checked_at: datetime | None = None
    #: When the whole folder was last compared with the ledger.
    compared_at: datetime | None = None
    #: What contradicts the ledger and is not cleared up yet: the whole folder is to be compared, and nothing is settled until then.
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger has under a key."""

    state: State
    #: With the size and the arrival that the server gave.
    listed: Listed
    backlog: bool = False
    #: A listing showed that the server no longer has it.
    gone: bool = False
    #: An action is owed to it.
    owes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A new key for the ledger."""

    listed: Listed
    state: Literal["waiting", "offered"] = "waiting"
    backlog: bool = False
    #: Why it is in this state, where there is something to say.
    cause: str = ""
    #: Id of the entry, gone under its old key, that is the same message: this key takes over its final state.
    same_as: int | None = None
    #: Id of the entry, gone under its old key, that may be the same message, grown: once this key is fetched, its bytes tell.
    like: int | None = None
    #: Why this is another message than the one that the ledger has under the same key, such as "148 bytes, 128 in the ledger".
    #: The old entry gives up its key then. Empty where nothing contradicts.
    contradiction: str = ""
    #: How often other bytes came under this key than were filed before.
    others: int = 0
    #: Its transport's keys span folders, and the ledger has the message under this key: in another folder, or in this one, gone.
    #: It takes over what became of it, with what is owed, and is gone where it was.
    by_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What a ledger entry that is gone under its key can be recognised by."""

    entry_id: int
    #: Digest of Message-ID, Date, From and Subject, see ``mail.anchor``.
    anchor: str
    arrival: datetime | None
    size: int | None = None
    #: When it was found gone; None where it stood until now.
    gone_at: datetime | None = None
    #: An action is owed to it.
    owes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A key that waits to be fetched. Its entry's id becomes the id of the mail."""

    entry_id: int
    listed: Listed
    backlog: bool
    tries: int
    #: The operators for which a person admitted it; None where it was never refused.
    readmitted: tuple[str, ...] | None = None
    #: The operators that chose it, for which alone it is filed; None where it was not chosen.
    chosen: tuple[str, ...] | None = None
    #: How often other bytes came under this key than were filed before.
    others: int = 0
    #: The mail that was filed under this key before, until it was listed with another size or arrival.
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A filed key whose account wants something done on the server that is not done yet."""

    entry_id: int
    folder: str
    #: As it was when its message was filed.
    listed: Listed
    action: Action
    #: The length of the bytes that were filed.
    size: int
    #: See ``Anchor``; empty without such headers.
    anchor: str = ""
    #: The Message-ID of the mail that was filed; empty if it has none.
    message_id: str = ""
    #: How often other bytes came under this key than were filed before.
    others: int = 0

    @property
    def key(self) -> str:
        """The key of its message."""
        return self.listed.key


# --- what became of a batch -------------------------------------------------------------------------------------------


#: How the text of a fault ends that needs nobody.
AGAIN = "this is matched again by itself"


@dataclass(frozen=True)
class FilingFault:
    """What went wrong for one filing; it stands in the error queue until a person or a retry clears it."""

    #: A matcher's kind, ``directory``, ``parser`` or ``config``.
    by: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing(HasUser):
    """One mail, filed for one operator."""

    operator: str
    #: The user whose personal mail it is; None for general mail.
    user: str | None
    #: (by whom, what)
    links: tuple[tuple[str, Link], ...] = ()
    rivals: tuple[tuple[str, Rivals], ...] = ()
    faults: tuple[FilingFault, ...] = ()
    #: (by whom, what): only Message-IDs that are proven to be ours.
    follows: tuple[tuple[str, Follows], ...] = ()
    #: What its operator's rules send on.
    deliveries: tuple[Delivery, ...] = ()
    #: The error queue that its faults stand in.
    queue: str = ""

    @property
    def is_put_off(self) -> bool:
        """Whether no time was left for some matcher: it is matched again by itself."""
        return any(fault.error.endswith(AGAIN) for fault in self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A key's mail with its filings. The store makes it a ``duplicate`` where the account has the same bytes already."""

    entry_id: int
    mail: Mail
    digest: bytes
    filings: tuple[Filing, ...]
    #: What the account wants done on the server.
    owed: Action | None = None
    #: Its bytes are not of the size that the server lists: so many seconds later they must come once more, and until then nothing
    #: is owed. None where they are.
    reread_after: float | None = None
    #: The mail that it is the same as, but for fields that servers write into headers; None where there is no such.
    grown_from: int | None = None
    #: The size that the server lists by now, where that is another than before; None where it is not.
    listed_size: int | None = None
    #: The key, and whether it is backlog, for whoever is told of it.
    key: str = ""
    backlog: bool = False
    #: The bounce of a delivery of ours that it is.
    bounce: Bounce | None = None
    #: Verdicts of operators that are given again, on their filings or on whether they admit it.
    provisional: tuple[Provisional, ...] = ()
    #: Operators that don't admit it, or can't decide yet, and the From addresses in lower case, by which they judge it again.
    refused_by: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdmitted:
    """No operator admits the mail; its raw bytes are not kept."""

    entry_id: int
    anchor: str
    cause: str
    #: The From addresses in lower case, by which it is judged again.
    senders: tuple[str, ...] = ()
    #: The verdict is provisional, since then: see ``Provisional``.
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished:
    """The server no longer has it."""

    entry_id: int
    cause: str
    #: It was not admitted before, and stays so.
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """It could not be had or decided this time: it keeps waiting, with one more try counted."""

    entry_id: int
    cause: str
    #: Seconds until it is due again.
    retry_after: float
    #: The From addresses in lower case, where it is its admission that could not be decided.
    senders: tuple[str, ...] | None = None
    #: A directory is at fault, since then: a good load that begins later may decide it at once.
    since: datetime | None = None


#: What became of one waiting key.
Outcome: TypeAlias = "Filed | Recognised | NotAdmitted | Vanished | Retry"
