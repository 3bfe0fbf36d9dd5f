"""Requests of Microsoft Graph in flight: one, which is made again if Microsoft puts it off, and several of one thread."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import AnswerLost, GatewaydError, retry_after
from gatewayd_office365.graph_faults import GraphAnswer
from gatewayd_office365.graph_requests import GraphStream
from gatewayd_office365.json_objects import json_object
from gatewayd_office365.pace import OF_MAILBOX, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatewayd import HttpStream, SentRequest
    from gatewayd_office365.graph import GraphClient
    from gatewayd_office365.graph_requests import GraphRequest
    from gatewayd_office365.pace import Turn

__all__ = ["REFUSAL_BYTES", "Attempt", "InFlight", "SeveralInFlight"]

#: How many bytes an answer may have that is no success.
REFUSAL_BYTES = 1 << 18
_PART, _UNAUTHORIZED, _THROTTLED = 206, 401, 429
#: Statuses that say "later".
_LATER = frozenset({_THROTTLED, 500, 502, 503, 504, 509})
#: What the same request would be answered by again.
_FOR_GOOD = frozenset({"errorcontentconversionfailed"})
#: How often a request is made, if it is put off each time: the app was throttled, and anything else.
_TRIES, _TRIES_OTHER = 8, 4


@dataclass(slots=True)
class Attempt:
    """A request, and what became of it so far."""

    asked: GraphRequest
    tries: int = 0
    #: The token that was refused last.
    refused: str = ""


class InFlight:
    """A request in flight, from ``GraphClient.begin``. Its answer is taken by ``answer``, or it is let go by ``drop``."""

    def __init__(self, graph: GraphClient, attempt: Attempt, *, turn: Turn, token: str, sent: SentRequest) -> None:
        self._graph = graph
        self.attempt = attempt
        self._turn = turn
        self._token = token
        self._sent = sent
        #: After its answer: the request is to be made again; or in a later visit, because of this refusal.
        self.is_put_off = False
        self.error: GatewaydError | None = None
        attempt.tries += 1

    @contextmanager
    def answer(self, *, anew: bool = False) -> Iterator[GraphStream]:
        """Give the answer, which counts unless there is an ``error``, or ``is_put_off``. In flight until the block ends.

        ``anew``: see ``SentRequest.stream``. Raises AnswerLost.
        """
        try:
            with self._sent.stream(anew=anew) as sent:
                stream = self._read(sent)
                self._judge(stream.refusal)
                yield stream
        finally:
            self._turn.end()

    def drop(self) -> None:
        """Let it go without its answer. Never raises."""
        self._sent.drop()
        self._turn.end()

    def _read(self, sent: HttpStream) -> GraphStream:
        asked = self.attempt.asked
        pieces = self._graph.counted(sent)
        if 200 <= sent.status < 300:  # noqa: PLR2004  the classes of RFC 9110
            self._refuse_changed(sent)
            return GraphStream(status=sent.status, headers=sent.headers, pieces=pieces)
        data = json_object(_beginning(pieces, REFUSAL_BYTES)) or {}
        refusal = GraphAnswer(status=sent.status, headers=sent.headers, data=data, where=self._graph.named(asked))
        return GraphStream(status=sent.status, headers=sent.headers, pieces=iter(()), refusal=refusal)

    def _refuse_changed(self, sent: HttpStream) -> None:
        """Raise AnswerLost for a body that is coded or a part, though neither was asked for: it is not what Exchange sent."""
        if sent.status == _PART or sent.headers.get("content-encoding", "identity").lower() != "identity":
            raise AnswerLost(
                f"{self._graph.named(self.attempt.asked)}: "
                f"the answer was changed on its way: it is a part, or coded (HTTP {sent.status})",
                advice="See to the proxy between this machine and `graph`.",
            )

    def _judge(self, refusal: GraphAnswer | None) -> None:
        """Decide whether the request is to be made again: now, or in a later visit."""
        attempt = self.attempt
        if refusal is None or (refusal.status not in _LATER and refusal.status != _UNAUTHORIZED) or refusal.code in _FOR_GOOD:
            self._turn.succeeded()
            return
        if refusal.status == _UNAUTHORIZED:
            if attempt.refused:
                self.error = refusal.error
            attempt.refused, self.is_put_off = self._token, not attempt.refused
            return
        throttled = refusal.status == _THROTTLED
        wait = self._turn.put_off(throttled=throttled, retry_after=retry_after(refusal.headers))
        if refusal.status in attempt.asked.back or not (throttled or attempt.asked.repeat):
            return
        if wait > PATIENCE or attempt.tries >= (_TRIES if throttled else _TRIES_OTHER):
            self.error = refusal.error
            self.error.retry_after = wait  # type: ignore[attr-defined]  # what says "later" is a TransientError
        else:
            self.is_put_off = True


class SeveralInFlight:
    """Has several requests of one client in flight, as many as their app's pace allows, and gives them in their order.

    One thread does it all, each request on its own connection: while it takes one answer, the others are on their way. The first
    request waits for its turn, further ones begin only where nobody has to wait for them.
    """

    def __init__(self, graph: GraphClient, requests: Iterable[GraphRequest]) -> None:
        self._graph = graph
        self._todo = deque(map(Attempt, requests))
        self._begun: deque[InFlight] = deque()
        self._error: GatewaydError | None = None

    @property
    def is_aborted(self) -> bool:
        """Whether the client was aborted."""
        return self._graph.is_aborted

    def __iter__(self) -> Iterator[InFlight]:
        """Yield each request, the oldest first, for its answer to be taken before the next one is asked for.

        Raises what ``stop`` was told, or why a request could not begin, when all that are in flight have been given.
        """
        while True:
            self._begin()
            if not self._begun:
                break
            yield self._begun.popleft()
        if self._error is not None:
            raise self._error

    def answers(self) -> Iterator[GraphAnswer]:
        """Yield the whole answers of JSON, also refusals. Raises as iterating does."""
        for one in self:
            with one.answer(anew=True) as stream:
                if one.error is not None:
                    self.stop(one.error)
                    continue
                if one.is_put_off:
                    self.again(one)
                    continue
                answer = self._graph.whole(one.attempt.asked, stream)
            yield answer

    def again(self, one: InFlight) -> None:
        """Make a request again, before those that have not begun."""
        self._todo.appendleft(one.attempt)

    def stop(self, error: GatewaydError) -> None:
        """Begin no more: the server wants to be asked later. What is in flight is given still."""
        self._error = self._error or error

    def close(self) -> None:
        """Let go what is in flight. Never raises."""
        while self._begun:
            self._begun.popleft().drop()

    def _begin(self) -> None:
        while self._todo and self._error is None and len(self._begun) < OF_MAILBOX:
            try:
                begun = self._graph.begin_now(self._todo[0]) if self._begun else self._graph.begin(self._todo[0])
            except GatewaydError as error:
                self._error = error.alone()
                return
            if begun is None:
                return
            self._begun.append(begun)
            self._todo.popleft()


def _beginning(pieces: Iterator[bytes], most: int) -> bytes:
    """Return a body, or, where it has more than ``most`` bytes, as much of it as has come by then."""
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > most:
            break
    return bytes(found)
