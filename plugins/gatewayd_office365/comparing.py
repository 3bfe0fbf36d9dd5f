"""List all messages of a folder without a delta query: each first round of one leaves a sync state in the mailbox for good.

Source: "List messages". Pages of ``$skip`` shift when a message goes, and one would be left out that is there. So each page begins
at the arrival that the last one has come to, in the order of arrivals; what it has in common with that one is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd import TransientError
from gatewayd_office365.delta import PROPERTIES, listed_of, objects_of, second_of
from gatewayd_office365.graph_requests import TOO_LARGE, GraphRequest
from gatewayd_office365.json_objects import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd import Listed
    from gatewayd_office365.graph import GraphClient
    from gatewayd_office365.graph_faults import GraphAnswer

__all__ = ["ListedPage", "in_order"]

#: How many messages a page may have; fewer if Exchange can't make it.
_SIZES = (1_000, 100, 10, 1)
#: How many pages a folder may have.
_PAGES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """A page of messages, each of which was on no page before."""

    messages: tuple[Listed, ...]
    #: When it was made, in seconds since 1970, by the server's clock.
    made_at: int
    #: The page began where a link of Graph led, which may have left messages out: more arrived in one second than a page has.
    by_link: bool


def in_order(graph: GraphClient, folder: str) -> Iterator[ListedPage]:
    """Yield all messages of a folder by its id, in the order of their arrivals. Raises what the requests raise."""
    since, link, seen = "", "", set[str]()
    for _ in range(_PAGES):
        by_link = bool(link)
        answer = _followed(graph, link) if link else _page(graph, folder, since)
        found = objects_of(answer.data)
        fresh = {one.key: one for one in map(listed_of, found) if one is not None and one.key not in seen}
        seen.update(fresh)
        yield ListedPage(messages=tuple(fresh.values()), made_at=second_of(answer), by_link=by_link)
        more = text_of(answer.data, "@odata.nextLink")
        if not more:
            return
        last = text_of(found[-1], "receivedDateTime") if found else ""
        if not found or (not fresh and (by_link or last != since)):
            break
        # Where a whole page arrived in one second, only the link leads beyond it.
        since, link = (last, "") if last and last != since else (since, graph.link(more))
    raise TransientError(f"{graph.where}: the pages lead nowhere", advice="If it lasts, see to the server of `graph`.")


def _page(graph: GraphClient, folder: str, since: str) -> GraphAnswer:
    """Return the page that begins at an arrival; a smaller one where Exchange can't make it."""
    begins = f"&$filter={quote(f'receivedDateTime ge {since}')}" if since else ""
    query = f"{PROPERTIES}&$orderby=receivedDateTime{begins}"
    for size in _SIZES:
        target = graph.path("mailFolders", folder, "messages", query=f"{query}&$top={size}")
        answer = graph.request(GraphRequest(what="the list of messages", target=target, back=TOO_LARGE))
        if answer.status not in TOO_LARGE:
            break
    return answer.checked()


def _followed(graph: GraphClient, link: str) -> GraphAnswer:
    return graph.request(GraphRequest(what="the list of messages", target=link)).checked()
