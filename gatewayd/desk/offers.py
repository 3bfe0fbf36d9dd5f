"""List what is on the server of an account for a viewer: what is offered, and what is here already, newest entry first; commit
what the viewer chooses of it; and say what became of each choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.health import Task
from gatewayd.api.offers import OfferQuery, OfferView
from gatewayd.api.queries import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.api.store import Store

__all__ = [
    "MOST_CHOSEN",
    "Choice",
    "ChosenOffers",
    "RemoteQuery",
    "choices",
    "choose",
    "choose_listed",
    "offered_pages",
    "remote_mail",
]

#: How many offers are read at once, and how many keys a visit is told.
_PAGE = 1000
#: How many offers ``choose_listed`` takes at once.
MOST_CHOSEN = 50_000

#: What became of a message that was chosen: besides what an operator may decide, it may be gone from the server.
Result: TypeAlias = Literal["here", "gone", "waiting", "offered", "refused", "undecided", "dismissed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteQuery:
    """Which mail of an account to list."""

    #: What entered after the viewer's seen-mark; all that is still offered; or everything.
    which: Literal["new", "waiting", "all"] = "new"
    #: A word that subject, sender or recipients contain, compared without case.
    text: str | None = None
    since: datetime | None = None
    #: Only ids below this one: the next page.
    before: int | None = None
    limit: int = 50


def remote_mail(store: Store, viewer: Viewer, account: str, query: RemoteQuery) -> Sequence[OfferView]:
    """Return what the viewer may see of an account: offers, and except for ``waiting`` what was filed without being offered."""
    after = store.seen(viewer, account).mark if query.which == "new" else 0
    offers = store.offers(
        viewer,
        OfferQuery(
            account=account,
            open=query.which == "waiting",
            text=query.text,
            since=query.since,
            after=after,
            before=query.before,
            limit=query.limit,
        ),
    )
    if query.which == "waiting":
        return offers
    ids = {one.id for one in offers}
    here = (one for one in _filed(store, viewer, account, query, after) if one.id not in ids)
    return sorted((*offers, *here), key=lambda one: -one.id)[: query.limit]


def _filed(store: Store, viewer: Viewer, account: str, query: RemoteQuery, after: int) -> Iterator[OfferView]:
    """Yield the newest ``limit`` that were filed, and are above ``after``."""
    before, left = query.before, query.limit
    while page := store.filings(viewer, Query(account=account, text=query.text, before=before, limit=query.limit)):
        before = page[-1].id
        fits = [one for one in page if one.id > after and one.direction == "in" and _is_since(one, query.since)][:left]
        yield from map(_shown, fits)
        left -= len(fits)
        if not left or before <= after:
            return


def _is_since(one: FilingView, since: datetime | None) -> bool:
    return since is None or one.received_at >= since


def _shown(one: FilingView) -> OfferView:
    return OfferView(
        id=one.id,
        account=one.account,
        folder=one.folder,
        key=one.key,
        decision="filed",
        state="filed",
        cause="",
        size=one.size,
        arrival=one.received_at,
        sender=one.sender,
        sender_name=one.sender_name,
        to=one.to,
        subject=one.subject,
        sent_at=one.sent_at,
        attachments=bool(one.attachments),
        mail_id=one.id,
    )


# --- what is chosen -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A message that was chosen, and what became of it until now."""

    offer: OfferView
    result: Result
    #: Why it is not here; empty where it is.
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenOffers:
    """What was chosen at once."""

    count: int
    #: The least and the largest id of it; 0 where nothing was.
    oldest: int
    newest: int
    #: The visit that fetches it.
    task: Task


def choose(store: Store, viewer: Viewer, account: str, ids: Sequence[int], *, who: str, forward: bool = False) -> ChosenOffers:
    """Commit that the viewer's operator has these offers filed, as far as the viewer may see them.

    ``forward``: the operator's rules fire for what is old, too.
    """
    wanted = {one.offer.id: one.offer.key for one in choices(store, viewer, account, ids)}
    store.choose(viewer, account, list(wanted), who=who)
    keys = tuple(wanted.values()) if forward or len(wanted) <= _PAGE else ()
    # A visit fetches what all of them chose, and old mail is sent on for who asks for it alone.
    task = Task(chosen=True, keys=keys, forward=forward, forward_for=viewer.operator if forward else None)
    return ChosenOffers(count=len(wanted), oldest=min(wanted, default=0), newest=max(wanted, default=0), task=task)


def choose_listed(store: Store, viewer: Viewer, account: str, query: RemoteQuery, *, who: str) -> ChosenOffers:
    """Commit that the viewer's operator has all filed that a list offers, page by page, at most ``MOST_CHOSEN``, newest first."""
    count, newest, oldest = 0, 0, 0
    for page in offered_pages(store, viewer, account, query):
        ids = [one.id for one in page][: MOST_CHOSEN - count]
        store.choose(viewer, account, ids, who=who)
        count, newest, oldest = count + len(ids), newest or ids[0], ids[-1]
        if count == MOST_CHOSEN:
            break
    return ChosenOffers(count=count, oldest=oldest, newest=newest, task=Task(chosen=True))


def offered_pages(store: Store, viewer: Viewer, account: str, query: RemoteQuery) -> Iterator[Sequence[OfferView]]:
    """Yield what a list of ``remote_mail`` offers, and nobody of the viewer's operator has decided about, whatever its limit.

    What counts as new is what does so when the first page is asked for.
    """
    before = query.before
    after = store.seen(viewer, account).mark if query.which == "new" else 0
    asked = OfferQuery(account=account, open=True, text=query.text, since=query.since, after=after, limit=_PAGE)
    while page := store.offers(viewer, replace(asked, before=before)):
        before = page[-1].id
        yield page


def choices(store: Store, viewer: Viewer, account: str, ids: Iterable[int]) -> Iterator[Choice]:
    """Yield what became of offers that were chosen. Those that the viewer may see no more are left out."""
    left = iter(ids)
    while some := tuple(islice(left, _PAGE)):
        for one in store.offers(viewer, OfferQuery(account=account, ids=some, limit=_PAGE)):
            result, cause = _result(one)
            yield Choice(offer=one, result=result, cause=cause)


def _result(one: OfferView) -> tuple[Result, str]:
    if one.decision == "filed":
        return "here", ""
    if one.state == "vanished":
        return "gone", one.cause or "deleted on the server before it was fetched"
    if one.decision == "chosen":
        return "waiting", "it is chosen, and fetched by the next visit"
    return one.decision, one.cause
