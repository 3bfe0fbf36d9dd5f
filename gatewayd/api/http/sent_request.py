"""A request that was sent, and its answer, which is still to come; it is sent anew where a kept connection proves to be closed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.api.http.exchange import AskedRequest, Exchange
from gatewayd.api.http.faults import BROKEN, AnswerLost, translated
from gatewayd.errors import GatewaydError, TooLarge, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gatewayd.api.http.under_way import UnderWay

__all__ = ["HttpStream", "SentRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStream:
    """An answer whose body is still to come: iterating yields it once, in pieces of at most 1 MiB, and ends only if it is whole.

    Iterating raises AnswerLost for a body that is cut off, faulty or late, and TooLarge for one beyond its bound.
    """

    status: int
    #: The words behind the status; may be empty.
    reason: str
    #: Fields by their names in lower case; the values of a repeated one are joined by ``, ``.
    headers: Mapping[str, str] = field(repr=False)
    _pieces: Iterator[bytes] = field(repr=False)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class SentRequest:
    """A request that was sent, by ``HttpClient.send``. Its answer is taken by ``stream``, or it is let go by ``drop``.

    It is used by one thread at a time, which may have sent several.
    """

    def __init__(self, lines: UnderWay, asked: AskedRequest) -> None:
        """Send it. Raises as ``HttpClient.stream``."""
        self._lines = lines
        self._asked = asked
        kept = lines.take()
        if kept is None:
            self._send_anew(0)
            return
        self._exchange = Exchange(kept, asked, was_kept=True)
        if error := self._tried(self._exchange.send):
            self._repeat(error)

    @contextmanager
    def stream(self, *, anew: bool = False) -> Iterator[HttpStream]:
        """Give the answer when its head has come, once. Unless the block takes the whole body, the connection ends.

        The time until the head has come is counted from when the request was sent, or from now: ``anew``. That is for whoever has
        taken answers of other requests meanwhile.
        """
        if error := self._tried(lambda: self._exchange.receive(anew=anew)):
            self._repeat(error)
            if error := self._tried(lambda: self._exchange.receive(anew=False)):
                raise self._fault(error) from error
        head = self._exchange.head
        try:
            yield HttpStream(status=head.status, reason=head.reason, headers=head.headers, _pieces=self._body())
        finally:
            self._lines.release(self._exchange.line, keep=self._exchange.is_done)

    def drop(self) -> None:
        """Let it go: its answer is not waited for, and the connection ends. Never raises."""
        self._lines.release(self._exchange.line, keep=False)

    def _repeat(self, error: Exception) -> None:
        """Send it over a new connection, if a kept one proved to be closed; else raise what the error means."""
        first = self._exchange
        if not first.was_kept or self._lines.is_aborted or not first.is_repeatable(error):
            raise self._fault(error) from error
        self._send_anew(first.sent)

    def _send_anew(self, sent: int) -> None:
        """Send it over a new connection; ``sent``: how much of it went over an earlier one."""
        try:
            line = self._lines.open(most=self._asked.left())
        except GatewaydError as error:
            if sent:
                raise AnswerLost(error.message, advice=error.advice) from error
            raise
        self._exchange = Exchange(line, self._asked, was_kept=False, sent=sent)
        if broken := self._tried(self._exchange.send):
            raise self._fault(broken) from broken

    def _tried(self, step: Callable[[], object]) -> Exception | None:
        try:
            step()
        except BROKEN as error:
            self._lines.release(self._exchange.line, keep=False)
            return error.with_traceback(None)
        except BaseException:
            self._lines.release(self._exchange.line, keep=False)
            raise
        return None

    def _body(self) -> Iterator[bytes]:
        try:
            yield from self._exchange.body()
        except TooLarge as error:
            raise TooLarge(f"{self._lines.pool.where}: {self._asked.what}: {error.message}", advice=error.advice) from None
        except BROKEN as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> GatewaydError:
        where = f"{self._lines.pool.where}: {self._asked.what}"
        status, reason = self._exchange.status_of(error)
        if self._lines.is_aborted:
            error = TransientError(f"{where}: the connection was aborted")
        found = translated(error, where, self._lines.pool.field)
        if not self._exchange.sent:
            return found
        return AnswerLost(found.message, advice=found.advice, status=status, reason=reason)
