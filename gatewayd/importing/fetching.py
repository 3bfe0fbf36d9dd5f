"""Cut what waits into batches, fetch a batch, and check what comes against what was listed.

A server may send something else in place of a message, such as an error text: that is never taken for the message.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatewayd.api.evidence import difference, fits
from gatewayd.api.sizes import Sizes
from gatewayd.api.spool import MESSAGE_BYTES, SpoolFailed
from gatewayd.api.values import Came, Failed, Gone, Listed
from gatewayd.errors import GatewaydError, TooLarge, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Waiting
    from gatewayd.api.session import Session
    from gatewayd.api.spool import Spool
    from gatewayd.api.values import Fetched

__all__ = ["Batch", "UnsizedMessages", "cut", "fetch"]

#: Bytes that a message of unknown size counts as, and seconds that a batch of such messages takes about.
_UNKNOWN, _TURN = 1 << 20, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it came, in its spool."""

    asked: Sequence[Waiting]
    came: Sequence[Fetched]
    spool: Spool
    #: The error that ended the session in the middle of the batch; keys that are not in ``came`` then keep waiting.
    error: BaseException | None = None
    #: The first message of which the server said nothing at all, if the session ended.
    broke_at: Waiting | None = None
    #: By key, the sizes that the server lists now, where they are not those of the listing.
    sizes: Mapping[str, int] = field(default_factory=dict)
    #: By key, the size that the server still lists, where the bytes have another length. The same bytes came twice, unless the
    #: server's sizes are estimates.
    unlike: Mapping[str, int] = field(default_factory=dict)

    @property
    def disk_failed(self) -> bool:
        """Whether our own disk ended it, and no message did. A message that was alone may be too large for the disk: it waits."""
        return isinstance(self.error, SpoolFailed) and len(self.asked) > 1


class UnsizedMessages:
    """Guesses how large messages are whose sizes a server does not list, and how many come in time, by those that came before."""

    def __init__(self) -> None:
        #: How many came, their bytes, and the seconds that it took: one value, since two threads use it.
        self._came = (0, 0, 0.0)

    @property
    def size(self) -> int:
        """How many bytes one is taken for: twice the mean, and at most 1 MiB, which the first ones count as."""
        count, size, _ = self._came
        return min(_UNKNOWN, 2 * size // count) if count else _UNKNOWN

    @property
    def most(self) -> int:
        """How many of them come in a few seconds, by when a visit may have to give way. A batch has one at least."""
        count, _, seconds = self._came
        return int(_TURN * count / seconds) if seconds else sys.maxsize

    def learn(self, batch: Batch, seconds: float) -> None:
        """Take in a batch that took so many seconds. After an error all is unknown again: it may have been too large."""
        unsized = {one.listed.key for one in batch.asked if one.listed.size is None}
        sizes = [one.source.size for one in batch.came if isinstance(one, Came) and one.key in unsized]
        if batch.error is not None:
            self._came = (0, 0, 0.0)
        elif sizes:
            count, size, before = self._came
            self._came = (count + len(sizes), size + sum(sizes), before + seconds)


def cut(
    waiting: Iterable[Waiting], *, messages: int, size: int, unsized: UnsizedMessages | None = None
) -> Iterator[Sequence[Waiting]]:
    """Cut waiting keys into batches of at most so many messages and bytes.

    Bytes are those that the server lists, or else what ``unsized`` guesses; a larger message than ``size`` comes alone.
    """
    guess = unsized or UnsizedMessages()
    batch: list[Waiting] = []
    has = 0
    for one in waiting:
        listed = one.listed.size
        more, most = (guess.size, min(messages, guess.most)) if listed is None else (listed, messages)
        if batch and (len(batch) >= most or has + more > size):
            yield batch
            batch, has = [], 0
        batch.append(one)
        has += more
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

    A message that is listed with more than ``largest`` bytes is not asked for, and of each no more than its bound is kept.
    ``estimates`` is called with how many sizes of the batch are right and wrong, and says whether the server's sizes are only
    estimates. If our own disk fails, closes the spool and raises that, or the error that broke the fetch off before.
    """
    wanted = [one.listed for one in asked if (one.listed.size or 0) <= largest]
    why = "it has {} bytes, and `limits.message_bytes` allows {}: raise that to have it"
    above = [one.listed for one in asked if (one.listed.size or 0) > largest]
    came, error = _fetched(session, folder, wanted, spool, largest)
    batch = Batch(
        asked=asked,
        came=[*(Failed(key=one.key, cause=why.format(one.size, largest)) for one in above), *came],
        spool=spool,
        error=error,
    )
    if error is not None:
        answered = {one.key for one in batch.came}
        batch = replace(batch, broke_at=next((one for one in asked if one.listed.key not in answered), None))
    try:
        spool.seal()
        sizes = {one.key: one.size for one in wanted}
        odd = {one.key: one for one in came if isinstance(one, Came) and not fits(one.source, sizes[one.key])}
        return _checked(session, folder, batch, odd, largest=largest, estimates=estimates) if odd else batch
    except GatewaydError as caught:
        spool.close()
        raise error or caught from caught


def _fetched(
    session: Session, folder: str, wanted: Sequence[Listed], spool: Spool, largest: int
) -> tuple[list[Fetched], BaseException | None]:
    """Return what came, and the error that broke it off, which is raised once what came before is filed."""
    came: list[Fetched] = []
    left = {one.key for one in wanted}
    spool.expect(wanted, largest)
    try:
        for one in session.fetch(folder, wanted, spool) if wanted else ():
            # Only what was asked for, and once: the session's guard checks that.
            left.discard(one.key)
            came.append(one)
    except TooLarge as caught:
        return [*came, *(Failed(key=key, cause=caught.sentences) for key in left & {spool.broken})], caught.alone()
    except BaseException as caught:  # noqa: BLE001  see above
        return came, kept(caught)
    return came, None


# --- what came with another size than was listed ----------------------------------------------------------------------


def _checked(
    session: Session, folder: str, batch: Batch, odd: Mapping[str, Came], *, largest: int, estimates: Callable[[Sizes], bool]
) -> Batch:
    """Return the batch with what can be believed of ``odd``, the messages with other sizes than were listed, by key.

    The server is asked for their sizes again: a message that it no longer has is gone, and the size that it lists now counts. A
    message that still has another size is fetched once more, unless the server's sizes are estimates. If the same bytes come,
    it is ``unlike``; else it waits.
    """
    listed = {one.listed.key: one.listed for one in batch.asked}
    well = [one for one in batch.came if one.key not in odd]
    exact = sum(listed[one.key].size is not None for one in well if isinstance(one, Came))
    try:
        if batch.error is not None:
            # The session ended, so the server can't be asked. If sizes are estimates, all is fetched once more later, and what
            # came is kept: else no mail would ever come that is fetched with a message that ends sessions.
            if not estimates(Sizes(exact=exact, other=len(odd))):
                return replace(batch, came=well)
            return replace(batch, unlike={key: size for key in odd if (size := listed[key].size) is not None})
        check = _SizeCheck(listed, odd)
        check.look([one for one in session.look_up(folder, list(odd)) if one.key in odd])
        inexact = estimates(Sizes(exact=exact, other=len(check.wanted)))
    except Exception as caught:  # noqa: BLE001  it is raised once what came well is filed
        return replace(batch, came=well, error=batch.error or kept(caught))
    # Where sizes are estimates, what came at first is as good as what would come now.
    again: Sequence[Fetched] = [odd[one.key] for one in check.wanted]
    error = None
    if not inexact:
        again, error = _fetched(session, folder, check.wanted, batch.spool, largest)
        batch.spool.seal()
    check.compare(again)
    came = [check.fetched.get(one.key, one) for one in batch.came if one.key not in odd or one.key in check.fetched]
    return replace(batch, came=came, error=error, sizes=check.sizes, unlike=check.unlike)


class _SizeCheck:
    """Decides what to believe of messages that came with other sizes than were listed, one by one."""

    def __init__(self, listed: Mapping[str, Listed], odd: Mapping[str, Came]) -> None:
        self._listed = listed
        self._odd = odd
        self.fetched: dict[str, Fetched] = {}
        self.sizes: dict[str, int] = {}
        self.unlike: dict[str, int] = {}
        #: Messages to be fetched once more, as the server lists them now.
        self.wanted: list[Listed] = []

    def look(self, now: Sequence[Listed]) -> None:
        """Take in how the server lists them now."""
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

    def compare(self, again: Sequence[Fetched]) -> None:
        """Take in what came when they were fetched once more."""
        wanted = {one.key: one for one in self.wanted}
        for one in again:
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
