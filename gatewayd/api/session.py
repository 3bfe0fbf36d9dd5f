"""What a transport opens: a session, and what it waits with for the server's word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.spool import Spool
    from gatewayd.api.values import Action, Fetched, Listed, Page

__all__ = ["Heard", "Session", "Watch"]


class Session(ABC):
    """One open, logged-in connection. Every method changes nothing on the server, except ``settle``."""

    @property
    def came(self) -> int:
        """How many bytes the server has sent since the session was opened, whatever they were; 0 where nobody counts.

        Asked for between two steps, by the thread that visits: a visit ends when more came than `limits.visit_bytes`. Does no I/O,
        and never raises.

            return self._connection.total
        """
        return 0

    @abstractmethod
    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """Yield the folder's keys behind ``cursor``, page by page (at most 1,000 keys each), oldest first.

        Called for each folder at each visit, by the thread that visits. ``None`` lists from the beginning. A cursor that
        the server no longer honours (renumbered) lists from the beginning with ``others_gone`` on the first page. Each
        page's cursor stands for the keys up to and with that page and remembers, over crashes, how far backlog reaches.
        A listing that goes on behind a cursor may begin with some of the last keys again: a message is its key *and* its size
        and arrival, so a key that was given to another message shows. What the server says beside its keys goes into
        ``Page.exists`` and ``Page.doubts``.
        A transport without cursors yields the whole folder as one page with ``others_gone``. Raises TransientError, or
        PermanentError where there is no such folder: the account's other folders go on.

            Page(keys=(Listed("7:12", 2048, arrival),), cursor="7 12 0", backlog=False)
        """

    @abstractmethod
    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """Yield those of ``keys`` that are in the folder now, with their sizes and arrivals as the server says them now.

        Called before something is settled, and where a message came that is not of the size that was listed. At most 1,000
        keys a call. Changes nothing. What is left out counts as gone: a message of which the server says nothing comes without
        size and arrival. Raises TransientError, also where the folder was renumbered since, or PermanentError where there is none.

            Listed("7:12", 2048, arrival)
        """

    @abstractmethod
    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        r"""Yield key and raw header block (at least Message-ID, Date, From, Subject) of each message still there.

        Called where keys may be old mail under new numbers, before something is settled that has no arrival, and for ``remote``. At
        most 1,000 keys a call. Marks nothing seen. Raises TransientError; a message that can't be had is left out.

            ("7:12", b"Message-ID: <1@example.com>\r\n...")
        """

    @abstractmethod
    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """Fetch the messages whole into the spool; yield for each key ``Came``, ``Gone`` or ``Failed``.

        Called a batch at a time (about 200 messages and 16 MiB; a larger message comes alone), by a thread that fetches
        while another files. Marks nothing seen. One message's trouble is yielded, never raised; TransientError is for a
        session that can't go on, and what was not yielded by then keeps waiting. Bytes are put as the server has them.

            yield spool.put(key, chunks_of_at_most_one_MiB)
        """

    @abstractmethod
    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """Do ``action`` to the messages on the server; what is no longer there counts as done.

        Called after the commit that filed them, if need be again by a later session, only for accounts that ask for it.
        Touches no other message: never a plain EXPUNGE. Raises TransientError, or PermanentError where the server can't.

            session.settle("INBOX", ["7:12"], Action(do="move", folder="Imported"))
        """

    @abstractmethod
    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """Return what would keep this account from working: missing folders, an action that the server can't do.

        Called by ``check --online`` only. Reads only. Each text says what is wrong and what to do about it.

            ["there is no folder 'Inbx'; the server has INBOX, Sent: correct `folders`"]
        """

    def watch(self, folder: str) -> Watch | None:
        """Let the server announce what comes to ``folder``, from now on; None where it can't.

        Called after a visit that went well, by the thread that visited. Until ``Watch.end`` returned, no other method but
        ``abort`` and ``close`` is called. Raises TransientError.

            watch = session.watch("INBOX")
        """
        del folder
        return None

    @abstractmethod
    def abort(self) -> None:
        """Break the connection, so that whatever step another thread is in raises TransientError at once.

        Called from any thread, at any time, also twice and after ``close``; does no I/O that could wait, and never raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Log out and close. Called once, by the thread that used it last, also after errors; never raises."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a watched server said since it was last listened to."""

    #: Something in the folder may have changed.
    news: bool = False
    #: The server answered the last ``renew``: the connection is alive, and nothing was missed until then.
    proven: bool = False


class Watch(ABC):
    """A session that waits for the server's word, such as IDLE (RFC 2177).

    A thread that waits for thousands of them in one selector calls ``fileno``, ``listen`` and ``renew``; none of these may wait.
    """

    #: How many seconds it lasts without a ``renew``; servers end an IDLE after 30 minutes.
    lasts: ClassVar[float] = 29 * 60

    @abstractmethod
    def fileno(self) -> int:
        """Return what a selector waits on."""

    @abstractmethod
    def listen(self) -> Heard:
        """Read all that has come, also what TLS or a buffer holds back, without waiting.

        Called when ``fileno`` is readable, and once before it is first waited on. Raises TransientError where the
        connection is lost or what comes makes no sense.
        """

    @abstractmethod
    def renew(self) -> None:
        """Let the server prove that it is still there: end the waiting and begin it anew, without missing anything.

        Sends only; the answer comes by ``listen``. Not called again before that. Raises TransientError.
        """

    @abstractmethod
    def end(self) -> bool:
        """End the waiting, so that the session is free again; whether something may have changed meanwhile.

        Called by the thread that visits next; waits for the server at most the account's ``timeout``. Raises TransientError.
        """
