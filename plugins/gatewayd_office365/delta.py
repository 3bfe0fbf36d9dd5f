"""The rounds of a delta query: page by page, with smaller pages where Exchange can't make one, until the link of the next round.

Source: "Use delta query to track changes in Microsoft Graph data".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gatewayd import Listed, TransientError
from gatewayd_office365.cursor import moment_of
from gatewayd_office365.graph_requests import TOO_LARGE, GraphRequest
from gatewayd_office365.json_objects import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd_office365.cursor import DeltaCursor
    from gatewayd_office365.graph import GraphClient
    from gatewayd_office365.graph_faults import GraphAnswer

__all__ = ["PROPERTIES", "LinkDied", "Step", "listed_of", "objects_of", "second_of", "steps"]

#: What is asked of a message.
PROPERTIES = "$select=id,receivedDateTime,internetMessageId"
#: How many messages a page may have; a smaller one if Exchange can't make it.
_SIZES = (500, 50, 5, 1)
_LOST = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired"})
_GONE, _NOT_FOUND, _BAD = 410, 404, 400
#: How many pages a round may have, and how many of them may be empty one after the other.
_PAGES, _EMPTY = 20_000, 1_000
_MAX_ID = 1_000


class LinkDied(Exception):
    """Graph no longer honours a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A page of a round."""

    values: Sequence[Mapping[str, object]]
    #: The cursors before and behind it.
    before: DeltaCursor
    behind: DeltaCursor
    #: It is the round's last one.
    ends: bool

    def messages(self) -> list[Listed]:
        """Return the messages that are new or changed, each once, oldest first: one may be told several times."""
        found: dict[str, Listed | None] = {}
        for one in self.values:
            listed = listed_of(one)
            if listed is not None:
                found[listed.key] = None if "@removed" in one else listed
        there = [one for one in found.values() if one is not None]
        return sorted(there, key=lambda one: one.arrival.timestamp() if one.arrival else 0.0)


def steps(graph: GraphClient, cursor: DeltaCursor, *, first: bool) -> Iterator[Step]:
    """Yield the pages of the round that ``cursor`` leads into. ``first``: it is the first page of the folder's first round.

    Raises LinkDied, and what the requests raise.
    """
    empty = 0
    for _ in range(_PAGES):
        answer = _page(graph, cursor.link, of_graph=not first)
        if first:
            # Mail that came while an earlier first listing was under way is new still.
            cursor, first = replace(cursor, backlog_until=min(filter(None, (cursor.backlog_until, second_of(answer))))), False
        onward, last = text_of(answer.data, "@odata.nextLink"), text_of(answer.data, "@odata.deltaLink")
        link = graph.link(onward or last) if onward or last else ""
        values = objects_of(answer.data)
        empty = 0 if values else empty + 1
        if not link or (onward and link == cursor.link) or empty > _EMPTY:
            raise TransientError(f"{answer.where}: the pages lead nowhere", advice="If it lasts, see to the server of `graph`.")
        behind = replace(cursor, link=link, backlog_until=cursor.backlog_until if onward else 0)
        yield Step(values=values, before=cursor, behind=behind, ends=not onward)
        if not onward:
            return
        cursor = behind
    raise TransientError(f"{graph.where}: the listing has more than {_PAGES} pages", advice="See to the server of `graph`.")


def _page(graph: GraphClient, target: str, *, of_graph: bool) -> GraphAnswer:
    """Return a page, which is smaller where Exchange can't make it. ``of_graph``: Graph gave us its link."""
    for size in _SIZES:
        asked = GraphRequest(what="the listing of the folder", target=target, prefer=f"odata.maxpagesize={size}", back=TOO_LARGE)
        answer = graph.request(asked)
        lost = (
            answer.status == _GONE or answer.code in _LOST or (answer.status == _NOT_FOUND and answer.code == "erroritemnotfound")
        )
        # Whatever else is wrong with a link of Graph's own, it would be so at the next visit, too.
        if lost or (of_graph and answer.status == _BAD):
            raise LinkDied
        if answer.status not in TOO_LARGE:
            break
    return answer.checked()


def objects_of(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the objects that a page has."""
    values = data.get("value")
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def listed_of(data: Mapping[str, object]) -> Listed | None:
    """Return a message as it is listed; None if it has no id."""
    found = text_of(data, "id")
    if not found or len(found) > _MAX_ID or not found.isprintable():
        return None
    # Of a message that has changed, perhaps only what has changed is told.
    message_id = text_of(data, "internetMessageId")[:_MAX_ID] if "internetMessageId" in data else None
    return Listed(found, None, moment_of(data.get("receivedDateTime")), message_id)


def second_of(answer: GraphAnswer) -> int:
    """Return the second of 1970 at which an answer was sent, by the server's clock."""
    try:
        return int(parsedate_to_datetime(answer.headers.get("date", "")).timestamp())
    except (ValueError, OverflowError):
        return int(time.time())
