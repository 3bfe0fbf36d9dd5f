"""One batch: cut from what waits, fetched into its spool, and what became of each of its keys."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.custody import Deferred, Filed, Filing, FilingFault, NotAdmitted, Vanished
from gatewayd.errors import AuthError, GatewaydError, PermanentError, TooLarge
from gatewayd.examine import Letter, Order
from gatewayd.model import Came, Failed, Gone
from gatewayd.plugins import where
from gatewayd.spool import MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from gatewayd.config import ImportConfig
    from gatewayd.custody import Outcome, Waiting
    from gatewayd.examine import ContactTypes, Examined, Findings, Recipe
    from gatewayd.mail import Mail
    from gatewayd.model import Fetched, Follows, Link, Listed, Rivals
    from gatewayd.returned import Returned
    from gatewayd.routing import Router
    from gatewayd.session import Session
    from gatewayd.spool import Spool

__all__ = ["Batch", "Bounds", "Onward", "Progress", "contact_types", "cut", "fetch", "filings", "order", "outcomes"]

#: The first and the longest wait of a key that could not be had, in seconds.
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of one batch. A message above the bytes makes a batch of its own."""

    #: More make fewer commits, and each commit writes the same pages of the indexes again; fewer file what came sooner.
    messages: int = 200
    #: Bytes as the server says; a message of unknown size counts as one MiB.
    size: int = 16 << 20
    #: The largest message that is fetched, in bytes. A spool holds at most this and twice ``size``.
    message: int = MESSAGE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it came, in its spool."""

    asked: Sequence[Waiting]
    came: Sequence[Fetched]
    spool: Spool
    #: What ended the session in the middle of the batch; the keys not in ``came`` then keep waiting.
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """How mail of one account goes on."""

    account: str = ""
    #: None: nothing is sent on, and no Message-ID is proven to be ours.
    router: Router | None = None
    #: Rules fire for old mail, too: a person asked for it.
    forward: bool = False

    def returned(self, mails: Sequence[Mail]) -> Mapping[int, Returned]:
        """Return what mails bring back of our own, by their ids."""
        return self.router.returned(mails) if self.router else {}

    def owned(self, filed: Mapping[int, list[Filing]], back: Mapping[int, Returned]) -> dict[int, list[Filing]]:
        """Return new filings by mail: what comes back is filed for those alone whose deliveries it comes back from."""
        if self.router is None:
            return dict(filed)
        return {mail_id: list(self.router.owned(self.account, each, back[mail_id])) for mail_id, each in filed.items()}

    def routed(
        self, filed: Sequence[tuple[Mail, Filing]], *, new: Collection[int] = (), back: Mapping[int, Returned]
    ) -> list[tuple[int, Filing]]:
        """Return filings of a batch, as (mail id, filing), with what is sent on; of what they follow, only mail of ours is left.

        ``new`` has the ids of the mails for which rules fire in any case, ``back`` what the mails bring back.
        """
        if self.router is None:
            return [(mail.id, replace(filing, follows=()) if filing.follows else filing) for mail, filing in filed]
        fire = {mail.id for mail, _ in filed} if self.forward else new
        return self.router.routed(self.account, filed, fire=fire, back=back)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a visit is."""

    account: str
    folder: str
    #: Keys done in this visit, and keys known to be there for it.
    done: int
    total: int


def cut(waiting: Iterable[Waiting], bounds: Bounds) -> Iterator[Sequence[Waiting]]:
    """Cut waiting keys into batches bounded by count and bytes."""
    batch: list[Waiting] = []
    size = 0
    for one in waiting:
        more = one.listed.size if one.listed.size is not None else 1 << 20
        if batch and (len(batch) >= bounds.messages or size + more > bounds.size):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += more
    if batch:
        yield batch


def fetch(session: Session, folder: str, asked: Sequence[Waiting], spool: Spool, largest: int = MESSAGE_BYTES) -> Batch:
    """Fetch one batch into its spool; what came before an error is kept. Runs in the session's thread.

    What is listed above ``largest`` bytes is not asked for, and of nothing more than its bound is kept.
    """
    wanted = [one.listed for one in asked if (one.listed.size or 0) <= largest]
    came: list[Fetched] = [_above(one.listed, largest) for one in asked if (one.listed.size or 0) > largest]
    left = {one.key for one in wanted}
    error: BaseException | None = None
    spool.expect(wanted, largest)
    try:
        for one in session.fetch(folder, wanted, spool) if wanted else ():
            came.append(_expected(one, left))  # noqa: PERF401  an error in the middle must keep what came before
    except TooLarge as caught:
        came += [Failed(key=key, cause=caught.message) for key in left & {spool.broken}]
        error = caught
    except BaseException as caught:  # noqa: BLE001  it is raised again when what came before is filed
        error = caught
    try:
        spool.seal()
    except GatewaydError as caught:
        spool.close()
        raise error or caught from caught
    return Batch(asked=asked, came=came, spool=spool, error=error)


def _above(listed: Listed, largest: int) -> Failed:
    return Failed(
        key=listed.key, cause=f"it has {listed.size} bytes, and `limits.message_bytes` allows {largest}: raise that to have it"
    )


def _expected(one: Fetched, left: set[str]) -> Fetched:
    if not isinstance(one, Came | Gone | Failed):
        raise TypeError(f"it yielded {type(one).__name__}, expected Came, Gone or Failed")
    if one.key not in left:
        raise ValueError(f"it answered for {one.key!r} twice, or was never asked for it")
    left.remove(one.key)
    return one


def order(batch: Batch, recipes: Sequence[Recipe], imports: ImportConfig) -> Order:
    """Return what is to be examined of the batch."""
    now = datetime.now(UTC)
    return Order(
        letters=tuple(Letter(waiting.entry_id, one.source, waiting.listed.arrival or now) for waiting, one in _came(batch)),
        recipes=tuple(recipes),
        contact_types=contact_types(imports),
    )


def outcomes(
    batch: Batch,
    examined: Examined,
    imports: ImportConfig,
    owner: str | None,
    *,
    onward: Onward = Onward(),
    ours: bool = False,
) -> Sequence[Outcome]:
    """Return what became of each key of the batch. ``ours``: it was our doing if the session ended."""
    asked = {one.listed.key: one for one in batch.asked}
    done: list[Outcome] = []
    for one in batch.came:
        waiting = asked.pop(one.key)
        if isinstance(one, Gone):
            done.append(Vanished(entry_id=waiting.entry_id, cause=one.cause))
        elif isinstance(one, Failed):
            done.append(_deferred(waiting, one.cause))
    if batch.error is None:
        done += [_deferred(waiting, "the server did not answer for it") for waiting in asked.values()]
    elif not (ours or batch.came or isinstance(batch.error, AuthError | PermanentError)):
        # It may be this very message that ends sessions: next time others go first (P4).
        why = batch.error.message if isinstance(batch.error, GatewaydError) else where(batch.error)
        done.append(_deferred(batch.asked[0], f"the session ended when it was fetched: {why}"))
    return [*done, *_decided(batch, examined, imports, owner, onward)]


def _came(batch: Batch) -> Iterator[tuple[Waiting, Came]]:
    asked = {one.listed.key: one for one in batch.asked}
    return ((asked[one.key], one) for one in batch.came if isinstance(one, Came))


def _decided(batch: Batch, examined: Examined, imports: ImportConfig, owner: str | None, onward: Onward) -> Iterator[Outcome]:
    found = examined.findings
    undecided = "; ".join(f"operator {one.operator}: {one.undecided}" for one in found if one.undecided)
    going: dict[int, list[Filing]] = {mail.id: [] for mail in examined.mails}
    back = onward.returned(examined.mails) if not undecided else {}
    if not undecided:
        filed = onward.owned(filings(examined.mails, found, owner=owner, queue=imports.error_queue), back)
        new = {waiting.entry_id for waiting, _ in _came(batch) if not waiting.backlog}
        for mail_id, filing in onward.routed(
            [(mail, each) for mail in examined.mails for each in filed[mail.id]], new=new, back=back
        ):
            going[mail_id].append(filing)
    for mail, (waiting, one) in zip(examined.mails, _came(batch), strict=True):
        if undecided:
            yield _deferred(waiting, undecided)
        elif not going[mail.id]:
            yield NotAdmitted(entry_id=mail.id, anchor=mail.anchor, cause="from nobody of the account's contact types")
        else:
            yield Filed(
                entry_id=mail.id,
                mail=mail,
                digest=one.digest,
                filings=tuple(going[mail.id]),
                owed=imports.after,
                key=one.key,
                backlog=waiting.backlog,
                bounce=onward.router.bounce(mail, back[mail.id]) if onward.router else None,
            )


def contact_types(imports: ImportConfig) -> ContactTypes:
    """Return an account's ``contact_types`` as a job carries them."""
    return tuple((kind, tuple(words)) for kind, words in imports.contact_types.items())


def _deferred(waiting: Waiting, cause: str) -> Deferred:
    wait = min(_FIRST_WAIT * 2 ** min(waiting.tries, 20), _LONGEST_WAIT)
    return Deferred(entry_id=waiting.entry_id, cause=cause, retry_after=wait * random.uniform(0.8, 1.2))  # noqa: S311  jitter


def filings(mails: Sequence[Mail], findings: Sequence[Findings], *, owner: str | None, queue: str) -> dict[int, list[Filing]]:
    """Return each mail's filings, one for every operator that admits it."""
    filed: dict[int, list[Filing]] = {mail.id: [] for mail in mails}
    parser = {mail.id: [FilingFault("parser", fault) for fault in mail.faults] for mail in mails if mail.faults}
    for found in findings:
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
        for mail_id in filed.keys() - found.refused:
            filing = Filing(
                operator=found.operator,
                owner=owner,
                links=tuple(links.get(mail_id, ())),
                rivals=tuple(rivals.get(mail_id, ())),
                faults=tuple(faults.get(mail_id, ())),
                follows=tuple(follows.get(mail_id, ())),
                queue=queue,
            )
            filed[mail_id].append(filing)
    return filed
