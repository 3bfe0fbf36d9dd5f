"""Decide what becomes of each message of a batch: filed, not admitted, gone, or tried again, and when; the store finds
duplicates when it files.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from gatewayd.api.ledger import Filed, Filing, FilingFault, NotAdmitted, Retry, Vanished
from gatewayd.api.sizes import REREAD_AFTER, Sizes
from gatewayd.api.values import Came, Failed, Gone
from gatewayd.errors import AuthError, GatewaydError, PermanentError
from gatewayd.matching import MatchRequest, RawMail, provisional, senders, since
from gatewayd.matching.tenancy import chosen_only, refused_by
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Outcome, Waiting
    from gatewayd.api.values import Follows, Link, Rivals
    from gatewayd.api.verdicts import Provisional
    from gatewayd.config import ImportConfig
    from gatewayd.importing.fetching import Batch
    from gatewayd.matching import ContactTypes, MatchResult, OperatorResult, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.outgoing.provenance import Returned
    from gatewayd.outgoing.routing import Router

__all__ = ["AccountRouting", "believed", "contact_types", "filings", "match_request", "outcomes", "reread_wait", "retry_after"]

#: Every message that was ever delivered has one of these (RFC 5321 section 4.4, RFC 5322 section 3.6).
_DELIVERED = frozenset({"message-id", "date", "received"})

#: When a message that could not be fetched is tried again.
_RETRY = Backoff(first=10.0, longest=1.2 * 86400.0)
#: Taken as the arrival of backlog for which the server gives none.
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRouting:
    """Routes the mail of one account: what comes back from our deliveries, for whom it is filed, and what rules send on."""

    account: str = ""
    #: With None nothing is sent on, and no Message-ID is proven to be ours.
    router: Router | None = None
    #: Rules fire for old mail, too, because a person asked for it; with ``forward_for`` those of this operator alone.
    forward: bool = False
    forward_for: str | None = None

    def forces(self, operator: str) -> bool:
        """Whether the operator's rules fire for old mail, too."""
        return self.forward and self.forward_for in {None, operator}

    def returned(self, mails: Sequence[Mail]) -> Mapping[int, Returned]:
        """Return by mail id what each mail brings back from our own deliveries."""
        return self.router.returned(mails) if self.router else {}

    def owned(self, filed: Mapping[int, list[Filing]], back: Mapping[int, Returned]) -> dict[int, list[Filing]]:
        """Return new filings by mail id: mail that comes back from a delivery is filed only for whose delivery it was."""
        if self.router is None:
            return dict(filed)
        return {mail_id: list(self.router.owned(self.account, each, back[mail_id])) for mail_id, each in filed.items()}

    def routed(
        self, filed: Sequence[tuple[Mail, Filing]], *, new: Collection[int] = (), back: Mapping[int, Returned]
    ) -> list[tuple[int, Filing]]:
        """Return filings of a batch, as (mail id, filing), with their deliveries; they follow only mail that is proven to be ours.

        ``new`` has the ids of the mails for which rules fire in any case; ``back``: see ``returned``.
        """
        if self.router is None:
            return [(mail.id, replace(filing, follows=()) if filing.follows else filing) for mail, filing in filed]
        forced = [(mail, filing) for mail, filing in filed if self.forces(filing.operator)]
        others = [(mail, filing) for mail, filing in filed if not self.forces(filing.operator)]
        done = self.router.routed(self.account, forced, fire={mail.id for mail, _ in forced}, back=back)
        return done + self.router.routed(self.account, others, fire=new, back=back)


def match_request(batch: Batch, specs: Sequence[OperatorSpec], imports: ImportConfig) -> MatchRequest:
    """Return the request to match the messages of the batch that came."""
    now = datetime.now(UTC)
    return MatchRequest(
        raw_mails=tuple(
            RawMail(one.entry_id, came.source, one.listed.arrival or now, admitted=(*(one.readmitted or ()), *(one.chosen or ())))
            for one, came in _came(batch)
        ),
        specs=tuple(specs),
        contact_types=contact_types(imports),
    )


def outcomes(
    batch: Batch,
    matched: MatchResult,
    imports: ImportConfig,
    user: str | None,
    *,
    routing: AccountRouting = AccountRouting(),
    sizes: Sizes = Sizes(),  # noqa: B008  it is frozen
    ours: bool = False,
    reread_after: float = REREAD_AFTER,
    grown: Mapping[int, int] = MappingProxyType({}),
) -> Sequence[Outcome]:
    """Return what became of each key of the batch.

    ``user``: whose personal account it is. ``sizes``: how many messages of earlier batches had the listed size. ``ours``: if the
    session ended, we ended it. ``reread_after``: seconds until what is filed with another size is fetched again; see ``grown``.
    """
    asked = {one.listed.key: one for one in batch.asked}
    done: list[Outcome] = []
    for one in batch.came:
        waiting = asked.pop(one.key)
        if isinstance(one, Gone):
            done.append(Vanished(entry_id=waiting.entry_id, cause=one.cause, refused=waiting.readmitted is not None))
        elif isinstance(one, Failed):
            done.append(_retry(waiting, one.cause))
    if batch.error is None:
        done += [_retry(waiting, "the server did not answer for it") for waiting in asked.values()]
    elif not (ours or batch.came or isinstance(batch.error, AuthError | PermanentError) or batch.disk_failed):
        # Perhaps this very message ends sessions: next time others go first (P4).
        why = batch.error.sentences if isinstance(batch.error, GatewaydError) else where(batch.error)
        first = _retry(batch.broke_at or batch.asked[0], f"the session ended when it was fetched: {why}")
        # If it was not alone it may be innocent: then it is due again while the guilty one, asked for alone, still waits.
        done.append(first if len(batch.asked) == 1 else replace(first, retry_after=first.retry_after / 2))
    odd = {one.entry_id: reread_wait(reread_after, one.others) for one in batch.asked if one.listed.key in batch.unlike}
    return done + [
        replace(one, reread_after=odd.get(one.entry_id), grown_from=grown.get(one.entry_id)) if isinstance(one, Filed) else one
        for one in _decided(batch, matched, imports, user, routing=routing, sizes=sizes)
    ]


def believed(batch: Batch, matched: MatchResult, sizes: Sizes) -> frozenset[str]:
    """Return the keys whose bytes are filed although the server lists another size, because its sizes are estimates.

    Something that a server sends in place of a message looks the same each time, and has no Message-ID and no Date of its own.
    Where sizes are estimates, many are wrong; a single wrong size speaks against the message.
    """
    odd = [(one, mail) for mail, (_, one) in zip(matched.mails, _came(batch), strict=True) if one.key in batch.unlike]
    listed: dict[bytes, set[int]] = {}
    for one, _ in odd:
        listed.setdefault(one.digest, set()).add(batch.unlike[one.key])
    own = {one.key for one, mail in odd if mail.message_id and mail.sent_at and len(listed[one.digest]) == 1}
    exact = sum(waiting.listed.size is not None and one.key not in batch.unlike for waiting, one in _came(batch))
    return frozenset(own) if (sizes + Sizes(exact=exact, other=len(own))).are_estimates else frozenset()


def _came(batch: Batch) -> Iterator[tuple[Waiting, Came]]:
    asked = {one.listed.key: one for one in batch.asked}
    return ((asked[one.key], one) for one in batch.came if isinstance(one, Came))


def _decided(
    batch: Batch, matched: MatchResult, imports: ImportConfig, user: str | None, *, routing: AccountRouting, sizes: Sizes
) -> Iterator[Outcome]:
    found, now = matched.results, datetime.now(UTC)
    standing_in = batch.unlike.keys() - believed(batch, matched, sizes)
    back = routing.returned(matched.mails)
    chosen = {one.entry_id: one.chosen for one in batch.asked if one.chosen}
    admitted = chosen_only(filings(matched.mails, found, user=user, queue=imports.error_queue), chosen)
    filed = routing.owned(admitted, back)
    refused = {one: by for one, by in refused_by(found, filed, partial(routing.owned, back=back)).items() if one not in chosen}
    came = list(zip(matched.mails, _came(batch), strict=True))
    fileable = {mail.id: filed[mail.id] for mail, (_, one) in came if one.key not in standing_in}
    going = _routed(matched.mails, fileable, routing, new={mail.id for mail, (one, _) in came if not one.backlog}, back=back)
    for mail, (waiting, one) in came:
        # Backlog is older than the first listing, even if the server does not say how old.
        arrival = waiting.listed.arrival or (_BEFORE if waiting.backlog else None)
        if one.key in standing_in:
            listed = f"the server lists {batch.unlike[one.key]} bytes, and sends {one.source.size}"
            yield _retry(waiting, f"{listed}: they may stand in for the message")
        elif mail.id in going:
            # Operators that can't decide yet do so later: the mail is kept. Mail that comes back concerns no other operator.
            concerned = [each for each in found if each.operator in chosen.get(mail.id, (each.operator,))]
            concerned = concerned if filed[mail.id] == admitted[mail.id] else []
            yield Filed(
                entry_id=mail.id,
                mail=mail,
                digest=one.digest,
                filings=tuple(going[mail.id]),
                owed=imports.after if _is_delivered(mail) else None,
                listed_size=batch.sizes.get(one.key),
                key=one.key,
                backlog=waiting.backlog,
                bounce=routing.router.bounce(mail, back[mail.id]) if routing.router else None,
                provisional=_provisional(concerned, mail.id, arrival, now, new=not waiting.backlog, routing=routing),
                refused_by=refused.get(mail.id, ()),
                senders=senders(mail) if mail.id in refused else (),
            )
        else:
            yield _not_filed(mail, waiting, found, arrival, now)


def _routed(
    mails: Sequence[Mail],
    filed: Mapping[int, Sequence[Filing]],
    routing: AccountRouting,
    *,
    new: Collection[int],
    back: Mapping[int, Returned],
) -> Mapping[int, Sequence[Filing]]:
    """Return the filings of each mail with their deliveries. All mails of the batch are routed together."""
    routed: defaultdict[int, list[Filing]] = defaultdict(list)
    for mail_id, filing in routing.routed([(mail, each) for mail in mails for each in filed.get(mail.id, ())], new=new, back=back):
        routed[mail_id].append(filing)
    return routed


def _provisional(
    concerned: Sequence[OperatorResult],
    mail_id: int,
    arrival: datetime | None,
    now: datetime,
    *,
    new: bool,
    routing: AccountRouting,
) -> tuple[Provisional, ...]:
    verdicts = (provisional(each, mail_id, arrival, now, fire=new or routing.forces(each.operator)) for each in concerned)
    return tuple(verdict for verdict in verdicts if verdict)


def _not_filed(
    mail: Mail, waiting: Waiting, found: Sequence[OperatorResult], arrival: datetime | None, now: datetime
) -> Retry | NotAdmitted:
    """Return what becomes of a mail that no operator admits: it waits if one of them can't decide yet."""
    open_ = [each for each in found if mail.id in each.pending]
    if open_:
        faulty = any(each.basis and not each.basis.sound for each in open_)
        why = "; ".join(f"operator {each.operator}: {each.undecided}" for each in open_)
        return replace(_retry(waiting, why), senders=senders(mail), since=now if faulty else None)
    doubts = [when for each in found if (when := since(each.basis, arrival, now))]
    cause = "from nobody of the account's contact types"
    return NotAdmitted(entry_id=mail.id, anchor=mail.anchor, cause=cause, senders=senders(mail), since=max(doubts, default=None))


def _is_delivered(mail: Mail) -> bool:
    """Whether a mail has a header that every delivered message has. Nothing is ever done on the server to one that has none.

    A server that can't read a message may list and send an error text in its place.
    """
    return not _DELIVERED.isdisjoint(name for name, _ in mail.headers)


def contact_types(imports: ImportConfig) -> ContactTypes:
    """Return an account's ``contact_types`` as a match request has them."""
    return tuple((kind, tuple(words)) for kind, words in imports.contact_types.items())


def _retry(waiting: Waiting, cause: str) -> Retry:
    return Retry(entry_id=waiting.entry_id, cause=cause, retry_after=retry_after(waiting.tries))


def retry_after(tries: int) -> float:
    """Return the seconds until a message that could not be fetched is tried again; ``tries`` were made before this one."""
    return _RETRY.wait(tries + 1, jitter=random.random())  # noqa: S311  jitter


def reread_wait(first: float, times: int) -> float:
    """Return the seconds until a message is fetched once more; its bytes differed ``times`` times before."""
    return Backoff(first=first, longest=math.inf, factor=4.0, spread=0.0).wait(times + 1, jitter=0.0)


def filings(mails: Sequence[Mail], results: Sequence[OperatorResult], *, user: str | None, queue: str) -> dict[int, list[Filing]]:
    """Return each mail's filings, one for every operator that admits it."""
    filed: dict[int, list[Filing]] = {mail.id: [] for mail in mails}
    parser = {mail.id: [FilingFault("parser", fault) for fault in mail.faults] for mail in mails if mail.faults}
    for found in results:
        links: dict[int, list[tuple[str, Link]]] = {}
        rivals: dict[int, list[tuple[str, Rivals]]] = {}
        follows: dict[int, list[tuple[str, Follows]]] = {}
        faults = {mail_id: list(of_mail) for mail_id, of_mail in parser.items()}
        for by, link in found.links:
            links.setdefault(link.mail_id, []).append((by, link))
        for by, several in found.rivals:
            rivals.setdefault(several.mail_id, []).append((by, several))
        for by, one in found.follows:
            follows.setdefault(one.mail_id, []).append((by, one))
        for mail_id, fault in found.faults:
            faults.setdefault(mail_id, []).append(fault)
        for mail_id in filed.keys() - found.refused - found.pending:
            filing = Filing(
                operator=found.operator,
                user=user,
                links=tuple(links.get(mail_id, ())),
                rivals=tuple(rivals.get(mail_id, ())),
                faults=tuple(faults.get(mail_id, ())),
                follows=tuple(follows.get(mail_id, ())),
                queue=queue,
            )
            filed[mail_id].append(filing)
    return filed
