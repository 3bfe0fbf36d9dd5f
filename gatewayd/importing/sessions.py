"""The sessions of one visit, one after the other: one that waited, or a new one, and another one once it broke."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gatewayd.registry.guarded_session import open_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from gatewayd.api.roles import Transport
    from gatewayd.api.session import Session
    from gatewayd.importing.meter import Meter
    from gatewayd.importing.session_calls import SessionCalls
    from gatewayd.importing.values import VisitTools

__all__ = ["Sessions"]


class Sessions:
    """Opens a session when it is needed. Used by the visit's thread; the session itself lives in its own."""

    def __init__(
        self, transport: Transport, waited: Session | None, *, tools: VisitTools, awaiting: SessionCalls, meter: Meter
    ) -> None:
        """``waited`` is a session that is open already."""
        self._transport = transport
        self._waited = waited
        self._tools = tools
        self._awaiting = awaiting
        self._meter = meter
        self._opening: Future[Session] | None = None
        self._session: Session | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session, broken or not; there is none where it could not be opened."""
        return self._session is not None

    def current(self) -> Session:
        """Return the session; one is opened where there is none, which may raise whatever its server has to say."""
        if self._session is None:
            waited, self._waited = self._waited, None
            self._opening = self._tools.fetcher.submit((lambda: waited) if waited else partial(open_session, self._transport))
            opened = self._awaiting.opened = self._awaiting.done(self._opening)
            self._meter.opened(opened, before=waited is not None)
            self._meter.check()
            self._tools.opened(opened)
            self._session = opened
        return self._session

    def close(self) -> Iterator[str]:
        """Close the session, and yield what kept it from that; whoever asks for it then gets another one."""
        opening, self._opening, self._session = self._opening, None, None
        if opening is not None:
            yield from self._awaiting.close(opening)
