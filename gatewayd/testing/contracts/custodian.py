"""Do in a store what visits do, in one call each; and make the raw mail, filings and deliveries that tests file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from gatewayd import Delivery, Entry, Filed, Filing, Held, Lease, Link, Listed, Listing, Offer, Rivals, Summary, Viewer
from gatewayd.message.mail import BytesSource, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd import Action, Decision, FilingFault, FolderState, Named, Outcome, Record, State, Store, Tally, Waiting

__all__ = [
    "ACME",
    "GLOBETROT",
    "IRINA",
    "NOON",
    "Custodian",
    "make_delivery",
    "make_filing",
    "make_listing",
    "make_raw",
    "nobody_is_dead",
    "rename",
]

ACME, GLOBETROT = Viewer(operator="acme"), Viewer(operator="globetrot")
#: Somebody of ``acme`` who sees the personal mail of two users.
IRINA = Viewer(operator="acme", users=("irina", "bob"))
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def nobody_is_dead(_holder: str) -> bool:
    """Return False: for ``dead`` of a store's methods, where all processes live."""
    return False


def rename(store: Store, old: str, new: str, kind: Named = "account", *, dead: Callable[[str], bool] = nobody_is_dead) -> int:
    """Rename an account, operator or user; return how many mails or filings it has."""
    return store.finish_rename(store.intend_rename(kind, old, new, who="anna"), dead=dead)


def make_listing(*keys: str | Listed, exists: int | None = None, doubts: Sequence[str] = ()) -> Listing:
    """Return a server's listing; a bare key has neither size nor arrival."""
    listed = tuple(Listed(key) if isinstance(key, str) else key for key in keys)
    return Listing(keys=listed, exists=exists, doubts=tuple(doubts))


def make_raw(number: int = 1, *, subject: str = "Booking", sender: str = "anna@example.com", text: str = "Hello") -> bytes:
    """Return the raw bytes of a small message; another number, other bytes and another Message-ID."""
    return _unnumbered(subject, sender, text).replace(b"<NUMBER@", b"<%d@" % number)


@lru_cache
def _unnumbered(subject: str, sender: str, text: str) -> bytes:
    """Build the message once for all numbers: the standard library takes milliseconds for it, and tests need thousands."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = "reservations@example.com"
    message["Subject"] = subject
    message["Message-ID"] = "<NUMBER@example.com>"
    message["Date"] = "Sun, 22 Nov 2026 09:00:00 +0100"
    message.set_content(text)
    return message.as_bytes()


def make_filing(
    operator: str = "acme",
    *,
    user: str | None = None,
    links: Sequence[Record] = (),
    rivals: Sequence[Record] = (),
    faults: Sequence[FilingFault] = (),
    queue: str = "desk",
) -> Filing:
    """Return a filing with links of the matcher ``contacts`` and rivals of ``reservations``."""
    return Filing(
        operator=operator,
        user=user,
        links=tuple(("contacts", Link(0, record, f"because of {record.id}")) for record in links),
        rivals=(("reservations", Rivals(0, tuple(rivals), "several fit")),) if rivals else (),
        faults=tuple(faults),
        queue=queue,
    )


def make_delivery(
    number: int = 1, *to: str, target: str = "", account: str = "out", cause: str = "person:anna", withheld: str = ""
) -> Delivery:
    """Return a delivery; another number, another Message-ID."""
    message_id = f"<gw.f.{number}@example.com>"
    to = to or ("duty@example.com",)
    return Delivery(forwarder="smtp", account=account, target=target, to=to, cause=cause, message_id=message_id, withheld=withheld)


@dataclass(frozen=True, slots=True)
class Custodian:
    """Works on one account of a store, as the holder of its lease."""

    store: Store
    lease: Lease

    @classmethod
    def of(cls, store: Store, account: str = "shared", *, holder: str = "one") -> Custodian:
        """Take the account's lease, which must be free."""
        lease = store.take_lease(account, holder, dead=nobody_is_dead)
        assert not isinstance(lease, Held), lease
        return cls(store, lease)

    def enter(self, *keys: str | Entry, folder: str = "INBOX", standing: Sequence[str] | None = None, cursor: str = "c") -> int:
        """Enter keys into the ledger; a bare key is a new one that waits."""
        entries = [Entry(listed=Listed(key)) if isinstance(key, str) else key for key in keys]
        return self.store.enter(
            self.lease, folder, entries, cursor=cursor, start_at=None, standing=None if standing is None else set(standing)
        )

    def offer(self, key: str, *, user: str | None = None, operators: Sequence[str] = ("acme",)) -> int:
        """Enter a key that is offered to these operators, and return its id."""
        self.enter(Entry(listed=Listed(key), state="offered"))
        ids = {one: entry_id for entry_id, one in self.store.undescribed(self.lease.account, "INBOX", limit=1000)}
        decisions: dict[str, Decision] = dict.fromkeys(operators, "offered")
        summary = Summary(key=key, subject=key)
        self.store.describe(self.lease, [Offer(entry_id=ids[key], summary=summary, user=user, decisions=decisions)])
        return ids[key]

    def folder_state(self, folder: str = "INBOX") -> FolderState:
        """Return how far a folder was listed; it was."""
        state = self.store.folder(self.lease.account, folder)
        assert state is not None
        return state

    def states(self, *keys: str, folder: str = "INBOX") -> Mapping[str, State]:
        """Return the states of keys; by default, of the keys 1 to 99."""
        known = self.store.known(self.lease.account, folder, keys or [str(number) for number in range(1, 100)])
        return {key: was.state for key, was in known.items()}

    def waiting(self, folder: str = "INBOX") -> Sequence[Waiting]:
        """Return the keys of a folder that wait and are due."""
        return self.store.waiting(self.lease.account, folder, after=0, limit=1000)

    def entry(self, key: str, folder: str = "INBOX") -> int:
        """Return the id of a key that waits, due or not."""
        return self.store.waiting(self.lease.account, folder, after=0, limit=1, keys=[key])[0].entry_id

    def outcome(self, key: str, raw: bytes, *filings: Filing, folder: str = "INBOX", owed: Action | None = None) -> Filed:
        """Return the outcome of a waiting key whose message is ``raw``; by default it is filed for ``acme``."""
        entry_id = self.entry(key, folder)
        mail = parse(BytesSource(raw), mail_id=entry_id)
        digest = sha256(raw).digest()
        return Filed(entry_id=entry_id, mail=mail, digest=digest, filings=filings or (make_filing(),), owed=owed)

    def commit(self, *outcomes: Outcome) -> Tally:
        """File a batch."""
        return self.store.file(self.lease, outcomes).tally

    def file(self, key: str, raw: bytes, *filings: Filing, folder: str = "INBOX", owed: Action | None = None) -> int:
        """Enter a key, file it, and return the id of its entry."""
        self.enter(key, folder=folder)
        outcome = self.outcome(key, raw, *filings, folder=folder, owed=owed)
        self.commit(outcome)
        return outcome.entry_id
