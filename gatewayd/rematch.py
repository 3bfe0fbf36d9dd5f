"""Examine stored mail again: what stands in an error queue, and old mail for an operator that came later.

Nothing is fetched again, and rules send it on only where a person asks for it. Links made by hand stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.batch import Onward, contact_types, filings
from gatewayd.errors import TransientError
from gatewayd.examine import Letter, Order
from gatewayd.views import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.config import ImportConfig
    from gatewayd.custody import Filing, Lease
    from gatewayd.examine import Examining, Recipe
    from gatewayd.mail import Mail
    from gatewayd.routing import Router
    from gatewayd.store import Store
    from gatewayd.views import FilingView, Viewer

__all__ = ["BATCH", "file_old", "retry"]

#: How many stored mails are examined at once.
BATCH = 100


def retry(
    store: Store,
    examining: Examining,
    recipe: Recipe,
    viewer: Viewer,
    query: Query,
    *,
    router: Router | None,
    fire: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Sequence[FilingView]]:
    """Match the viewer's faulty filings that fit ``query`` again; yield each batch as it stands then.

    What keeps its fault stays in its queue. ``fire``: rules send on what they fit now. ``tick`` is called every few seconds.
    """
    examining.refresh(recipe)
    before = query.before
    while batch := store.filings(viewer, replace(query, faulty=True, before=before, limit=BATCH)):
        before = batch[-1].id
        # A filing that was discarded meanwhile has no source for nobody but its viewer.
        sources = {one.id: store.source(viewer, one.id) for one in batch}
        letters = tuple(Letter(one.id, source, one.received_at) for one in batch if (source := sources[one.id]))
        examined = examining.begin(Order(letters=letters, recipes=(recipe,))).result(tick)
        filed = filings(examined.mails, examined.findings, owner=None, queue="")
        # What no parser could bear this time keeps the links that it has.
        seen = {mail.id: mail for mail in examined.mails if mail.headers or not mail.faults}
        came_by: dict[str, list[tuple[Mail, Filing]]] = {one.account: [] for one in batch}
        for one in batch:
            if one.id in seen:
                filing = replace(filed[one.id][0], owner=one.owner, queue=one.queue or "")
                came_by[one.account].append((seen[one.id], filing))
        back = Onward(router=router).returned(list(seen.values()))
        onward = {account: Onward(account=account, router=router, forward=fire) for account in came_by}
        store.refile(viewer, [routed for account, done in came_by.items() for routed in onward[account].routed(done, back=back)])
        yield store.filings(viewer, Query(ids=tuple(one.id for one in batch), limit=BATCH))


def file_old(
    store: Store,
    examining: Examining,
    recipe: Recipe,
    lease: Lease,
    imports: ImportConfig,
    *,
    owner: str | None,
    onward: Onward,
    tick: Callable[[], None],
) -> Iterator[int]:
    """File the account's old mail for an operator that was added later; yield how many of each batch were new.

    ``tick`` is called every few seconds. Raises TransientError where admission can't be decided.
    """
    examining.refresh(recipe)
    after = 0
    while ids := store.unfiled(lease.account, recipe.operator.name, after=after, limit=BATCH):
        after = ids[-1]
        letters = tuple(Letter(mail_id, store.stored_source(mail_id)) for mail_id in ids)
        examined = examining.begin(Order(letters=letters, recipes=(recipe,), contact_types=contact_types(imports))).result(tick)
        undecided = examined.findings[0].undecided
        if undecided:
            raise TransientError(f"operator {recipe.operator.name}: {undecided}")
        back = onward.returned(examined.mails)
        filed = onward.owned(filings(examined.mails, examined.findings, owner=owner, queue=imports.error_queue), back)
        mails = {mail.id: mail for mail in examined.mails}
        # What comes back from another operator's delivery, or a user's, is not this one's, whoever asks for it.
        wanted = [(mails[one], filing) for one in ids for filing in filed[one] if filing.operator == recipe.operator.name]
        yield store.add_filings(lease, onward.routed(wanted, back=back))
