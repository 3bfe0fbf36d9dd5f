"""For each verb of a store that takes a viewer: whether that viewer gets, by this verb, at a filing or an offer of somebody."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from gatewayd import DeliveryQuery, FilingFault, OfferQuery, PermanentError, Query, Record, Store, Viewer
from gatewayd.testing.contracts.custodian import make_delivery, make_filing
from gatewayd.testing.contracts.posting import post
from gatewayd.testing.contracts.search import indexed

__all__ = ["BY_RULES", "FILING_VERBS", "OFFER_VERBS", "Kept", "verbs_with_viewer"]

_numbers = count(1)

#: Verbs that get at nothing but what the viewer said or saw: the rules of the model tell what they may change.
BY_RULES = frozenset({"seen", "show", "ask_share", "answer_share", "shares", "follow", "choices"})


@dataclass(frozen=True, slots=True)
class Kept:
    """A filing or an offer."""

    id: int
    operator: str
    owner: str | None
    account: str

    @property
    def ours(self) -> Viewer:
        """A viewer whom nothing is kept from."""
        return Viewer(operator=self.operator, users=(self.owner,) if self.owner else (), withheld=True)


Probe: TypeAlias = Callable[[Store, Viewer, Kept], bool]


def verbs_with_viewer() -> set[str]:
    """Return the verbs of the role that take a viewer."""
    verbs = inspect.getmembers(Store, inspect.isfunction)
    return {
        name for name, verb in verbs if "Viewer" in {str(one.annotation) for one in inspect.signature(verb).parameters.values()}
    }


# --- filings ----------------------------------------------------------------------------------------------------------


def _filings(store: Store, viewer: Viewer, kept: Kept) -> bool:
    listed = any(one.id == kept.id for one in store.filings(viewer, Query(limit=10_000)))
    assert listed == any(one.id == kept.id for one in store.filings(viewer, Query(ids=(kept.id,))))
    indexed(store)
    # No search shows what is not in the list without it, and every mail has a word of these.
    every = {one.id for one in store.filings(viewer, Query(limit=10_000))}
    assert every == {one.id for word in ("hello", "example") for one in store.filings(viewer, Query(words=word, limit=10_000))}
    return listed


def _count_filings(store: Store, viewer: Viewer, kept: Kept) -> bool:
    return bool(store.count_filings(viewer, Query(ids=(kept.id,))))


def _source(store: Store, viewer: Viewer, kept: Kept) -> bool:
    return store.source(viewer, kept.id) is not None


def _record() -> Record:
    return Record(kind="customer", id=f"C{next(_numbers)}", label="Nord")


def _link(store: Store, viewer: Viewer, kept: Kept) -> bool:
    return bool(store.link(viewer, kept.id, [_record()], who="somebody", because="said so"))


def _unlink(store: Store, viewer: Viewer, kept: Kept) -> bool:
    record = _record()
    store.link(kept.ours, kept.id, [record], who="somebody", because="said so")
    return bool(store.unlink(viewer, kept.id, [(record.kind, record.id)], who="somebody"))


def _mark(store: Store, viewer: Viewer, kept: Kept) -> bool:
    store.mark(kept.ours, [kept.id], unread=True)
    return bool(store.mark(viewer, [kept.id], unread=False))


def _queued(store: Store, viewer: Viewer, kept: Kept) -> str:
    """Let the filing stand in a queue with an error of its own."""
    error = f"error {next(_numbers)}"
    filing = make_filing(kept.operator, user=kept.owner, faults=[FilingFault("contacts", error)])
    store.refile(viewer, [(kept.id, filing)])
    return error


def _causes(store: Store, viewer: Viewer, kept: Kept) -> bool:
    error = _queued(store, kept.ours, kept)
    return any(one.error == error for one in store.causes(viewer))


def _refile(store: Store, viewer: Viewer, kept: Kept) -> bool:
    error = _queued(store, viewer, kept)
    return any(one.error == error for one in store.causes(kept.ours))


def _discard(store: Store, viewer: Viewer, kept: Kept) -> bool:
    _queued(store, kept.ours, kept)
    return bool(store.discard(viewer, [kept.id]))


def _post(store: Store, viewer: Viewer, kept: Kept) -> bool:
    record, number = _record(), 100_000 + next(_numbers)
    store.link(kept.ours, kept.id, [record], who="somebody", because="said so")
    answer = Viewer(operator=viewer.operator, users=("nobody", *((kept.owner,) if kept.owner else ())), withheld=True)
    # It is nobody's in the model, whose users have other names.
    try:
        posted = post(store, number, viewer=viewer, user=kept.owner, answers=kept.id)
    except PermanentError:
        return False
    (filing,) = store.filings(answer, Query(ids=(posted.mail_id,)))
    return any(one.id == record.id for one in filing.links)


def _deliver(store: Store, viewer: Viewer, kept: Kept) -> bool:
    number = next(_numbers)
    try:
        return bool(store.deliver(viewer, kept.id, [make_delivery(number, cause=f"person:{number}")]))
    except PermanentError:
        return False


def _delivered(store: Store, kept: Kept) -> list[int]:
    number = next(_numbers)
    return [*store.deliver(kept.ours, kept.id, [make_delivery(number, cause=f"person:{number}")])]


def _deliveries(store: Store, viewer: Viewer, kept: Kept) -> bool:
    (entered,) = _delivered(store, kept)
    return any(one.id == entered for one in store.deliveries(viewer, DeliveryQuery(mail_id=kept.id, limit=1000)))


def _cancel(store: Store, viewer: Viewer, kept: Kept) -> bool:
    return bool(store.cancel(viewer, _delivered(store, kept), who="somebody"))


def _redeliver(store: Store, viewer: Viewer, kept: Kept) -> bool:
    ids = _delivered(store, kept)
    store.cancel(kept.ours, ids, who="somebody")
    return bool(store.redeliver(viewer, ids))


FILING_VERBS: dict[str, Probe] = {
    "filings": _filings,
    "source": _source,
    "count_filings": _count_filings,
    "link": _link,
    "unlink": _unlink,
    "mark": _mark,
    "causes": _causes,
    "refile": _refile,
    "discard": _discard,
    "post": _post,
    "deliver": _deliver,
    "deliveries": _deliveries,
    "cancel": _cancel,
    "redeliver": _redeliver,
}


# --- offers -----------------------------------------------------------------------------------------------------------


def _offers(store: Store, viewer: Viewer, kept: Kept) -> bool:
    return any(one.id == kept.id for one in store.offers(viewer, OfferQuery(account=kept.account, limit=10_000)))


def _dismiss(store: Store, viewer: Viewer, kept: Kept) -> bool:
    store.dismiss(kept.ours, kept.account, [kept.id], who="somebody", undo=True)
    return bool(store.dismiss(viewer, kept.account, [kept.id], who="somebody"))


def _choose(store: Store, viewer: Viewer, kept: Kept) -> bool:
    """Only a choice that is not made yet tells; what was chosen stays chosen."""
    return bool(store.choose(viewer, kept.account, [kept.id], who="somebody"))


OFFER_VERBS: dict[str, Probe] = {"offers": _offers, "dismiss": _dismiss, "choose": _choose}
