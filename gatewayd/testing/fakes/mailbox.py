"""The mailbox of a fake transport: folders of numbered messages, listed in pages, and a record of the steps asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd import Listed, Page
from gatewayd.testing.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gatewayd import Action

__all__ = ["Asked", "FakeMessage", "Folder", "Step"]

#: What a session does. ``page`` and ``message`` come once for each page listed and each message fetched; ``renew`` and ``end``
#: are a watch's.
Step: TypeAlias = Literal[
    "open",
    "listing",
    "page",
    "look_up",
    "headers",
    "fetch",
    "message",
    "settle",
    "problems",
    "watch",
    "renew",
    "end",
    "abort",
    "close",
]


@dataclass(frozen=True, slots=True)
class Asked:
    """One step that the transport was asked for."""

    step: Step
    folder: str = ""
    keys: tuple[str, ...] = ()
    action: Action | None = None


@dataclass(slots=True, eq=False)
class FakeMessage:
    """One message."""

    number: int
    raw: bytes
    listed_size: int | None
    arrival: datetime | None
    seen: bool = False
    #: Why it can't be had; empty where it can.
    fails: str = ""
    #: What is sent in its place; None: the message itself.
    served: bytes | None = None
    #: What is sent in its place when it is fetched next, and only then; None: nothing.
    momentary: bytes | None = None
    #: Searches and listings leave it out, but it is counted.
    hidden: bool = False
    #: Its key, where that is not made of numbers: a UIDL, or an id that it keeps in every folder.
    uidl: str = ""
    #: The Message-ID that listings give; None: none.
    listed_id: str | None = None
    #: What listings call it in each folder; None: nothing.
    spanning_id: str | None = None
    #: How often it was sent, if its bytes are made anew each time; None where they are not.
    made: int | None = None

    def sent(self) -> bytes:
        """Return what is sent where it is fetched now."""
        if self.made is not None:
            self.made += 1
            return b"X-Made: %d\r\n%b" % (self.made, self.raw)
        once, self.momentary = self.momentary, None
        return next(one for one in (once, self.served, self.raw) if one is not None)


@dataclass(slots=True)
class Folder:
    """One folder. It may be read while another thread changes it."""

    generation: int = 1
    #: What the next message gets, as UIDNEXT says.
    next_number: int = 1
    messages: list[FakeMessage] = field(default_factory=list)

    def number(self) -> int:
        """Return the number of a message that comes now."""
        self.next_number += 1
        return self.next_number - 1

    def key(self, message: FakeMessage) -> str:
        """Return the key of a message."""
        return message.uidl or f"{self.generation}:{message.number}"

    def keyed(self) -> dict[str, FakeMessage]:
        """Return what is there now, by key, oldest first."""
        return {self.key(message): message for message in list(self.messages)}

    def copy(self) -> Folder:
        """Return a backup of it."""
        return replace(self, messages=[replace(one) for one in self.messages])

    def listed(self, messages: Iterable[FakeMessage]) -> tuple[Listed, ...]:
        """Return messages as a listing gives them."""
        there = [one for one in messages if not one.hidden]
        return tuple(Listed(self.key(one), one.listed_size, one.arrival, one.listed_id, one.spanning_id) for one in there)

    def whole(self, cursor: str | None) -> Iterator[Page]:
        """Yield all of it as one page, as POP3 does."""
        there = list(self.messages)
        yield Page(keys=self.listed(there), cursor="whole", backlog=cursor is None, others_gone=True, exists=len(there))

    def pages(self, cursor: str | None, size: int, overlap: int = 0) -> Iterator[Page]:
        """Yield what is behind the cursor, and ``overlap`` messages before it once more, as IMAP does.

        Cursors are ``generation last-number backlog-up-to``.
        """
        numbers = (cursor or "").split(" ")
        generation, last, backlog = map(int, numbers) if len(numbers) == 3 and all(map(str.isdigit, numbers)) else (0, 0, 0)  # noqa: PLR2004
        there = sorted(self.messages, key=lambda one: one.number)
        renumbered = cursor is not None and generation != self.generation
        if generation != self.generation:
            last = 0
        if cursor is None or renumbered:
            backlog = max((one.number for one in there), default=0)
        doubts = (f"UIDNEXT went back from {last + 1} to {self.next_number}",) if last >= self.next_number else ()
        before = [one for one in there if one.number <= last][-overlap:] if overlap else []
        if before or doubts:
            at = f"{self.generation} {last} {backlog}"
            yield Page(keys=self.listed(before), cursor=at, exists=len(there), doubts=doubts)
        behind = [one for one in there if one.number > last]
        starts = range(0, len(behind), size) if behind or last else (0,)
        for start in starts:
            page = behind[start : start + size]
            last = page[-1].number if page else last
            yield Page(
                keys=self.listed(page),
                cursor=f"{self.generation} {last} {backlog}",
                backlog=last <= backlog,
                others_gone=renumbered and start == 0,
                exists=len(there),
            )

    def edge(self) -> tuple[int, int]:
        """Return what changes when mail comes: the generation and the highest number."""
        return self.generation, max((one.number for one in list(self.messages)), default=0)


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Message": "FakeMessage"})
