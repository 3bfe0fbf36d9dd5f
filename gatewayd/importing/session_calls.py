"""A visit waits for its session's thread, and keeps its lease meanwhile."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, TypeVar

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.registry.loading import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from gatewayd.api.ledger import Lease
    from gatewayd.api.session import Session
    from gatewayd.importing.values import VisitTools

__all__ = ["SessionCalls", "VisitStopped"]

_T = TypeVar("_T")

#: How long the end of a session is waited for, in seconds.
_CLOSING = 5.0


class VisitStopped(Exception):
    """The visit was told to end."""


class SessionCalls:
    """Lets the session's thread do one step after the other, and waits for each."""

    def __init__(self, account: str, tools: VisitTools, lease: Lease) -> None:
        self._account = account
        self._tools = tools
        self._lease = lease
        #: The session, once it is open.
        self.opened: Session | None = None
        #: What the transport raised last: what is of the server or its connection, and not of the store.
        self.raised: GatewaydError | None = None

    def in_thread(self, call: Callable[..., _T], *args: object) -> _T:
        """Let the thread do this, and return what comes of it."""
        return self.done(self._tools.fetcher.submit(call, *args))

    def done(self, future: Future[_T]) -> _T:
        """Wait for the thread, and keep the lease meanwhile. Each of its steps has a deadline of its own."""
        try:
            while not wait([future], timeout=self._tools.patience).done:
                self.tick()
        except BaseException:
            self.abort()
            raise
        self.check(future.exception())
        return future.result()

    def abort(self) -> None:
        """The lease is lost, or the process ends: no step that the session is in may keep us. Who told us to stop sees to it."""
        if self.opened is not None and not self._tools.stopping():
            self.opened.abort()

    def close(self, opening: Future[Session]) -> Iterator[str]:
        """Close the session, behind whatever its thread still does; yield what kept it from that.

        Nothing is written any more, so the lease may end.
        """
        try:
            error = self._tools.fetcher.submit(_closed, opening).exception(_CLOSING)
        except TimeoutError:
            # It hangs in a connect, which nobody can abort, or its transport does not keep its word.
            yield f"the session was not closed within {_CLOSING:g} s"
            return
        if error is not None:
            yield f"the session was not closed: {where(error)}"

    def tick(self) -> None:
        """Renew the lease; raises VisitStopped where the visit is to end."""
        self._tools.store.renew(self._lease)
        self.stop()

    def stop(self) -> None:
        """Raise VisitStopped where the visit is to end."""
        if self._tools.stopping():
            raise VisitStopped

    def check(self, error: BaseException | None) -> None:
        """Raise what the transport raised; whatever is none of the five errors is its own fault."""
        if isinstance(error, GatewaydError):
            self.raised = error
            raise error
        if error is not None:
            self.raised = self.bug("transport", error)
            raise self.raised from error

    def bug(self, what: str, error: BaseException) -> PluginError:
        """Return the error of who broke its word."""
        return PluginError(f"the {what} of account {self._account} failed: {where(error)}")


def _closed(opening: Future[Session]) -> None:
    """Close the session, also one that opened when nobody waited for it any more."""
    if opening.exception() is None:
        opening.result().close()
