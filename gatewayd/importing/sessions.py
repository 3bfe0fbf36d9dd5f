"""Open, use and close the sessions of one visit, one after the other, in a thread of their own; keep the lease meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.registry.guarded_session import open_session
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from gatewayd.api.ledger import Lease
    from gatewayd.api.roles import Transport
    from gatewayd.api.session import Session
    from gatewayd.importing.meter import Meter
    from gatewayd.importing.values import VisitTools

__all__ = ["Sessions", "VisitStopped"]

_T = TypeVar("_T")

#: How long the end of a session is waited for, in seconds.
_CLOSING = 5.0


class VisitStopped(Exception):
    """The visit was told to end."""


class Sessions:
    """Opens a session when it is needed, and another one once it broke. Used by the visit's thread."""

    def __init__(
        self, account: str, transport: Transport, watched: Session | None, *, tools: VisitTools, lease: Lease, meter: Meter
    ) -> None:
        """``watched`` is a session that is open already; it is used first."""
        self._account = account
        self._transport = transport
        self._watched = watched
        self._tools = tools
        self._lease = lease
        self._meter = meter
        self._opening: Future[Session] | None = None
        self._session: Session | None = None
        #: What the transport raised last: the fault of the server or its connection, and not of the store.
        self.raised: GatewaydError | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session, broken or not; there is none where it could not be opened."""
        return self._session is not None

    def current(self) -> Session:
        """Return the session; one is opened where there is none, which may raise whatever its server answers."""
        if self._session is None:
            watched, self._watched = self._watched, None
            self._opening = self._tools.fetcher.submit(lambda: watched or open_session(self._transport))
            session = self.wait(self._opening)
            self._meter.opened(session, before=watched is not None)
            self._meter.check(gives_way=False)
            self._tools.opened(session)
            self._session = session
        return self._session

    def call(self, step: Callable[..., _T], *args: object) -> _T:
        """Call ``step(session, *args)`` in the session's thread, and return what comes of it."""
        return self.wait(self._tools.fetcher.submit(step, self.current(), *args))

    def ask(
        self, step: Callable[[Session, str, Sequence[str]], Iterable[_T]], folder: str, keys: Sequence[str], *, at_once: int = 1000
    ) -> list[_T]:
        """Call ``step(session, folder, keys)`` as ``call`` does, for so many of the keys at a time, and return all answers."""
        pieces = [keys[start : start + at_once] for start in range(0, len(keys), at_once)]
        return [each for piece in pieces for each in self.call(lambda *args: list(step(*args)), folder, piece)]

    def wait(self, future: Future[_T]) -> _T:
        """Wait for the session's thread, and keep the lease meanwhile. Each of its steps has a deadline of its own."""
        try:
            while not self._ended(future):
                self.keep_alive()
        except BaseException:
            self.abort()
            raise
        self.check(future.exception())
        return future.result()

    def _ended(self, future: Future[_T]) -> bool:
        """Wait for a while; return whether the future has ended."""
        try:
            future.exception(self._tools.patience)
        except TimeoutError:
            return future.done()
        return True

    def keep_alive(self) -> None:
        """Renew the lease; raises VisitStopped where the visit is to end."""
        self._tools.store.renew(self._lease)
        self.stop()

    def stop(self) -> None:
        """Raise VisitStopped where the visit is to end."""
        if self._tools.stopping():
            raise VisitStopped

    def check(self, error: BaseException | None) -> None:
        """Raise what the transport raised; whatever is not one of the five errors is a bug of the transport."""
        if isinstance(error, GatewaydError):
            self.raised = error
            raise error
        if error is not None:
            self.raised = PluginError(f"the transport of account {self._account} failed: {where(error)}")
            raise self.raised from error

    def abort(self) -> None:
        """Break the connection: the lease is lost, or the process ends, and the step that the session is in must not delay us.

        Where we were told to stop, whoever told us does this.
        """
        if self._session is not None and not self._tools.stopping():
            self._session.abort()

    def close(self) -> Iterator[str]:
        """Close the session once its thread is free, and yield why it could not be closed; ``current`` then opens another one.

        The lease is not renewed meanwhile: nothing is written any more.
        """
        opening, self._opening, self._session = self._opening, None, None
        if opening is None:
            return
        try:
            error = self._tools.fetcher.submit(_close, opening).exception(_CLOSING)
        except TimeoutError:
            # It hangs in a connect, which nobody can abort, or its transport does not keep its word.
            yield f"the session was not closed within {_CLOSING:g} s"
            return
        if error is not None:
            yield f"the session was not closed: {where(error)}"


def _close(opening: Future[Session]) -> None:
    """Close the session, also one that opened when nobody waited for it any more."""
    if opening.exception() is None:
        opening.result().close()
