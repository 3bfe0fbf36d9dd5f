"""Tell of filings that stored mail got later: for a further operator, or by records that came after it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gatewayd.api.events import MailFiled
from gatewayd.api.queries import Query, Viewer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewayd.api.ledger import Filing
    from gatewayd.api.store import Store
    from gatewayd.runtime.events import Events

__all__ = ["tell_added"]


def tell_added(store: Store, events: Events, added: Sequence[tuple[int, Filing]], *, new: Collection[int]) -> None:
    """Tell of filings that are committed, as (mail id, filing); all mail but ``new`` is backlog. Raises what the store raises."""
    for_whom: dict[Viewer, dict[int, Filing]] = defaultdict(dict)
    for mail_id, filing in added:
        for_whom[Viewer(operator=filing.operator, users=(filing.user,) if filing.user else ())][mail_id] = filing
    for viewer, filings in for_whom.items():
        views = store.filings(viewer, Query(ids=tuple(filings), limit=len(filings)))
        told = [
            MailFiled(
                account=one.account,
                folder=one.folder,
                key=one.key,
                mail_id=one.id,
                size=one.size,
                received_at=one.received_at,
                backlog=one.id not in new,
                filings=(filings[one.id],),
            )
            for one in sorted(views, key=lambda one: one.id)
        ]
        events.filings_added(told)
