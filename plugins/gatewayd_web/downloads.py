"""Write into an address what a person chose, so that its page can be opened again: which entries of which account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FollowedDownload", "ids_of", "text_of"]

#: Ids that one text stands for at most, and the digits of one.
_MOST, _DIGITS = 5000, 18


def text_of(ids: Sequence[int]) -> str:
    """Return ids as a text such as ``5-9.11``: those that follow each other are one span."""
    spans: list[list[int]] = []
    for one in sorted(set(ids)):
        if spans and spans[-1][1] == one - 1:
            spans[-1][1] = one
        else:
            spans.append([one, one])
    return ".".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def ids_of(text: str) -> tuple[int, ...]:
    """Return the ids of such a text; of one that is none, or stands for more than thousands, what was understood by then."""
    found: list[int] = []
    for first, last in _spans(text):
        if last < first or last - first >= _MOST - len(found):
            break
        found.extend(range(first, last + 1))
    return tuple(found)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for span in text.split("."):
        first, _, last = span.partition("-")
        if not (_is_number(first) and _is_number(last or first)):
            return
        yield int(first), int(last or first)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedDownload:
    """What was chosen of one account at once."""

    account: str
    #: The request by which it can be followed.
    request_id: int
    count: int
    #: The least and the largest id of it.
    oldest: int
    newest: int
    #: All of it; empty where that is too long for an address.
    ids: tuple[int, ...] = ()

    def text(self, room: int) -> str:
        """Return it as a text of about ``room`` characters at most."""
        ids = text_of(self.ids)
        if not self.ids or len(ids) > room or self.count > _MOST:
            ids = ""
        return f"{self.request_id}:{self.count}:{self.oldest}:{self.newest}:{ids}:{self.account}"

    @classmethod
    def read(cls, text: str) -> FollowedDownload | None:
        """Read it; None for what is none."""
        numbers, ids, account = text.split(":", 5)[:4], *[*text.split(":", 5)[4:], "", ""][:2]
        if len(numbers) < 4 or not all(map(_is_number, numbers)) or not account:  # noqa: PLR2004  as many as there are
            return None
        request_id, count, oldest, newest = map(int, numbers)
        return cls(account=account, request_id=request_id, count=count, oldest=oldest, newest=newest, ids=ids_of(ids))
