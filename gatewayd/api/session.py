"""The open connection to a mail server that a transport gives (``Session``), and the watch that waits for news (``Watch``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gatewayd.api.offers import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.spool import Spool
    from gatewayd.api.values import Action, Fetched, Listed, Page

__all__ = ["Heard", "Session", "Watch"]


class Session(ABC):
    """One open, logged-in connection. Every method changes nothing on the server, except ``settle``."""

    @property
    def came(self) -> int:
        """How many bytes the server has sent since the session was opened, of any kind; 0 if the transport does not count.

        Read between two steps, by the thread that visits: a visit ends when more came than `limits.visit_bytes`. Does no I/O, and
        never raises.

            return self._connection.total
        """
        return 0

    @abstractmethod
    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """Yield the folder's keys behind ``cursor``, page by page (at most 1,000 keys each), oldest first.

        Called for each folder at each visit, in the session's thread. ``None`` lists from the beginning. If the server no
        longer honours the cursor, because it renumbered the folder, list from the beginning, with ``others_gone`` on the first
        page. Each page's cursor covers the keys up to and with that page, and remembers over crashes how far backlog reaches.
        A listing behind a cursor may begin with some of the last keys again: a message is its key *and* its size and arrival,
        so that a key that was given to another message shows. ``Page.exists`` and ``Page.doubts`` take what else the server says.
        A transport without cursors yields the whole folder as one page with ``others_gone``. Raises TransientError, or
        PermanentError where there is no such folder: the account's other folders go on.

            Page(keys=(Listed("7:12", 2048, arrival),), cursor="7 12 0", backlog=False)
        """

    def compare(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """Yield all of the folder's keys once more, page by page, to be compared with the ledger.

        Called about once a day, after ``listing`` has come to ``cursor``, and by ``audit``; in the session's thread. Keys that it
        lacks count as gone if it has as many as ``Page.exists`` says. Each page has a cursor by which ``listing`` goes on, and
        loses nothing that came after ``cursor``. By default a listing from the beginning; for servers where that leaves something
        behind. Raises as ``listing``.

            Page(keys=(Listed("7:12", 2048, arrival),), cursor=cursor, backlog=True, exists=1)
        """
        del cursor
        return self.listing(folder, None)

    @abstractmethod
    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """Yield those of ``keys`` that are in the folder now, with their sizes and arrivals as the server says them now.

        Called before an action is settled, and if a message came with another size than was listed. At most 1,000 keys a call.
        Changes nothing. A key that is left out counts as gone: yield a message of which the server says nothing without size
        and arrival. Raises TransientError, also if the folder was renumbered since, or PermanentError if there is no such folder.

            Listed("7:12", 2048, arrival)
        """

    @abstractmethod
    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        r"""Yield key and raw header block (at least Message-ID, Date, From, Subject) of each message still there.

        Called if keys may be old mail under new numbers, and before an action is settled on mail without an arrival. At most
        1,000 keys a call. Marks nothing seen. Raises TransientError; a message that can't be had is left out.

            ("7:12", b"Message-ID: <1@example.com>\r\n...")
        """

    def summaries(self, folder: str, keys: Sequence[str]) -> Iterator[Summary]:
        r"""Yield what a person chooses by, of each message still there.

        Called once for each key that is offered. At most 1,000 keys a call. Marks nothing seen. By default it reads what
        ``headers`` yields, which must have To and Content-Type then. Raises TransientError; a message that can't be had is left
        out.

            Summary.of("7:12", b"From: anna@example.com\r\n...")
        """
        return (Summary.of(key, block) for key, block in self.headers(folder, keys))

    @abstractmethod
    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """Fetch the messages whole into the spool; yield for each key ``Came``, ``Gone`` or ``Failed``.

        Called a batch at a time (about 200 messages and 16 MiB; a larger message comes alone), in the session's thread, while
        another thread files. Marks nothing seen. Trouble with one message is yielded, never raised; TransientError is for a
        session that can't go on, and messages that were not yielded by then keep waiting. Put bytes as the server has them.

            yield spool.put(key, chunks_of_at_most_one_MiB)
        """

    @abstractmethod
    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """Do ``action`` to the messages on the server; a message that is no longer there counts as done.

        Called after the commit that filed them, if need be again in a later session, only for accounts that ask for it.
        Touches no other message: never a plain EXPUNGE. Raises TransientError, or PermanentError if the server can't do it.

            session.settle("INBOX", ["7:12"], Action(do="move", folder="Imported"))
        """

    @abstractmethod
    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """Return the reasons why this account would not work, such as missing folders, or an action that the server can't do.

        Called by ``check --online`` only. Reads only. Each text says what is wrong and what to do about it.

            ["there is no folder 'Inbx'; the server has INBOX, Sent: correct `folders`"]
        """

    def watch(self, folder: str) -> Watch | None:
        """Have the server announce new mail in ``folder`` from now on; None if it can't.

        Called after a visit that went well, by the thread that visited. Until ``Watch.end`` returned, no other method but
        ``abort`` and ``close`` is called. Raises TransientError.

            watch = session.watch("INBOX")
        """
        del folder
        return None

    @abstractmethod
    def abort(self) -> None:
        """Break the connection, so that a step that another thread is in raises TransientError at once.

        Called from any thread, at any time, also twice and after ``close``; does no I/O that could wait, and never raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Log out and close. Called once, by the thread that used it last, also after errors; never raises."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a watched server announced since the last ``listen``."""

    #: Something in the folder may have changed.
    news: bool = False
    #: The server answered the last ``renew``: the connection is alive, and nothing was missed until then.
    proven: bool = False


class Watch(ABC):
    """A session that waits for news from the server, for instance by IDLE (RFC 2177).

    One thread waits for thousands of them in one selector. It calls ``fileno``, ``listen`` and ``renew``, none of which may block.
    """

    #: How many seconds it lasts without a ``renew``; servers end an IDLE after 30 minutes.
    lasts: ClassVar[float] = 29 * 60

    @abstractmethod
    def fileno(self) -> int:
        """Return the file descriptor for a selector."""

    @abstractmethod
    def listen(self) -> Heard:
        """Read all that has come, also what TLS or a buffer holds back, without blocking.

        Called when ``fileno`` is readable, and once before it is first waited on. Raises TransientError if the connection is lost
        or the answers make no sense.
        """

    @abstractmethod
    def renew(self) -> None:
        """Have the server prove that it is still there: end the wait and begin it anew, without missing anything.

        Only sends; ``listen`` reads the answer. Not called again before that. Raises TransientError.
        """

    @abstractmethod
    def end(self) -> bool:
        """End the wait, so that the session is free again; whether something may have changed meanwhile.

        Called before the next visit, in the session's thread; waits for the server at most the account's ``timeout``. Raises
        TransientError.
        """
