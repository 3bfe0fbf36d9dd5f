"""Match stored mail again: mail in an error queue, and mail whose verdict is provisional.

Nothing is fetched again, and links made by hand stay. Rules fire only if a person asks for it, or a verdict was provisional.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatewayd.api.ledger import AGAIN
from gatewayd.api.queries import Query
from gatewayd.api.verdicts import PROVISIONAL_SECONDS
from gatewayd.importing.late_filings import tell_added
from gatewayd.importing.outcomes import AccountRouting, contact_types, filings
from gatewayd.matching import MatchRequest, RawMail
from gatewayd.message.mail import was_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Filing
    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.api.store import Store
    from gatewayd.api.verdicts import Doubted
    from gatewayd.config import AccountConfig
    from gatewayd.matching import Matching, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.outgoing.routing import Router
    from gatewayd.runtime.events import Events

__all__ = ["BATCH", "correct", "retry", "retry_put_off", "was_put_off"]

#: How many stored mails are matched at once.
BATCH = 100


def retry(
    store: Store,
    matching: Matching,
    spec: OperatorSpec,
    viewer: Viewer,
    query: Query,
    *,
    router: Router | None,
    fire: bool = False,
    keep_alive: Callable[[], None] = lambda: None,
    only: Callable[[FilingView], bool] = lambda _: True,
) -> Iterator[Sequence[FilingView]]:
    """Match the viewer's faulty filings that fit ``query`` again; yield each batch as it is then.

    A filing that keeps its fault stays in its queue. ``fire``: rules fire for filings that they fit now. ``keep_alive`` is called
    every few seconds. ``only`` picks filings.
    """
    matching.refresh(spec)
    before = query.before
    while page := store.filings(viewer, replace(query, faulty=True, before=before, limit=BATCH)):
        before = page[-1].id
        batch = [one for one in page if only(one)]
        if not batch:
            continue
        # A filing that was discarded meanwhile has no source.
        sources = {one.id: store.source(viewer, one.id) for one in batch}
        raw_mails = tuple(RawMail(one.id, source, one.received_at) for one in batch if (source := sources[one.id]))
        matched = matching.begin(MatchRequest(raw_mails=raw_mails, specs=(spec,))).result(keep_alive)
        filed = filings(matched.mails, matched.results, user=None, queue="")
        seen = _seen(matched.mails)
        came_by: dict[str, list[tuple[Mail, Filing]]] = {one.account: [] for one in batch}
        for one in batch:
            if one.id in seen:
                filing = replace(filed[one.id][0], user=one.user, queue=one.queue or "")
                came_by[one.account].append((seen[one.id], filing))
        back = AccountRouting(router=router).returned(list(seen.values()))
        routing = {account: AccountRouting(account=account, router=router, forward=fire) for account in came_by}
        store.refile(viewer, [routed for account, done in came_by.items() for routed in routing[account].routed(done, back=back)])
        yield store.filings(viewer, Query(ids=tuple(one.id for one in batch), limit=BATCH))


def _seen(mails: Sequence[Mail]) -> dict[int, Mail]:
    """Return the mails that could be read, by id. A mail that the parser failed on this time keeps its links."""
    return {mail.id: mail for mail in mails if was_read(mail)}


def correct(
    store: Store,
    matching: Matching,
    spec: OperatorSpec,
    accounts: Mapping[str, AccountConfig],
    *,
    router: Router | None,
    events: Events,
    keep_alive: Callable[[], None] = lambda: None,
) -> Iterator[int]:
    """Give an operator's provisional verdicts again by the records as they are now; yield how many of each batch changed.

    Rules fire for mail that they fit now, if they would have fired for it then. A verdict for which the directory has nothing new
    is confirmed; one for which it can't be asked stays provisional. ``keep_alive`` is called every few seconds.
    """
    basis, name, after = matching.basis(spec), spec.operator.name, 0
    if basis is None or basis.fault or basis.loaded_at is None:
        return
    while batch := store.provisional(name, before=basis.loaded_at, after=after, limit=BATCH):
        after = batch[-1].mail_id
        known = {one.mail_id for one in batch if basis.told and one.verdict.version == basis.version and not one.verdict.undecided}
        groups = _groups([one for one in batch if one.mail_id not in known], accounts, name)
        left = {one.mail_id for one in batch if not one.filed and _is_away(accounts.get(one.account), one.verdict.since)}
        right = {one.mail_id for one in batch} - left - {one.mail_id for group in groups.values() for one in group}
        changed = 0
        for (account_name, _), group in groups.items():
            account = accounts.get(account_name)
            done, refused = _verdicts(store, matching, group, account, spec=spec, router=router, keep_alive=keep_alive)
            changed += store.correct(name, done) if done else 0
            if not group[0].filed:
                tell_added(store, events, done, new={one.mail_id for one in group if one.verdict.fire})
            right |= refused
        if right:
            store.confirm(name, right)
        yield changed


def _groups(
    batch: Iterable[Doubted], accounts: Mapping[str, AccountConfig], operator: str
) -> dict[tuple[str, bool], list[Doubted]]:
    """Return what can be decided: one account's mail at a time, and filed mail apart from mail that must be admitted first."""
    groups: dict[tuple[str, bool], list[Doubted]] = {}
    for one in batch:
        account = accounts.get(one.account)
        served = account is not None and account.imports is not None and operator in account.operators
        if one.filed or served:
            groups.setdefault((one.account, one.filed), []).append(one)
    return groups


def _is_away(account: AccountConfig | None, since: datetime) -> bool:
    """Whether an account has gone from the config, but its file may be put back: the verdict is kept for a week."""
    young = datetime.now(UTC) - since < timedelta(seconds=PROVISIONAL_SECONDS)
    return young and (account is None or account.imports is None)


def _verdicts(
    store: Store,
    matching: Matching,
    group: Sequence[Doubted],
    account: AccountConfig | None,
    *,
    spec: OperatorSpec,
    router: Router | None,
    keep_alive: Callable[[], None],
) -> tuple[Sequence[tuple[int, Filing]], frozenset[int]]:
    """Return the filings of mail of one account as they are now, as (mail id, filing), and the ids of mails that are not admitted.

    All of ``group`` is filed already, or must be admitted first. ``account`` is None if the config no longer has it.
    """
    imports, filed = account.imports if account else None, group[0].filed
    raw_mails = tuple(RawMail(one.mail_id, store.stored_source(one.mail_id), one.received_at) for one in group)
    types = contact_types(imports) if imports and not filed else ()
    matched = matching.begin(MatchRequest(raw_mails=raw_mails, specs=(spec,), contact_types=types)).result(keep_alive)
    (found,) = matched.results
    user, queue = account.user if account else None, imports.error_queue if imports else "errors"
    # Filed mail stays with the user for whom it was filed, whoever has the account now, so that no rule for general mail takes it.
    users = {one.mail_id: one.user if filed else user for one in group}
    made = {
        mail_id: [replace(one, user=users[mail_id]) for one in each]
        for mail_id, each in filings(matched.mails, [found], user=None, queue=queue).items()
    }
    # Mail for which the directory can't be asked now stays as it is.
    unasked = {mail_id for mail_id, fault in found.faults if fault.by == "directory"} | found.pending
    mails = [mail for mail_id, mail in _seen(matched.mails).items() if mail_id not in unasked | found.refused]
    routing = AccountRouting(account=group[0].account, router=router)
    back = routing.returned(mails)
    # Mail that comes back from another operator's delivery is not this operator's.
    mine = made if filed else routing.owned({mail.id: made[mail.id] for mail in mails}, back)
    wanted = [(mail, each) for mail in mails for each in mine[mail.id] if each.operator == spec.operator.name]
    new = {one.mail_id for one in group if one.verdict.fire}
    others = {mail.id for mail in mails} - {mail.id for mail, _ in wanted}
    return routing.routed(wanted, new=new, back=back), found.refused | others


def was_put_off(filing: FilingView) -> bool:
    """Whether a filing was put off, and is matched again without being asked for."""
    return any(fault.error.endswith(AGAIN) for fault in filing.faults)


def retry_put_off(
    store: Store,
    matching: Matching,
    spec: OperatorSpec,
    viewer: Viewer,
    query: Query,
    *,
    router: Router | None,
    fire: bool = False,
    keep_alive: Callable[[], None] = lambda: None,
) -> Iterator[Sequence[FilingView]]:
    """Match put-off filings again, as ``retry`` does, until none is put off or one more round does not help."""
    before = None
    while True:
        left = 0
        for batch in retry(store, matching, spec, viewer, query, router=router, fire=fire, keep_alive=keep_alive, only=was_put_off):
            left += sum(map(was_put_off, batch))
            yield batch
        if not left or (before is not None and left >= before):
            return
        before = left
