"""List a folder by delta queries: all that is in it, then what came since, with a link of Graph as the cursor.

A link may die at any time (410): then the folder is listed from its beginning. Its messages have their ids as before.

With immutable ids, a message that leaves a folder and comes back between two rounds is told as removed, and never again as
there. So about once an hour a listing has all that arrived lately.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd import Listed, Page, TransientError, moment
from gatewayd_office365.comparing import in_order
from gatewayd_office365.cursor import DeltaCursor
from gatewayd_office365.delta import PROPERTIES, LinkDied, listed_of, objects_of, steps
from gatewayd_office365.graph_requests import TOO_LARGE, GraphRequest
from gatewayd_office365.json_objects import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gatewayd_office365.delta import Step
    from gatewayd_office365.folders import FolderFinder, MailFolder
    from gatewayd_office365.graph import GraphClient

__all__ = ["FolderListing", "pages_of"]

#: How many messages a page of ours may have.
_PAGE = 1_000
#: How often a listing may begin anew because a link died.
_ANEW = 3
#: Every so many seconds what arrived lately is listed, with what arrived up to a day before the last time.
_COMPARE, _BEFORE = 3600, 86400
#: How many pages of what arrived lately are asked for, of how many messages.
_LATELY, _ON_A_PAGE = 200, 500


class FolderListing:
    """Lists one folder, once."""

    def __init__(self, graph: GraphClient, finder: FolderFinder, *, mailbox: str, folder: str) -> None:
        self._graph = graph
        self._finder = finder
        self._mailbox = mailbox
        self._folder = folder
        #: What arrived later is new, though a first listing that did not come to its end begins anew; 0 if there was none.
        self._backlog_until = 0

    def pages(self, text: str | None) -> Iterator[Page]:
        """Yield the pages behind a cursor; see ``Session.listing``."""
        before = DeltaCursor.parse(text)
        if before is not None and before.mailbox == self._mailbox:
            self._backlog_until = before.backlog_until
            try:
                yield from self._behind(before, str(text))
            except LinkDied:
                pass
            else:
                return
        others_gone = before is not None
        for _ in range(_ANEW):
            try:
                for page in self._whole(others_gone=others_gone):
                    yield page
                    others_gone = False
            except LinkDied:
                continue
            return
        raise TransientError(f"{self._graph.where}: Microsoft Graph forgets each time where the listing of the folder is")

    def compared(self, text: str | None) -> Iterator[Page]:
        """Yield the pages of the whole folder without a new delta query, if there is a cursor; see ``Session.compare``.

        The cursor stays as it is: what came after it is told by the next round.
        """
        before = DeltaCursor.parse(text)
        found = self._finder.find(self._folder)
        if before is None or before.mailbox != self._mailbox or before.backlog_until or found.id != before.folder:
            yield from self.pages(None)
            return
        until, sound = 0, True
        for page in in_order(self._graph, found.id):
            until, sound = until or page.made_at, sound and not page.by_link
            for keys, backlog in _by_age(page.messages, until):
                yield Page(keys=keys, cursor=str(text), backlog=backlog)
        # Without a count no key that is lacking is gone.
        yield Page(keys=(), cursor=str(text), backlog=True, exists=self._exists(found) if sound else None)

    def _whole(self, *, others_gone: bool) -> Iterator[Page]:
        found = self._finder.find(self._folder)
        target = self._graph.path("mailFolders", found.id, "messages", "delta", query=PROPERTIES)
        first = DeltaCursor(
            mailbox=self._mailbox,
            folder=found.id,
            link=target,
            backlog_until=self._backlog_until,
            compared=int(time.time()),
        )
        for step in steps(self._graph, first, first=True):
            self._backlog_until = step.before.backlog_until
            exists = self._exists(found) if step.ends else None
            yield from pages_of(step, others_gone=others_gone, exists=exists)
            others_gone = False

    def _exists(self, found: MailFolder) -> int | None:
        """Return how many messages must have been listed: mail may come and go meanwhile, so the lower of two counts."""
        counts = [count for count in (found.total, self._finder.count(found.id)) if count is not None]
        return min(counts, default=None)

    def _behind(self, before: DeltaCursor, text: str) -> Iterator[Page]:
        self._finder.learn(self._folder, before.folder)
        now = int(time.time())
        # After a clock that was ahead, it is due.
        if before.backlog_until or 0 <= now - before.compared < _COMPARE:
            for step in steps(self._graph, before, first=False):
                # A round that brought nothing leaves its link as good as it was: the store has nothing to write.
                quiet = step.ends and not step.values and not before.backlog_until and step.before == before
                yield from [Page(keys=(), cursor=text)] if quiet else pages_of(step)
            return
        if self._finder.find(self._folder).id != before.folder:
            # The folder was renamed, or thrown away, which only moves it: another one has its name, and gets the mail.
            raise LinkDied
        last = before
        for step in steps(self._graph, before, first=False):
            last = step.behind
            yield from pages_of(step)
        yield from self._lately(last, now)

    def _lately(self, cursor: DeltaCursor, now: int) -> Iterator[Page]:
        since = moment(datetime.fromtimestamp(max(0, min(cursor.compared, now) - _BEFORE), UTC))
        query = f"{PROPERTIES}&$top={_ON_A_PAGE}&$filter={quote(f'receivedDateTime ge {since}')}"
        target = self._graph.path("mailFolders", cursor.folder, "messages", query=query)
        for number in range(_LATELY):
            answer = self._graph.request(GraphRequest(what="what arrived lately", target=target, back=TOO_LARGE))
            # One message that Exchange can't show spoils a page, and must not keep the others from being fetched. The next
            # comparison goes back a day, too, and now and then the whole folder is compared.
            data = {} if answer.status in TOO_LARGE else answer.checked().data
            link = text_of(data, "@odata.nextLink")
            ends = not link or number + 1 == _LATELY
            keys = {one.key: one for one in map(listed_of, objects_of(data)) if one is not None}
            yield from _parts([*keys.values()], cursor, replace(cursor, compared=now) if ends else cursor)
            if ends:
                return
            target = self._graph.link(link)


def _parts(keys: Sequence[Listed], before: DeltaCursor, behind: DeltaCursor) -> Iterator[Page]:
    """Yield messages that are no backlog as pages; the last one has the cursor ``behind``."""
    for start in range(0, len(keys) or 1, _PAGE):
        ends = start + _PAGE >= len(keys)
        yield Page(keys=tuple(keys[start : start + _PAGE]), cursor=str(behind if ends else before))


def _by_age(messages: Iterable[Listed], until: int) -> list[tuple[tuple[Listed, ...], bool]]:
    """Return messages in groups for pages, at least one: those that arrived up to this second, which are backlog, and the others.

    0: all are new.
    """
    new, old = list[Listed](), list[Listed]()
    for one in messages:
        is_new = not until or (one.arrival is not None and one.arrival.timestamp() > until)
        (new if is_new else old).append(one)
    groups = [(tuple(old[start : start + _PAGE]), True) for start in range(0, len(old), _PAGE)]
    if new or not groups:
        starts = range(0, len(new) or 1, _PAGE)
        groups += [(tuple(new[start : start + _PAGE]), bool(until) and not new) for start in starts]
    return groups


def pages_of(step: Step, *, others_gone: bool = False, exists: int | None = None) -> Iterator[Page]:
    """Yield a page of Graph as pages of ours: backlog, then what arrived after the listing had begun."""
    behind, groups = str(step.behind), _by_age(step.messages(), step.before.backlog_until)
    for number, (keys, backlog) in enumerate(groups):
        ends = number + 1 == len(groups)
        yield Page(
            keys=keys,
            cursor=behind if ends else str(step.before),
            backlog=backlog,
            others_gone=others_gone and not number,
            exists=exists if ends else None,
        )
