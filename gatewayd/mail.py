"""Raw bytes to a mail's view. It can't raise, and it is bounded in parts, depth and bytes (promises P4, P5, P8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatewayd.model import Address, Attachment, Part, Source

__all__ = ["BytesSource", "Mail", "anchor", "parse"]


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A message in memory: for tests, and for a file that ``explain`` is given."""

    raw: bytes

    @property
    def size(self) -> int:
        """Length of the message in bytes."""
        return len(self.raw)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer at the end."""
        return self.raw[offset : offset + size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The view of one message. It has an id, carries no raw bytes, and pickles small."""

    #: Id of the mail's ledger entry; 0 for one that is not in the store.
    id: int
    #: Where the raw bytes can be read.
    source: Source
    #: All headers in their order as (name in lower case, decoded value); long ones are cut.
    headers: tuple[tuple[str, str], ...]
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    #: ``<…>`` as it stands, empty where there is none.
    message_id: str
    #: The ids of References and In-Reply-To, oldest first, each once.
    references: tuple[str, ...]
    #: The Date header in UTC; None where there is none that can be read.
    sent_at: datetime | None
    #: When it came to the mailbox, in UTC; None where the server does not say.
    received_at: datetime | None
    attachments: tuple[Attachment, ...]
    #: The parts that make up the readable text; plain where there is any, else html.
    plain: tuple[Part, ...]
    html: tuple[Part, ...]
    #: Digest by which the message is known again under a new key, see ``anchor``; empty where it has no such headers.
    anchor: str
    #: What of the message no parser can bear.
    faults: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The readable text, decoded when asked for; at most 1 MiB is read, and html is taken without its tags."""
        raise NotImplementedError

    def raw(self) -> Iterator[bytes]:
        """Yield the message as the server had it, in pieces of at most 1 MiB."""
        raise NotImplementedError

    def attachment(self, number: int) -> Iterator[bytes]:
        """Yield the decoded bytes of ``attachments[number]``, in pieces of at most 1 MiB; raises IndexError."""
        raise NotImplementedError


def anchor(headers: bytes) -> str:
    """Return the digest of Message-ID, Date, From and Subject of a raw header block; empty where all are missing."""
    raise NotImplementedError


def parse(source: Source, *, mail_id: int = 0, received_at: datetime | None = None) -> Mail:
    """Return the view of a message. Never raises, whatever the bytes are; what it can't bear stands in ``faults``."""
    raise NotImplementedError
