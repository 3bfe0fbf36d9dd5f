"""Tell open pages that there is new mail: one look at the store for all, and a stream for each browser (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from gatewayd import GatewaydError, Query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from gatewayd import LastFiled, Reader, Viewer

__all__ = ["News"]

#: Seconds between two looks, and how far each looks back: a commit may be late.
_LOOK, _BACK = 0.5, 10.0
#: Seconds after which a stream says that it is alive, and looks whether the person is still logged in.
_ALIVE = 20.0
#: Streams at once, and of one web session: a browser has one, whatever its tabs.
_STREAMS, _OF_ONE = 1000, 4
_TOO_MANY = "too many streams"


class News:
    """Used in the event loop's thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        #: The streams, each with whom it is for, and what it waits for.
        self._streams: dict[asyncio.Event, Viewer] = {}
        self._by_session: dict[int, int] = {}
        self._seen: Mapping[tuple[str, str | None, str], datetime] = {}
        self._looking: asyncio.Task[None] | None = None

    def stream(self, token: str) -> EventSourceResponse | None:
        """Return the stream of a browser; None if there are too many."""
        person = self._reader.person(token)
        number = person.web_session.number if person else 0
        if person is None or len(self._streams) >= _STREAMS or self._by_session.get(number, 0) >= _OF_ONE:
            return None
        return EventSourceResponse(self._events(token, number, person.viewer), ping=int(_ALIVE))

    async def _events(self, token: str, number: int, viewer: Viewer) -> AsyncIterator[ServerSentEvent]:
        """Yield an event each time that there is new mail, until the person is logged in no more."""
        happened = asyncio.Event()
        self._streams[happened] = viewer
        self._by_session[number] = self._by_session.get(number, 0) + 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            while await run_in_threadpool(self._is_logged_in, token):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ALIVE):
                        await happened.wait()
                if happened.is_set():
                    happened.clear()
                    yield ServerSentEvent(event="mail", data="new")
                    # Mail comes in batches: a page is told once a second.
                    await asyncio.sleep(2 * _LOOK)
            yield ServerSentEvent(event="end", data="logged out")
        finally:
            del self._streams[happened]
            self._by_session[number] -= 1
            if not self._by_session[number]:
                del self._by_session[number]

    def _is_logged_in(self, token: str) -> bool:
        try:
            return self._reader.person(token) is not None
        except GatewaydError:
            # The store is away: nobody was logged out by that.
            return True

    async def _look(self) -> None:
        """Look for new mail as long as a page is open."""
        try:
            while self._streams:
                with suppress(GatewaydError):
                    for one in self._new(await run_in_threadpool(self._reader.store.last_filed, seconds=_BACK)):
                        await self._tell(one)
                await asyncio.sleep(_LOOK)
        finally:
            self._looking = None

    def _new(self, rows: Sequence[LastFiled]) -> list[LastFiled]:
        before, self._seen = self._seen, {(one.operator, one.user, one.account): one.filed_at for one in rows}
        return [one for one in rows if before.get((one.operator, one.user, one.account)) != one.filed_at]

    async def _tell(self, one: LastFiled) -> None:
        for happened, viewer in list(self._streams.items()):
            if viewer.operator == one.operator and (one.user is None or await run_in_threadpool(self._sees, viewer, one)):
                happened.set()

    def _sees(self, viewer: Viewer, one: LastFiled) -> bool:
        """Whether the viewer may see mail of a personal account; with whom it is shared, the store knows."""
        if one.user in viewer.users:
            return True
        return bool(self._reader.store.filings(viewer, Query(account=one.account, limit=1)))
