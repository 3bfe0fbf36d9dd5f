"""The list of mail: search, filter, page by page, and mark several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from gatewayd import Query, calls, following

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["emails", "index", "mark"]

_PAGE = 50
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the search bar says."""

    words: str = ""
    account: str = ""
    unread: str = ""
    linked: str = ""
    queue: str = ""

    def query(self, *, before: int | None) -> Query:
        """Return it as a query for one page, and one mail more, by which it is known whether there is another page."""
        return Query(
            account=self.account or None,
            followed=not self.account,
            unread=_YES_NO.get(self.unread),
            linked=_YES_NO.get(self.linked),
            words=self.words or None,
            faulty=True if self.queue else None,
            before=before,
            limit=_PAGE + 1,
        )

    def address(self, **more: object) -> str:
        """Return the address of the list with these filters."""
        given = {name: value for name, value in ((one, getattr(self, one)) for one in self.__slots__) if value}
        return "/emails?" + urlencode({**given, **more})


def index(_: Visit) -> Response:
    """Begin with the list."""
    return RedirectResponse("/emails", 303)


def emails(visit: Visit) -> Response:
    """Show one page of the list."""
    filters = Filters(
        words=visit.field("words").strip()[:200],
        account=visit.field("account")[:200],
        unread=visit.field("unread"),
        linked=visit.field("linked"),
        queue=visit.field("queue"),
    )
    before = visit.number("before")
    reader, viewer = visit.reader, visit.person.viewer
    found = reader.store.filings(viewer, filters.query(before=before))
    older = filters.address(before=found[_PAGE - 1].id) if len(found) > _PAGE else ""
    return visit.page(
        "emails_part.html" if visit.is_fragment else "emails.html",
        filings=found[:_PAGE],
        filters=filters,
        older=older,
        first=before is None,
        accounts=following(reader.config, reader.store, viewer),
    )


def mark(visit: Visit) -> Response:
    """Mark the ticked ones as read or unread."""
    ids = visit.numbers("mail")
    if ids:
        visit.ask(calls.Mark(token=visit.token, mail_ids=ids, unread=visit.field("as") == "unread"), calls.Count)
    return visit.back("/emails")
