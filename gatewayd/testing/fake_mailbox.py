"""What a fake transport's server has: folders of numbered messages, listed in pages, and the steps that it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd import Listed, Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatewayd import Action

__all__ = ["Asked", "Folder", "Message", "Step"]

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
class Message:
    """One message."""

    number: int
    raw: bytes
    listed_size: int | None
    arrival: datetime | None
    seen: bool = False
    #: Why it can't be had; empty where it can.
    fails: str = ""


@dataclass(slots=True)
class Folder:
    """One folder. It may be read while another thread changes it."""

    generation: int = 1
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    messages: list[Message] = field(default_factory=list)

    def key(self, message: Message) -> str:
        """Return the key of a message."""
        return f"{self.generation}:{message.number}"

    def keyed(self) -> dict[str, Message]:
        """Return what is there now, by key, oldest first."""
        return {self.key(message): message for message in list(self.messages)}

    def whole(self, cursor: str | None) -> Iterator[Page]:
        """Yield all of it as one page, as POP3 does."""
        keys = tuple(Listed(key, one.listed_size, one.arrival) for key, one in self.keyed().items())
        yield Page(keys=keys, cursor="whole", backlog=cursor is None, others_gone=True)

    def pages(self, cursor: str | None, size: int) -> Iterator[Page]:
        """Yield what is behind the cursor. Cursors are ``generation last-number backlog-up-to``."""
        words = (cursor or "").split(" ")
        generation, last, backlog = map(int, words) if len(words) == 3 and all(map(str.isdigit, words)) else (0, 0, 0)  # noqa: PLR2004
        there = list(self.messages)
        renumbered = cursor is not None and generation != self.generation
        if generation != self.generation:
            last = 0
        if cursor is None or renumbered:
            backlog = max((one.number for one in there), default=0)
        behind = [one for one in there if one.number > last]
        starts = range(0, len(behind), size) if behind or last else (0,)
        for start in starts:
            page = behind[start : start + size]
            last = page[-1].number if page else last
            yield Page(
                keys=tuple(Listed(self.key(one), one.listed_size, one.arrival) for one in page),
                cursor=f"{self.generation} {last} {backlog}",
                backlog=last <= backlog,
                others_gone=renumbered and start == 0,
            )

    def edge(self) -> tuple[int, int]:
        """Return what changes when mail comes: the generation and the highest number."""
        return self.generation, max((one.number for one in list(self.messages)), default=0)
