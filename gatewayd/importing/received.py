"""One batch is cut from what waits and fetched, and what comes is held against what was listed.

What a server sends in place of a message is never taken for it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatewayd.api.evidence import difference, fits
from gatewayd.api.sizes import REREAD_AFTER, Sizes
from gatewayd.api.spool import MESSAGE_BYTES, SpoolFailed
from gatewayd.api.values import Came, Failed, Gone, Listed
from gatewayd.errors import GatewaydError, TooLarge, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Waiting
    from gatewayd.api.session import Session
    from gatewayd.api.spool import Spool
    from gatewayd.api.values import Fetched
    from gatewayd.config import LimitsConfig

__all__ = ["Batch", "Bounds", "Received", "cut", "fetch", "received"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of a visit and of each of its batches. A message above the bytes makes a batch of its own."""

    #: More make fewer commits, and each commit writes the same pages of the indexes again; fewer file what came sooner.
    messages: int = 200
    #: Bytes as the server says; a message of unknown size counts as one MiB.
    size: int = 16 << 20
    #: The largest message that is fetched, in bytes. A spool holds at most this and twice ``size``, and as much again of what is
    #: fetched twice.
    message: int = MESSAGE_BYTES
    #: How many bytes a server may send in a visit, how many new messages are listed, and how many seconds it may take
    #: before it ends with what it is at.
    visit_bytes: int = 16 << 30
    visit_messages: int = 50_000
    visit_time: float = 3600.0
    #: How many seconds after it was filed a message is fetched once more that is of another size than the server lists.
    reread_after: float = REREAD_AFTER

    @classmethod
    def of(cls, limits: LimitsConfig) -> Bounds:
        """Return what the config's limits say."""
        return cls(
            messages=limits.batch_messages,
            size=limits.batch_bytes,
            message=limits.message_bytes,
            visit_bytes=limits.visit_bytes,
            visit_messages=limits.visit_messages,
            visit_time=limits.visit_time,
            reread_after=limits.reread_after,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it came, in its spool."""

    asked: Sequence[Waiting]
    came: Sequence[Fetched]
    spool: Spool
    #: What ended the session in the middle of the batch; the keys not in ``came`` then keep waiting.
    error: BaseException | None = None
    #: What came before it was not believed: the first message that did not come at all.
    broke_at: Waiting | None = None
    #: See ``Received``.
    sizes: Mapping[str, int] = field(default_factory=dict)
    unlike: Mapping[str, int] = field(default_factory=dict)

    @property
    def disk_failed(self) -> bool:
        """Whether our own disk ended it, and no message: one that is alone may be too large for it, and lets others go first."""
        return isinstance(self.error, SpoolFailed) and len(self.asked) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came of a batch, as far as it can be believed."""

    fetched: Sequence[Fetched]
    #: The sizes that the server lists by now, by key, where they are others than before.
    sizes: Mapping[str, int]
    #: Keys whose bytes are not of the size that the server still lists, each with that size. They came twice the same, but where
    #: the server's sizes are estimates.
    unlike: Mapping[str, int]
    #: What ended the session when it was asked again.
    error: BaseException | None = None


def received(
    asked: Sequence[Listed],
    came: Sequence[Fetched],
    *,
    error: BaseException | None,
    look_up: Callable[[Sequence[str]], Iterable[Listed]],
    again: Callable[[Sequence[Listed]], tuple[Sequence[Fetched], BaseException | None]],
    estimates: Callable[[Sizes], bool],
) -> Received:
    """Return what can be believed of what came; where its size is not the one that was listed, the server is asked again.

    ``error`` is what broke it off. ``look_up`` asks what is there now; ``again`` fetches once more, and returns what came and
    what broke that off. Gone is what the server no longer has, and the size that it says by now counts. What is of no such size
    waits, or is ``unlike``. ``estimates`` says whether the server's sizes are no more than that, going by those of this batch:
    then nothing is fetched once more at once.
    """
    listed = {one.key: one for one in asked}
    odd = {one.key: one for one in came if isinstance(one, Came) and not fits(one.source, listed[one.key].size)}
    # What ends the session leaves nobody to ask: what came well is kept, and the rest waits.
    well = Received(fetched=[one for one in came if one.key not in odd], sizes={}, unlike={}, error=error)
    if not odd:
        return well
    exact = sum(one.key not in odd and listed[one.key].size is not None for one in came if isinstance(one, Came))
    try:
        if error is not None:
            # Where all is fetched once more anyway, it is kept: else no mail would come that stands before one that ends sessions.
            return _unasked(well, came, listed, odd) if estimates(Sizes(exact=exact, other=len(odd))) else well
        judged = _Judged(listed, odd)
        judged.look([one for one in look_up(list(odd)) if one.key in odd])
        inexact = estimates(Sizes(exact=exact, other=len(judged.wanted)))
    except Exception as caught:  # noqa: BLE001  it is raised when what came well is filed
        return replace(well, error=error or kept(caught))
    found, broken = (None, None) if inexact else again(judged.wanted)
    judged.compare(found)
    fetched = [
        judged.fetched[one.key] if one.key in odd else one for one in came if one.key not in odd or one.key in judged.fetched
    ]
    return Received(fetched=fetched, sizes=judged.sizes, unlike=judged.unlike, error=broken)


def _unasked(well: Received, came: Sequence[Fetched], listed: Mapping[str, Listed], odd: Iterable[str]) -> Received:
    sizes = ((key, listed[key].size) for key in odd)
    return replace(well, fetched=came, unlike={key: size for key, size in sizes if size is not None})


class _Judged:
    """Messages that came with other sizes than were listed, one by one."""

    def __init__(self, listed: Mapping[str, Listed], odd: Mapping[str, Came]) -> None:
        self._listed = listed
        self._odd = odd
        self.fetched: dict[str, Fetched] = {}
        self.sizes: dict[str, int] = {}
        self.unlike: dict[str, int] = {}
        #: What is to be fetched once more, as the server lists it now.
        self.wanted: list[Listed] = []

    def look(self, now: Sequence[Listed]) -> None:
        """Take in what the server says of them now."""
        times = Counter(one.key for one in now)
        there = {one.key: one for one in now}
        for key, one in self._odd.items():
            again = there.get(key)
            if again is None:
                cause = "expunged while it was fetched; what the server sent in its place is not kept"
                self.fetched[key] = Gone(key=key, cause=cause)
            elif times[key] > 1:
                self.fetched[key] = Failed(key=key, cause=f"{times[key]} messages are listed under its key")
            elif moved := difference(Listed(key, None, self._listed[key].arrival), Listed(key, None, again.arrival)):
                self.fetched[key] = Failed(key=key, cause=f"another message has its key by now: {moved}")
            elif again.size != self._listed[key].size and again.size is not None and fits(one.source, again.size):
                self._takes(one, again.size)
            else:
                self.wanted.append(again if again.size is not None else self._listed[key])

    def compare(self, again: Sequence[Fetched] | None) -> None:
        """Take in what came when they were fetched once more; None where they were not: what came at first is as good."""
        wanted = {one.key: one for one in self.wanted}
        fetched = [self._odd[key] for key in wanted] if again is None else again
        for one in fetched:
            if not isinstance(one, Came):
                self.fetched[one.key] = one
                continue
            size = wanted[one.key].size
            if size is None or fits(one.source, size):
                self._takes(one, size)
            elif one.digest == self._odd[one.key].digest:
                self.fetched[one.key] = one
                self.unlike[one.key] = size
            else:
                lengths = f"{self._odd[one.key].source.size}, then {one.source.size}"
                cause = f"the server lists {size} bytes, and sends others each time: {lengths}"
                self.fetched[one.key] = Failed(key=one.key, cause=cause)

    def _takes(self, one: Came, size: int | None) -> None:
        self.fetched[one.key] = one
        if size is not None and size != self._listed[one.key].size:
            self.sizes[one.key] = size


# --- a batch is fetched -----------------------------------------------------------------------------------------------


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


def fetch(
    session: Session,
    folder: str,
    asked: Sequence[Waiting],
    spool: Spool,
    largest: int = MESSAGE_BYTES,
    *,
    estimates: Callable[[Sizes], bool] = lambda sizes: sizes.are_estimates,
) -> Batch:
    """Fetch one batch into its spool; what came before an error is kept. Runs in the session's thread.

    What is listed above ``largest`` bytes is not asked for, and of nothing more than its bound is kept. ``estimates``: see
    ``received``.
    """
    listed = [one.listed for one in asked]
    wanted = [one for one in listed if (one.size or 0) <= largest]
    above = [_above(one, largest) for one in listed if (one.size or 0) > largest]
    came, error = _fetched(session, folder, wanted, spool, largest)
    try:
        spool.seal()
        had = received(
            wanted,
            came,
            error=error,
            look_up=lambda keys: session.look_up(folder, keys),
            again=lambda odd: _fetched_again(session, folder, odd, spool, largest),
            estimates=estimates,
        )
    except GatewaydError as caught:
        spool.close()
        raise error or caught from caught
    return Batch(
        asked=asked,
        came=[*above, *had.fetched],
        spool=spool,
        error=had.error,
        broke_at=_unanswered(asked, [*above, *came]) if error else None,
        sizes=had.sizes,
        unlike=had.unlike,
    )


def _unanswered(asked: Sequence[Waiting], came: Sequence[Fetched]) -> Waiting | None:
    """Return the first message of which nothing was said."""
    answered = {one.key for one in came}
    return next((one for one in asked if one.listed.key not in answered), None)


def _fetched(
    session: Session, folder: str, wanted: Sequence[Listed], spool: Spool, largest: int
) -> tuple[list[Fetched], BaseException | None]:
    """Return what came, and what broke it off; it is raised again when what came before is filed."""
    came: list[Fetched] = []
    left = {one.key for one in wanted}
    spool.expect(wanted, largest)
    try:
        for one in session.fetch(folder, wanted, spool) if wanted else ():
            # Only what was asked for, and once: its guard has seen to that.
            left.discard(one.key)
            came.append(one)
    except TooLarge as caught:
        return [*came, *(Failed(key=key, cause=caught.sentences) for key in left & {spool.broken})], caught.alone()
    except BaseException as caught:  # noqa: BLE001  see above
        return came, kept(caught)
    return came, None


def _fetched_again(
    session: Session, folder: str, wanted: Sequence[Listed], spool: Spool, largest: int
) -> tuple[list[Fetched], BaseException | None]:
    found = _fetched(session, folder, wanted, spool, largest)
    spool.seal()
    return found


def _above(listed: Listed, largest: int) -> Failed:
    return Failed(
        key=listed.key, cause=f"it has {listed.size} bytes, and `limits.message_bytes` allows {largest}: raise that to have it"
    )
