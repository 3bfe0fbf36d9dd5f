"""Decide the result of a try of a delivery: delivered, waiting for its next try, or parked. Pure: no clock, store or network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.api.delivery import Settled
from gatewayd.api.timestamps import span
from gatewayd.errors import AuthError, TransientError, joined
from gatewayd.message.control_characters import clean
from gatewayd.outgoing.provenance import server_ids
from gatewayd.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatewayd.api.delivery import DeliveryState, Recipient, Taken
    from gatewayd.api.forwarder import Receipt
    from gatewayd.config.models.main import LimitsConfig
    from gatewayd.errors import GatewaydError

__all__ = ["Policy"]

#: Seconds after the first failure of a delivery; its longest wait is so many times that of a destination.
_FIRST, _TIMES = 60.0, 4
#: Seconds after the first failure of a destination, and the longest pause after refused log-ins.
_FIRST_OF_DESTINATION, _LONGEST_PAUSE = 10.0, 3600.0
#: So many characters of another side's words are kept.
_LONGEST_WORDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long to wait between tries, and when to give up."""

    #: Seconds after which a delivery is parked.
    give_up: float
    #: Between two tries of a delivery that its server does not take yet.
    again: Backoff
    #: Between two tries of a destination whose server can't be reached.
    destination: Backoff
    #: Between two tries of a destination where one side could not prove who it is.
    pause: Backoff

    @classmethod
    def of(cls, limits: LimitsConfig) -> Policy:
        """Return the policy that the config's limits make."""
        return cls(
            give_up=limits.give_up,
            again=Backoff(first=_FIRST, longest=_TIMES * limits.backoff),
            destination=Backoff(first=_FIRST_OF_DESTINATION, longest=limits.backoff),
            pause=Backoff(first=limits.auth_pause, longest=max(limits.auth_pause, _LONGEST_PAUSE)),
        )

    def settled(self, taken: Taken, receipt: Receipt, *, now: datetime, jitter: float) -> Settled:
        """Return what a receipt makes of a delivery.

        While one recipient waits it waits, until it is given up. Else it is delivered if all have it, and parked if one has not.
        ``jitter`` is from 0 to 1, as in ``Backoff``.
        """
        tried = tuple(replace(one, words=_bounded(one.words)) for one in receipt.recipients)
        taken_over = {one.words for one in receipt.recipients if one.state == "delivered"} if taken.delivery.account else set()
        ids = tuple(sorted({one for words in taken_over for one in server_ids(words[:_LONGEST_WORDS])}))
        said = {one.address: one for one in tried}
        everybody = [said.get(one.address, one) for one in taken.recipients]
        waiting = [one for one in everybody if one.state == "waiting"]
        if waiting:
            words = _words(waiting, of=len(everybody))
            found = self.postponed(taken, words, now=now, jitter=jitter, retry_after=receipt.retry_after)
            return replace(found, recipients=tried, server_ids=ids)
        lost = [one for one in everybody if one.state != "delivered"]
        words = _words(lost, of=len(everybody))
        state: DeliveryState = "parked" if lost else "delivered"
        return Settled(id=taken.id, tries=taken.tries, state=state, recipients=tried, words=words, server_ids=ids)

    def postponed(
        self,
        taken: Taken,
        words: str,
        *,
        now: datetime,
        jitter: float,
        retry_after: float | None = None,
        rest: float | None = None,
    ) -> Settled:
        """Return the result of an undecided try: the delivery waits, for ``rest`` seconds if given, or is given up."""
        age = (now - taken.entered_at).total_seconds()
        if age >= self.give_up:
            return self.refused(taken, f"given up after {span(age, in_full=True)}; last: {words}")
        due_in = self.again.wait(taken.tries + 1, jitter=jitter, retry_after=retry_after) if rest is None else rest
        return Settled(id=taken.id, tries=taken.tries, state="waiting", words=_bounded(words), due_in=due_in)

    @staticmethod
    def refused(taken: Taken, words: str) -> Settled:
        """Return the result of a delivery that no further try can help: parked, with the reason."""
        return Settled(id=taken.id, tries=taken.tries, state="parked", words=_bounded(words))

    def rest(self, error: GatewaydError, failures: int, *, jitter: float) -> float:
        """Return how many seconds a destination is left alone that failed so often in a row, at last by ``error``."""
        if isinstance(error, AuthError):
            return self.pause.wait(failures, jitter=jitter)
        asked = error.retry_after if isinstance(error, TransientError) else None
        return self.destination.wait(failures, jitter=jitter, retry_after=asked)


def _words(recipients: Sequence[Recipient], *, of: int) -> str:
    """Return the servers' words about recipients in one line; each with the recipient's address if there are several."""
    said = []
    for one in [one for one in recipients if one.words] or recipients:
        words = one.words or ("not taken yet" if one.state == "waiting" else one.state)
        said.append(f"{one.address}: {words}" if of > 1 else words)
    return _bounded(joined(dict.fromkeys(said)))


def _bounded(words: str) -> str:
    return clean(words).strip()[:_LONGEST_WORDS]
