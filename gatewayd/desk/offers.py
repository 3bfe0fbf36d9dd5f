"""List what is on the server of an account for a viewer: what is offered, and what is here already, newest entry first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatewayd.api.offers import OfferQuery, OfferView
from gatewayd.api.queries import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.api.store import Store

__all__ = ["RemoteQuery", "remote_mail"]


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
