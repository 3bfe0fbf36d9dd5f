"""A transport in memory: a mailbox that a test fills and disturbs, and that remembers everything it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd import Action, Failed, Fetched, Gone, Listed, Page, PermanentError, Session, Spool, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Asked", "FakeTransport", "Step"]

#: What a session does. ``page`` and ``message`` come once for each page listed and each message fetched.
Step: TypeAlias = Literal["open", "listing", "page", "headers", "fetch", "message", "settle", "problems", "close"]

_FIRST_ARRIVAL = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """One step that the transport was asked for."""

    step: Step
    folder: str = ""
    keys: tuple[str, ...] = ()
    action: Action | None = None


@dataclass(slots=True)
class _Message:
    number: int
    raw: bytes
    listed_size: int | None
    arrival: datetime | None
    seen: bool = False
    #: Why it can't be had; empty where it can.
    fails: str = ""


@dataclass(slots=True)
class _Folder:
    generation: int = 1
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    messages: list[_Message] = field(default_factory=list)

    def key(self, message: _Message) -> str:
        return f"{self.generation}:{message.number}"

    def keyed(self) -> dict[str, _Message]:
        return {self.key(message): message for message in self.messages}


@dataclass(frozen=True, slots=True)
class _Trap:
    step: Step
    folder: str | None
    do: Callable[[], object]


class FakeTransport(Transport):
    r"""A mailbox in memory. It keeps the contract of ``Transport`` and ``Session``, unless ``on`` makes it break it.

    >>> transport = FakeTransport()
    >>> transport.deliver(b"Subject: Booking 756\r\n\r\n")
    '1:1'
    >>> [one.key for page in transport.open().listing("INBOX", None) for one in page.keys]
    ['1:1']
    >>> [asked.step for asked in transport.asked]
    ['open', 'listing', 'page']
    """

    kind = "fake"

    def __init__(
        self, folders: Iterable[str] = ("INBOX",), *, account: str = "fake", has_cursor: bool = True, page_size: int = 1000
    ) -> None:
        """``has_cursor`` False makes it like POP3: every listing is the whole folder, as one page."""
        super().__init__(Transport.Options(), account=account)
        self.has_cursor = has_cursor
        self.page_size = page_size
        #: Every step so far, oldest first.
        self.asked: list[Asked] = []
        #: Every (folder, key) that a listing ever gave.
        self.listed: set[tuple[str, str]] = set()
        #: Every (folder, key) that an action was ever done to, with the action, in their order.
        self.settled: list[tuple[str, str, Action]] = []
        #: How many sessions are open now.
        self.sessions = 0
        #: The folders of the mailbox, by name.
        self.folders = {name: _Folder() for name in folders}
        self._traps: list[_Trap] = []

    # --- the mailbox, from outside ----------------------------------------------------------------------------------

    def deliver(self, raw: bytes, folder: str = "INBOX", *, size: int | None = -1, arrival: datetime | None = None) -> str:
        """Put a message behind those that are there and return its key.

        Listings give ``size`` in place of its length (None: none at all) and ``arrival``, by default a minute after the
        message before.
        """
        there = self.folders[folder]
        message = _Message(next(there.numbers), raw, len(raw) if size == -1 else size, arrival)
        message.arrival = arrival or _FIRST_ARRIVAL + timedelta(minutes=message.number)
        there.messages.append(message)
        return there.key(message)

    def vanish(self, key: str, folder: str = "INBOX") -> None:
        """Delete a message; a session that listed it finds it gone."""
        there = self.folders[folder]
        there.messages.remove(there.keyed()[key])

    def renumber(self, folder: str = "INBOX") -> None:
        """Give every message another key; cursors of before no longer count."""
        there = self.folders[folder]
        there.generation += 1
        there.numbers = count(1)
        for message in there.messages:
            message.number = next(there.numbers)

    def fail(self, key: str, cause: str, folder: str = "INBOX") -> None:
        """Let a message be refused by ``fetch`` with this cause; an empty one lets it come again."""
        self.folders[folder].keyed()[key].fails = cause

    def keys(self, folder: str = "INBOX") -> list[str]:
        """Return the keys that are there now, oldest first."""
        return list(self.folders[folder].keyed())

    def seen(self, folder: str = "INBOX") -> list[str]:
        """Return the keys of what is marked seen."""
        return [key for key, message in self.folders[folder].keyed().items() if message.seen]

    def raw(self, folder: str = "INBOX") -> list[bytes]:
        """Return the messages that are there now, oldest first."""
        return [message.raw for message in self.folders[folder].messages]

    # --- what happens in a session ----------------------------------------------------------------------------------

    def on(self, step: Step, do: Callable[[], object] | BaseException, *, after: int = 0, folder: str | None = None) -> None:
        """When ``step`` comes next, but for ``after`` times, call ``do`` in the session's thread, or raise it: once.

        What ``do`` raises is raised to who asked; so it can be slow, lose the connection, or look at the store.
        """

        def run() -> None:
            if isinstance(do, BaseException):
                raise do
            do()

        self._traps += [_Trap(step, folder, lambda: None) for _ in range(after)]
        self._traps.append(_Trap(step, folder, run))

    def calm(self) -> None:
        """Forget what ``on`` said and did not come to pass."""
        self._traps.clear()

    def steps(self, step: Step) -> list[Asked]:
        """Return what was asked so far of one step."""
        return [asked for asked in self.asked if asked.step == step]

    def open(self) -> Session:
        """See ``Transport``."""
        self.ask(Asked("open"))
        self.sessions += 1
        return _FakeSession(self)

    def ask(self, asked: Asked) -> None:
        """Remember a step and do what ``on`` says of it. The session calls it."""
        self.asked.append(asked)
        for trap in self._traps:
            if trap.step == asked.step and trap.folder in {None, asked.folder}:
                self._traps.remove(trap)
                trap.do()
                return

    def folder(self, name: str) -> _Folder:
        """Return a folder. The session calls it."""
        if name not in self.folders:
            raise PermanentError(f"there is no folder {name!r}", advice=f"Folders are: {', '.join(self.folders)}.")
        return self.folders[name]


class _FakeSession(Session):
    def __init__(self, transport: FakeTransport) -> None:
        self._transport = transport
        self._open = True

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        self._transport.ask(Asked("listing", folder))
        there = self._transport.folder(folder)
        for page in self._whole(there, cursor) if not self._transport.has_cursor else self._pages(there, cursor):
            keys = tuple(one.key for one in page.keys)
            self._transport.ask(Asked("page", folder, keys))
            self._transport.listed.update((folder, key) for key in keys)
            yield page

    @staticmethod
    def _whole(there: _Folder, cursor: str | None) -> Iterator[Page]:
        keys = tuple(Listed(key, one.listed_size, one.arrival) for key, one in there.keyed().items())
        yield Page(keys=keys, cursor="whole", backlog=cursor is None, others_gone=True)

    def _pages(self, there: _Folder, cursor: str | None) -> Iterator[Page]:
        """Cursors are ``generation last-number backlog-up-to``."""
        words = (cursor or "").split(" ")
        generation, last, backlog = map(int, words) if len(words) == 3 and all(map(str.isdigit, words)) else (0, 0, 0)  # noqa: PLR2004
        renumbered = cursor is not None and generation != there.generation
        if generation != there.generation:
            last = 0
        if cursor is None or renumbered:
            backlog = max((one.number for one in there.messages), default=0)
        behind = [one for one in there.messages if one.number > last]
        starts = range(0, len(behind), self._transport.page_size) if behind or last else (0,)
        for start in starts:
            page = behind[start : start + self._transport.page_size]
            last = page[-1].number if page else last
            yield Page(
                keys=tuple(Listed(there.key(one), one.listed_size, one.arrival) for one in page),
                cursor=f"{there.generation} {last} {backlog}",
                backlog=last <= backlog,
                others_gone=renumbered and start == 0,
            )

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        self._transport.ask(Asked("headers", folder, tuple(keys)))
        there = self._transport.folder(folder).keyed()
        for key in keys:
            if key in there:
                yield key, there[key].raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        self._transport.ask(Asked("fetch", folder, tuple(one.key for one in listed)))
        for key in [one.key for one in listed]:
            self._transport.ask(Asked("message", folder, (key,)))
            message = self._transport.folder(folder).keyed().get(key)
            if message is None:
                yield Gone(key=key)
            elif message.fails:
                yield Failed(key=key, cause=message.fails)
            else:
                yield spool.put(key, [message.raw])

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        self._transport.ask(Asked("settle", folder, tuple(keys), action))
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
                self._transport.deliver(message.raw, action.folder, arrival=message.arrival)

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        self._transport.ask(Asked("problems", action=action))
        wanted = [*folders, *([action.folder] if action and action.do == "move" else [])]
        return [
            f"there is no folder {name!r}: correct `folders` or `after`" for name in wanted if name not in self._transport.folders
        ]

    def close(self) -> None:
        self._transport.sessions -= self._open
        self._open = False
        self._transport.ask(Asked("close"))
