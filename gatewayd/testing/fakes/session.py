"""The session of a fake transport, on a mailbox in memory."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from gatewayd import Action, Failed, Fetched, Gone, Listed, Page, Session, Spool, TransientError
from gatewayd.testing.fakes.mailbox import Asked
from gatewayd.testing.fakes.watch import FakeWatch, lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.testing.fakes.transport import FakeTransport

__all__ = ["FakeSession"]

#: A header block is cut behind so many bytes, as by transports that have a server send no more.
_HEADER = 1 << 15


class FakeSession(Session):
    """See ``FakeTransport``."""

    def __init__(self, transport: FakeTransport) -> None:
        self._transport = transport
        self._lost = threading.Event()
        #: What the last listing of a folder saw of its edge.
        self._edges: dict[str, tuple[int, int]] = {}
        self.watched: FakeWatch | None = None
        transport.connected(self)

    def step(self, asked: Asked) -> None:
        """Do a step: it comes to nothing where the connection is lost, before it or in it."""
        self._raise_lost()
        self._transport.ask(asked)
        if self._transport.hangs(asked):
            self.wait()
        self._raise_lost()

    def cut(self) -> None:
        """Lose the connection."""
        self._lost.set()
        if watched := self.watched:
            watched.cut()

    def wait(self) -> None:
        """Wait for a server that says nothing."""
        if not self._lost.wait(self._transport.timeout):
            raise TransientError(f"fake: no answer within {self._transport.timeout:g} s")
        raise lost()

    def _raise_lost(self) -> None:
        if self._lost.is_set():
            raise lost()

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``."""
        self.step(Asked("listing", folder))
        there = self._transport.folder(folder)
        self._edges[folder] = there.edge()
        transport = self._transport
        behind = partial(there.pages, size=transport.page_size, overlap=transport.overlap)
        pages = behind(cursor) if transport.has_cursor else there.whole(cursor)
        for page in pages:
            keys = tuple(one.key for one in page.keys)
            self.step(Asked("page", folder, keys))
            self._transport.listed.update((folder, key) for key in keys)
            yield page

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``."""
        self.step(Asked("look_up", folder, tuple(keys)))
        wanted = set(keys)
        there = self._transport.folder(folder)
        yield from (one for one in there.listed(list(there.messages)) if one.key in wanted)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``."""
        self.step(Asked("headers", folder, tuple(keys)))
        there = self._transport.folder(folder).keyed()
        for key in keys:
            if key in there:
                yield key, (there[key].raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")[:_HEADER]

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``."""
        self.step(Asked("fetch", folder, tuple(one.key for one in listed)))
        for key in [one.key for one in listed]:
            self.step(Asked("message", folder, (key,)))
            message = self._transport.folder(folder).keyed().get(key) or self._transport.wherever(key)
            if message is None and self._transport.placeholder is None:
                yield Gone(key=key)
            elif message is None:
                yield spool.put(key, [self._transport.placeholder or b""])
            elif message.fails:
                yield Failed(key=key, cause=message.fails)
            else:
                yield spool.put(key, [message.sent()])

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``."""
        self.step(Asked("settle", folder, tuple(keys), action))
        there = self._transport.folder(folder)
        target = self._transport.folder(action.folder) if action.do == "move" else None
        for key, message in there.keyed().items():
            if key not in keys:
                continue
            self._transport.settled.append((folder, key, action))
            if action.do == "seen":
                message.seen = True
                continue
            there.messages.remove(message)
            if target is not None:
                self._transport.arrive(message, action.folder)

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        self.step(Asked("problems", action=action))
        wanted = [*folders, *([action.folder] if action and action.do == "move" else [])]
        return [
            f"there is no folder {name!r}: correct `folders` or `after`" for name in wanted if name not in self._transport.folders
        ]

    def watch(self, folder: str) -> FakeWatch | None:
        """See ``Session``."""
        self.step(Asked("watch", folder))
        there = self._transport.folder(folder)
        if not self._transport.can_watch:
            return None
        watch = self.watched = FakeWatch(self, folder)
        if self._edges.get(folder) != there.edge():
            watch.announce()
        return watch

    def unwatched(self) -> None:
        """Forget the watch, which has ended or never will."""
        watched, self.watched = self.watched, None
        if watched:
            watched.close()

    def abort(self) -> None:
        """See ``Session``."""
        self._transport.asked.append(Asked("abort"))
        self.cut()

    def close(self) -> None:
        """See ``Session``."""
        self._lost.set()
        self.unwatched()
        self._transport.disconnected(self)
        self._transport.ask(Asked("close"))
