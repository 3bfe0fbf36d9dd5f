"""How Graph behaves where it has choices or sometimes fails: what tests set on ``Graph.knobs`` holds from then on, live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Knobs"]


@dataclass(slots=True, kw_only=True)
class Knobs:
    """All is as on a good day, unless it is set."""

    #: Seconds before each answer.
    delay: float = 0.0
    #: So many pages of delta queries come empty, each with a link to the same page.
    empty_pages: int = 0
    #: So many pages of delta queries come once more behind the link that leads on.
    replayed_pages: int = 0
    #: Links lead to another host, which logs who comes.
    foreign_links: bool = False
    #: With immutable ids, a message that left a folder and came back between two rounds is told as removed, and never as there.
    loses_moved_back: bool = True
    #: What ``$value`` has: the bytes that were delivered; others, always the same; or others at each read.
    mime: Literal["same", "anew", "anew each time"] = "same"
    #: Message-IDs of sent mail are replaced.
    replaces_message_id: bool = False
    #: Message-IDs of drafts that are made of MIME are replaced at once.
    replaces_message_id_of_drafts: bool = False
    #: A second ``/send`` of a message delivers it a second time. Otherwise it is answered with 404.
    sends_twice: bool = False
    #: Seconds until the copy of a sent message is in Sent Items; until then it is nowhere. See also ``Graph.place_late_copies``.
    sent_copy_after: float = 0.0
    #: A From that the mailbox may not send as is refused. Otherwise it is replaced by the mailbox's own.
    refuses_send_as: bool = False
