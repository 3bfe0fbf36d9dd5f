"""A transport in memory: a test fills its mailbox and makes its server fail, and it remembers every step."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from gatewayd import Action, PermanentError, Transport
from gatewayd.message.mail import BytesSource, parse
from gatewayd.testing.fakes.mailbox import Asked, FakeMessage, Folder, Step
from gatewayd.testing.fakes.session import FakeSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatewayd.testing.fakes.watch import FakeWatch

__all__ = ["Asked", "FakeTransport", "Step"]

_FIRST_ARRIVAL = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Trap:
    step: Step
    folder: str | None
    do: Callable[[], object]


class FakeTransport(Transport):
    r"""A mailbox in memory. It keeps the contract of ``Transport`` and ``Session``, unless ``on`` makes it break it.

    It may be used by several threads: sessions by theirs, the mailbox from outside.

    ``has_cursor`` False makes it like POP3: every listing is the whole folder, as one page. With a cursor, listings begin with the
    last ``overlap`` messages before it.
    ``can_watch`` lets sessions watch; ``timeout`` is how many seconds they wait for a server that says nothing.
    ``keys_span_folders`` makes it like Microsoft Graph: a message keeps its key in every folder, listings give no sizes but
    Message-IDs, and each fetch makes other bytes.

    >>> transport = FakeTransport()
    >>> transport.deliver(b"Subject: Booking 756\r\n\r\n")
    '1:1'
    >>> [one.key for page in transport.open().listing("INBOX", None) for one in page.keys]
    ['1:1']
    >>> [asked.step for asked in transport.asked]
    ['open', 'listing', 'page']
    """

    kind = "fake"
    #: The group that shares a limit, and the limit, which a test may change at any time.
    in_group: str = ""
    most_of_group: int | None = None

    def __init__(
        self,
        folders: Iterable[str] = ("INBOX",),
        *,
        account: str = "fake",
        has_cursor: bool = True,
        page_size: int = 1000,
        overlap: int = 0,
        can_watch: bool = False,
        timeout: float = 5.0,
        keys_span_folders: bool = False,
    ) -> None:
        """See the class for what the keywords do."""
        super().__init__(Transport.Options(), account=account)
        # Not `self.keys_span_folders = ...`: to a type checker it is the class's alone.
        vars(self)["keys_span_folders"] = keys_span_folders
        self._ids = count(1)
        self.has_cursor = has_cursor
        self.page_size = page_size
        self.overlap = overlap
        #: What ``fetch`` sends in place of a message that is gone, as some servers do; None where it says that it is gone.
        self.placeholder: bytes | None = None
        self.can_watch = can_watch
        self.timeout = timeout
        #: Every step so far, oldest first.
        self.asked: list[Asked] = []
        #: Every (folder, key) that a listing ever gave.
        self.listed: set[tuple[str, str]] = set()
        #: Every (folder, key) that an action was ever done to, with the action, in their order.
        self.settled: list[tuple[str, str, Action]] = []
        #: How many sessions are open now.
        self.sessions = 0
        #: The folders of the mailbox, by name.
        self.folders = {name: Folder() for name in folders}
        self._lock = threading.Lock()
        self._traps: list[_Trap] = []
        self._hangs: list[_Trap] = []
        self._connections: list[FakeSession] = []

    def group(self) -> str:
        """See ``Transport``."""
        return self.in_group

    def group_limit(self) -> int | None:
        """See ``Transport``."""
        return self.most_of_group

    # --- the mailbox, from outside ----------------------------------------------------------------------------------

    def deliver(self, raw: bytes, folder: str = "INBOX", *, size: int | None = -1, arrival: datetime | None = None) -> str:
        """Put a message behind those that are there, tell all who watch, and return its key.

        Listings give ``size`` in place of its length (None: none at all) and ``arrival``, by default a minute after the
        message before.
        """
        there = self.folders[folder]
        with self._lock:
            message = FakeMessage(there.number(), raw, len(raw) if size == -1 else size, arrival)
            message.arrival = arrival or _FIRST_ARRIVAL + timedelta(minutes=message.number)
            if self.keys_span_folders:
                message.uidl, message.listed_size, message.made = f"id{next(self._ids)}", None, 0
                message.listed_id = parse(BytesSource(raw)).message_id
            there.messages.append(message)
        self.announce(folder)
        return there.key(message)

    def move(self, key: str, folder: str, to: str) -> None:
        """Move a message to another folder, as people do."""
        message = self.message(key, folder)
        self.folders[folder].messages.remove(message)
        self.arrive(message, to)

    def arrive(self, message: FakeMessage, folder: str) -> None:
        """Put a message that was moved behind those of a folder; its key stays only if keys span folders."""
        if not self.keys_span_folders:
            self.deliver(message.raw, folder, arrival=message.arrival)
            return
        there = self.folders[folder]
        message.number = there.number()
        there.messages.append(message)
        self.announce(folder)

    def vanish(self, key: str, folder: str = "INBOX") -> None:
        """Delete a message; a session that listed it finds it gone."""
        there = self.folders[folder]
        there.messages.remove(there.keyed()[key])

    def renumber(self, folder: str = "INBOX", *, arrival: datetime | None = None) -> None:
        """Give every message another key, and that arrival if one is given; cursors of before no longer count."""
        there = self.folders[folder]
        there.generation += 1
        there.next_number = 1
        # Where keys span folders, only the cursors of before are lost (HTTP 410 of Microsoft Graph).
        for message in there.messages:
            message.number = there.number()
            message.arrival = arrival or message.arrival

    def back_up(self, folder: str = "INBOX") -> Folder:
        """Return a copy of a folder as it is now."""
        return self.folders[folder].copy()

    def restore(self, backup: Folder, folder: str = "INBOX") -> None:
        """Put a folder back as it was: messages that come get numbers that were given before."""
        self.folders[folder] = backup.copy()

    def message(self, key: str, folder: str = "INBOX") -> FakeMessage:
        """Return a message, to be disturbed."""
        return self.folders[folder].keyed()[key]

    def fail(self, key: str, cause: str, folder: str = "INBOX") -> None:
        """Let a message be refused by ``fetch`` with this cause; an empty one lets it come again."""
        self.folders[folder].keyed()[key].fails = cause

    def keys(self, folder: str = "INBOX") -> list[str]:
        """Return the keys that are there now, oldest first."""
        return list(self.folders[folder].keyed())

    def wherever(self, key: str) -> FakeMessage | None:
        """Return a message of whichever folder, if keys span folders. The session calls it."""
        folders = list(self.folders.values()) if self.keys_span_folders else []
        return next((found for there in folders if (found := there.keyed().get(key))), None)

    def seen(self, folder: str = "INBOX") -> list[str]:
        """Return the keys of what is marked seen."""
        return [key for key, message in self.folders[folder].keyed().items() if message.seen]

    def raw(self, folder: str = "INBOX") -> list[bytes]:
        """Return the messages that are there now, oldest first."""
        return [message.raw for message in self.folders[folder].messages]

    # --- connections, from outside ----------------------------------------------------------------------------------

    def announce(self, folder: str = "INBOX") -> None:
        """Tell all who watch the folder that something came."""
        for watch in self.watches():
            if watch.folder == folder:
                watch.announce()

    def fall_silent(self) -> None:
        """Let nothing more come to those who watch now: no news, no answer. New sessions work."""
        for watch in self.watches():
            watch.silent = True

    def break_connections(self) -> None:
        """Break all connections that stand now, also those that are being opened. New sessions work."""
        with self._lock:
            broken = list(self._connections)
        for session in broken:
            session.cut()

    def watches(self) -> list[FakeWatch]:
        """Return who watches now."""
        with self._lock:
            return [session.watched for session in self._connections if session.watched]

    # --- what happens in a session ----------------------------------------------------------------------------------

    def on(self, step: Step, do: Callable[[], object] | BaseException, *, after: int = 0, folder: str | None = None) -> None:
        """When ``step`` comes next, but for ``after`` times, call ``do`` in the session's thread, or raise it: once.

        What ``do`` raises is raised to who asked; so it can be slow, lose the connection, or look at the store.
        """

        def run() -> None:
            if isinstance(do, BaseException):
                raise do
            do()

        with self._lock:
            self._traps += [*[_Trap(step, folder, lambda: None)] * after, _Trap(step, folder, run)]

    def hang(self, step: Step, *, after: int = 0, folder: str | None = None) -> None:
        """When ``step`` comes next, but for ``after`` times, let the server say nothing: once.

        The session waits until it is aborted or broken, or for ``timeout``, and raises TransientError.
        """
        with self._lock:
            self._hangs += [*[_Trap(step, folder, lambda: False)] * after, _Trap(step, folder, lambda: True)]

    def calm(self) -> None:
        """Forget what ``on`` and ``hang`` said and did not come to pass."""
        with self._lock:
            self._traps.clear()
            self._hangs.clear()

    def steps(self, step: Step) -> list[Asked]:
        """Return what was asked so far of one step."""
        return [asked for asked in self.asked if asked.step == step]

    def open(self) -> FakeSession:
        """See ``Transport``."""
        session = FakeSession(self)
        try:
            session.step(Asked("open"))
        except BaseException:
            with self._lock:
                self._connections.remove(session)
            raise
        with self._lock:
            self.sessions += 1
        return session

    def ask(self, asked: Asked) -> None:
        """Remember a step and do what ``on`` says of it. The session calls it."""
        self.asked.append(asked)
        if trap := self._sprung(self._traps, asked):
            trap.do()

    def hangs(self, asked: Asked) -> bool:
        """Whether the server says nothing to a step. The session calls it."""
        trap = self._sprung(self._hangs, asked)
        return bool(trap and trap.do())

    def connected(self, session: FakeSession) -> None:
        """Remember a connection. The session calls it."""
        with self._lock:
            self._connections.append(session)

    def disconnected(self, session: FakeSession) -> None:
        """Forget a connection, if it stands. The session calls it."""
        with self._lock:
            if session in self._connections:
                self._connections.remove(session)
                self.sessions -= 1

    def folder(self, name: str) -> Folder:
        """Return a folder. The session calls it."""
        if name not in self.folders:
            raise PermanentError(f"there is no folder {name!r}", advice=f"Folders are: {', '.join(self.folders)}.")
        return self.folders[name]

    def _sprung(self, traps: list[_Trap], asked: Asked) -> _Trap | None:
        with self._lock:
            found = [trap for trap in traps if trap.step == asked.step and trap.folder in {None, asked.folder}]
            if found:
                traps.remove(found[0])
            return found[0] if found else None
