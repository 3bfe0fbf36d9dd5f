"""The frozen values of a message: its source, its parts, containers, attachments and addresses.

Values that often go from process to process have no slots: pickle then handles them without running Python code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

__all__ = ["CHUNK", "Address", "Attachment", "Container", "Part", "Source"]

#: Raw bytes are read, written and stored in pieces of at most this many bytes, so that no large message is in memory as a whole.
CHUNK = 1 << 20


class Source(Protocol):
    """The place where the raw bytes of one message can be read: a spool, the store, a file. It pickles small."""

    @property
    def size(self) -> int:
        """Length of the message in bytes."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on; fewer only at the end of the message."""


class Container(NamedTuple):
    """A part that contains other parts in a format that is not MIME, such as TNEF."""

    kind: Literal["signed", "compressed", "tnef", "rtf", "text"]
    #: Its offset in the raw bytes, or in the contents of the container around it.
    offset: int
    length: int
    #: Its Content-Transfer-Encoding.
    encoding: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """The position of one leaf of the MIME tree in the raw bytes, and its encoding (RFC 2045)."""

    #: Offset of the part's first content byte, and the content's length, both in bytes.
    offset: int
    length: int
    #: Content-Type in lower case without parameters, such as ``text/plain``.
    type: str
    #: Content-Transfer-Encoding in lower case; ``7bit`` if there is none.
    encoding: str
    #: The charset that the part names, in lower case; empty if it names none.
    charset: str
    #: The containers around it, the outermost first; ``offset`` counts in the contents of the innermost one.
    within: tuple[Container, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """One attachment of a mail; its bytes are read by ``mail.attachment(n)``."""

    #: The file name as text for people. It comes from the mail: never use it as a path.
    name: str
    #: Content-Type in lower case without parameters.
    type: str
    #: Size in bytes after decoding.
    size: int
    part: Part
    #: The Content-ID by which html refers to it (RFC 2392), without brackets; empty if it has none, or comes from the store.
    content_id: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class Address:
    """One mail address (RFC 5322 section 3.4)."""

    #: The decoded display name; may be empty.
    name: str
    #: ``local@domain`` as the mail has it.
    email: str

    @property
    def key(self) -> str:
        """``email`` in lower case: directories are asked for it.

        To compare two addresses whose domain may be in A-labels or U-labels, use ``compared(email)``.
        """
        return self.email.lower()

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email
