"""The transport ``imap`` and its session: folders are opened read-only, messages named by UID, bodies fetched by PEEK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Gone, PermanentError, Session, Summary, TransientError, Transport
from gatewayd_imap.bodies import HEADER, LARGE, Wanted, bodies, fetched, fetched_large
from gatewayd_imap.connect import capabilities, connect, drop, hang_up
from gatewayd_imap.folder_names import in_quotes
from gatewayd_imap.listing import ListingStart, pages
from gatewayd_imap.options import ImapOptions
from gatewayd_imap.problems import problems
from gatewayd_imap.reading import FolderReader
from gatewayd_imap.settle import settle
from gatewayd_imap.uids import uid_of
from gatewayd_imap.watch import Idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Action, Fetched, Listed, Page, Spool, Watch
    from gatewayd_imap.client import MailBox
    from gatewayd_imap.reading import OpenedFolder

__all__ = ["Imap", "ImapSession"]

#: In part: anybody may send a mail whose subject has megabytes, and the answer for all is bounded.
_HEADERS = Wanted(f"(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]<0.{HEADER}>)")
#: What a person chooses by. A server sends them in the order that they have in the message, and To may be long.
_SUMMARY = Wanted(f"(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM TO SUBJECT CONTENT-TYPE)]<0.{HEADER}>)")


class Imap(Transport):
    """Reads mail from an IMAP mailbox (RFC 3501)."""

    kind = "imap"
    standard_ports = frozenset({143, 993})
    Options = ImapOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: ImapOptions

    def open(self) -> ImapSession:
        """See ``Transport``."""
        return ImapSession(self.options, connect(self.options))


class ImapSession(Session):
    """A mailbox that is logged in to, with at most one folder open."""

    def __init__(self, options: ImapOptions, mailbox: MailBox) -> None:
        self._options = options
        self._mailbox = mailbox
        self._client = mailbox.client
        self._reading = FolderReader(options, mailbox)
        #: What the last listing of each folder found.
        self._found: dict[str, ListingStart] = {}
        self._can_idle: bool | None = None
        #: The IDLE that was not ended yet.
        self._idle: Idle | None = None
        self._closed = False

    @property
    def came(self) -> int:
        """See ``Session``."""
        return self._client.connection.total

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``: UID SEARCH for what there is, then size and arrival of 1,000 at a time."""
        return pages(self._reading, folder, cursor, self._found)

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``: size and arrival of these UIDs."""
        return self._reading.look_up(folder, keys)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``: BODY.PEEK of the four headers that a message is known again by."""
        return self._heads(folder, keys, _HEADERS)

    def summaries(self, folder: str, keys: Sequence[str]) -> Iterator[Summary]:
        """See ``Session``: BODY.PEEK of six headers."""
        return (Summary.of(key, head) for key, head in self._heads(folder, keys, _SUMMARY))

    def _heads(self, folder: str, keys: Sequence[str], what: Wanted) -> Iterator[tuple[str, bytes]]:
        opened = self._reading.reopen(folder)
        wanted = {uid: text for text in keys if (uid := uid_of(text, opened.uidvalidity))}
        for uid, head in bodies(self._reading, opened, list(wanted), what):
            if isinstance(head, bytes):
                yield wanted[uid], head

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``: BODY.PEEK[] of many at once, large ones piece by piece."""
        opened = self._reading.reopen(folder)
        wanted: dict[int, Listed] = {}
        for one in listed:
            uid = uid_of(one.key, opened.uidvalidity)
            if uid is None:
                yield Gone(key=one.key, cause="the server has renumbered the folder")
            else:
                wanted[uid] = one
        large = {uid: one for uid, one in wanted.items() if (one.size or 0) > LARGE}
        yield from fetched(self._reading, opened, {uid: one for uid, one in wanted.items() if uid not in large}, spool)
        for uid, one in large.items():
            yield fetched_large(self._reading, opened, uid, one, spool)

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``: STORE, MOVE, or UIDPLUS, on the folder opened for writing.

        What reads next opens it read-only again, which leaves it without expunging (RFC 3501 section 6.3.2).
        """
        opened = self._reading.open(folder, writable=True)
        uids = [uid for text in keys if (uid := uid_of(text, opened.uidvalidity))]
        if len(uids) < len(keys):
            # It is there under another key, perhaps: the next listing finds out, and the action stays owed.
            raise TransientError(
                f"{self._options.where}: folder {in_quotes(folder)} was renumbered before this could be done: {action}"
            )
        settle(self._mailbox, self._options, uids, action)

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        self._reading.forget()
        return problems(self._mailbox, folders, action)

    def watch(self, folder: str) -> Watch | None:
        """See ``Session``: IDLE, where the server has it."""
        if self._can_idle is None:
            with self._client.step("CAPABILITY"):
                self._can_idle = "IDLE" in capabilities(self._mailbox)
        if not self._can_idle:
            return None
        try:
            opened = self._reading.open(folder)
        except PermanentError:
            # It went since it was listed; the next listing says so.
            return None
        # What came since the listing is never announced: EXAMINE counts it as there.
        news = self._has_more(opened, self._found.get(folder))
        self._idle = Idle(self._client, exists=opened.exists, news=news)
        self._can_idle = self._idle.begin()
        return self._idle if self._can_idle else None

    def abort(self) -> None:
        """See ``Session``."""
        self._client.connection.cut()

    def close(self) -> None:
        """See ``Session``. A connection in IDLE, or that broke in it, is not waited for."""
        if self._closed:
            return
        self._closed = True
        if self._idle and not self._idle.ended:
            self._idle.leave()
            drop(self._client)
        else:
            hang_up(self._client)

    def _has_more(self, opened: OpenedFolder, found: ListingStart | None) -> bool:
        """Whether mail came since it was listed; mail that went is none (RFC 3501 section 2.3.1.1)."""
        if found is None or found.opened.uidvalidity != opened.uidvalidity:
            return True
        if opened.uidnext and found.opened.uidnext:
            return opened.uidnext != found.opened.uidnext
        # Without UIDNEXT one message in and one out leaves EXISTS as it was.
        highest = self._reading.highest(opened) if opened.exists != 0 else 0
        return opened.exists != found.opened.exists if highest is None else highest > found.highest
