"""The transport ``imap``: folders are opened read-only, messages are named by UID, and bodies are peeked at."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd import CHUNK, Came, Failed, Gone, Listed, Page, PermanentError, Session, TransientError, Transport
from gatewayd_imap.answers import BODY, arrival, number
from gatewayd_imap.client import Spooled
from gatewayd_imap.connect import capabilities, connect, cut, drop, hang_up
from gatewayd_imap.faults import errors, refused, said
from gatewayd_imap.numbers import MAX_UID, Cursor, chunks, key, uid_of, uid_set
from gatewayd_imap.options import ImapOptions
from gatewayd_imap.problems import problems
from gatewayd_imap.settle import settle
from gatewayd_imap.watch import Idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd import Action, Fetched, Spool, Watch
    from gatewayd_imap.client import Answers, MailBox

__all__ = ["Imap", "ImapSession"]

_PAGE = 1_000
#: Messages of one UID FETCH: those that came before a connection broke are kept, so more gains nothing.
_BATCH = 200
#: Larger messages are fetched piece by piece, so that no single answer takes a slow server longer than ``timeout``.
_LARGE = 4 << 20
_HEADERS = "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)])"


class Imap(Transport):
    """Reads mail from an IMAP mailbox (RFC 3501)."""

    kind = "imap"
    Options = ImapOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: ImapOptions

    def open(self) -> ImapSession:
        """See ``Transport``."""
        return ImapSession(self.options, connect(self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    folder: str
    uidvalidity: int
    #: How many messages there are, and the UID that the next message will have; None where the server does not say.
    exists: int | None
    uidnext: int | None

    def has_more_than(self, before: _Opened | None) -> bool:
        """Whether mail came since ``before``; mail that went is none (RFC 3501 section 2.3.1.1)."""
        if before is None or before.uidvalidity != self.uidvalidity:
            return True
        return self.uidnext != before.uidnext if self.uidnext else self.exists != before.exists


class _NotHad(Exception):
    """One message can't be had; its text says why."""


class ImapSession(Session):
    """A mailbox that is logged in to, with at most one folder open."""

    def __init__(self, options: ImapOptions, mailbox: MailBox) -> None:
        self._options = options
        self._mailbox = mailbox
        self._client = mailbox.client
        self._opened: _Opened | None = None
        #: What the last listing of each folder found when it began.
        self._listed: dict[str, _Opened] = {}
        self._can_idle: bool | None = None
        #: The IDLE that was not ended yet.
        self._idle: Idle | None = None
        self._closed = False

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``: UID SEARCH for what is new, then size and arrival of 1,000 at a time."""
        self._listed[folder] = opened = self._open(folder)
        before = Cursor.parse(cursor)
        known = before if before and before.uidvalidity == opened.uidvalidity else None
        last = known.last if known else 0
        # `n:*` always has the last message in it, also one below n (RFC 3501 section 6.4.8).
        uids = [uid for uid in self._search(f"{last + 1}:*") if uid > last] if opened.exists != 0 and last < MAX_UID else []
        there = opened.uidnext - 1 if opened.uidnext else max(uids, default=0)
        position = known or Cursor(uidvalidity=opened.uidvalidity, last=0, backlog_until=there)
        others_gone = before is not None and known is None
        if not uids and not known:
            yield Page(keys=(), cursor=str(position), backlog=True, others_gone=others_gone)
        old = [uid for uid in uids if uid <= position.backlog_until]
        for backlog, part in ((True, old), (False, uids[len(old) :])):
            for chunk in chunks(part, _PAGE):
                keys = self._sizes(opened, chunk)
                position = replace(position, last=chunk[-1])
                yield Page(keys=keys, cursor=str(position), backlog=backlog, others_gone=others_gone)
                others_gone = False

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``: size and arrival of these UIDs."""
        opened = self._open(folder)
        uids = sorted(uid for text in keys if (uid := uid_of(text, opened.uidvalidity)))
        for batch in chunks(uids, _BATCH):
            self._expect(opened)
            answers = self._client.uid_fetch(uid_set(batch), "(UID RFC822.SIZE INTERNALDATE)")
            if answers.lost:
                raise answers.lost
            there = sorted(answers.messages.keys() & set(batch))
            yield from (_listed(opened, uid, answers.messages[uid]) for uid in there)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``: BODY.PEEK of the four headers that a message is known again by."""
        opened = self._reopen(folder)
        wanted = {uid: text for text in keys if (uid := uid_of(text, opened.uidvalidity))}
        for uid, head in self._bodies(opened, list(wanted), _HEADERS, None):
            if isinstance(head, bytes):
                yield wanted[uid], head

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``: BODY.PEEK[] of many at once, large ones piece by piece."""
        opened = self._reopen(folder)
        wanted: dict[int, Listed] = {}
        for one in listed:
            uid = uid_of(one.key, opened.uidvalidity)
            if uid is None:
                yield Gone(key=one.key, cause="the server has renumbered the folder")
            else:
                wanted[uid] = one
        small = {uid for uid, one in wanted.items() if (one.size or 0) <= _LARGE}
        for uid, body in self._bodies(opened, sorted(small), "(UID BODY.PEEK[])", spool):
            name = wanted[uid].key
            if isinstance(body, Spooled):
                yield Came(key=name, source=body.came.source, digest=body.came.digest)
            elif isinstance(body, bytes):
                yield spool.put(name, (body,))
            else:
                yield Gone(key=name) if body is None else Failed(key=name, cause=str(body))
        for uid, one in wanted.items():
            if uid not in small:
                yield self._fetch_large(opened, uid, one, spool)

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``: STORE, MOVE, or UIDPLUS, on the folder opened for writing.

        What reads next opens it read-only again, which leaves it without expunging (RFC 3501 section 6.3.2).
        """
        opened = self._open(folder, writable=True)
        uids = [uid for text in keys if (uid := uid_of(text, opened.uidvalidity))]
        if len(uids) < len(keys):
            # It is there under another key, perhaps: the next listing finds out, and the action stays owed.
            raise TransientError(f"{self._options.where}: folder {folder!r} was renumbered before this could be done: {action}")
        settle(self._mailbox, self._options, uids, action)

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        self._opened = None
        return problems(self._mailbox, self._options, folders, action)

    def watch(self, folder: str) -> Watch | None:
        """See ``Session``: IDLE, where the server has it."""
        if self._can_idle is None:
            with errors(self._options, "CAPABILITY"):
                self._can_idle = "IDLE" in capabilities(self._mailbox)
        if not self._can_idle:
            return None
        try:
            opened = self._open(folder)
        except PermanentError:
            # It went since it was listed; the next listing says so.
            return None
        # What came since the listing is never announced: EXAMINE counts it as there.
        news = opened.has_more_than(self._listed.get(folder))
        self._idle = Idle(self._client, self._options, exists=opened.exists, news=news)
        self._can_idle = self._idle.begin()
        return self._idle if self._can_idle else None

    def abort(self) -> None:
        """See ``Session``."""
        cut(self._client)

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

    # --- folders --------------------------------------------------------------------------------------------------

    def _open(self, folder: str, *, writable: bool = False) -> _Opened:
        """Open the folder anew, so that its numbers and what is in it are of now. One for writing is open for no reader."""
        self._opened = None
        where = f"{self._options.where}: folder {folder!r}"
        with errors(self._options, f"folder {folder!r} can't be opened", PermanentError):
            exists = number(self._mailbox.folder.set(folder, readonly=not writable)[1][-1])
            uidvalidity, uidnext = (number(self._client.response(name)[1][-1]) for name in ("UIDVALIDITY", "UIDNEXT"))
        if not uidvalidity or uidvalidity > MAX_UID:
            raise PermanentError(f"{where}: the server numbers its messages anew in each session (no UIDVALIDITY)")
        opened = _Opened(folder=folder, uidvalidity=uidvalidity, exists=exists, uidnext=uidnext)
        if not writable:
            self._opened = opened
        return opened

    def _reopen(self, folder: str) -> _Opened:
        return self._opened if self._opened and self._opened.folder == folder else self._open(folder)

    def _expect(self, opened: _Opened) -> None:
        """Be in that folder, under those numbers: between two steps of a listing others may have been opened."""
        if self._reopen(opened.folder).uidvalidity != opened.uidvalidity:
            raise TransientError(f"{self._options.where}: folder {opened.folder!r} was renumbered meanwhile")

    def _search(self, uids: str) -> list[int]:
        """Return which UIDs of the set there are, ascending."""
        with errors(self._options, "UID SEARCH"):
            status, lines = self._client.uid("SEARCH", f"UID {uids}")
        if status != "OK":
            raise refused(said(lines), f"{self._options.where}: UID SEARCH", TransientError)
        # A server may answer in several lines.
        return sorted({int(word) for line in lines if isinstance(line, bytes) for word in re.findall(rb"\d+", line)})

    def _sizes(self, opened: _Opened, uids: Sequence[int]) -> tuple[Listed, ...]:
        self._expect(opened)
        answers = self._client.uid_fetch(f"{uids[0]}:{uids[-1]}", "(UID RFC822.SIZE INTERNALDATE)")
        if answers.lost:
            raise answers.lost
        # Also those that only one of the two answers names: whatever the server says it has is taken, if need be without
        # a size. If it is gone, that comes out when it is fetched.
        there = {uid for uid in answers.messages if uids[0] <= uid <= uids[-1]} | set(uids)
        return tuple(_listed(opened, uid, answers.messages.get(uid, {})) for uid in sorted(there))

    # --- bodies ---------------------------------------------------------------------------------------------------

    def _bodies(
        self, opened: _Opened, uids: Sequence[int], items: str, spool: Spool | None
    ) -> Iterator[tuple[int, bytes | _NotHad | None]]:
        """Yield each message's section; None for one that is gone, why not for one that can't be had.

        What a batch does not answer is asked for again by itself, so that only the guilty one is without.
        """
        for batch in chunks(uids, _BATCH):
            self._expect(opened)
            answers = self._client.uid_fetch(uid_set(batch), items, spool)
            had = _bodies_of(answers, batch)
            yield from had.items()
            if answers.lost:
                raise answers.lost
            rest = [uid for uid in batch if uid not in had]
            if rest:
                there = set(self._search(uid_set(rest)))
                yield from ((uid, self._body(opened, uid, items, spool) if uid in there else None) for uid in rest)

    def _body(self, opened: _Opened, uid: int, items: str, spool: Spool | None) -> bytes | _NotHad:
        self._expect(opened)
        answers = self._client.uid_fetch(str(uid), items, spool)
        had = _bodies_of(answers, [uid])
        if not had and answers.lost:
            raise answers.lost
        return had[uid] if had else _NotHad(answers.refusal or "the server lists the message and sends nothing of it")

    def _fetch_large(self, opened: _Opened, uid: int, listed: Listed, spool: Spool) -> Fetched:
        try:
            return spool.put(listed.key, self._pieces(opened, uid, listed.size or 0))
        except _NotHad as error:
            return Failed(key=listed.key, cause=str(error)) if self._search(str(uid)) else Gone(key=listed.key)

    def _pieces(self, opened: _Opened, uid: int, size: int) -> Iterator[bytes]:
        """Yield a message in pieces of 1 MiB, until one is empty, or short at the size that the server told."""
        offset = 0
        while True:
            piece = self._body(opened, uid, f"(UID BODY.PEEK[]<{offset}.{CHUNK}>)", None)
            if isinstance(piece, _NotHad):
                raise piece
            if len(piece) > CHUNK:
                raise _NotHad(f"asked for {CHUNK} bytes, the server sent {len(piece)}")
            yield piece
            offset += len(piece)
            if not piece or (len(piece) < CHUNK and offset >= size):
                return


def _listed(opened: _Opened, uid: int, said: Mapping[str, bytes | None]) -> Listed:
    return Listed(key(opened.uidvalidity, uid), number(said.get("RFC822.SIZE")), arrival(said.get("INTERNALDATE")))


def _bodies_of(answers: Answers, asked: Sequence[int]) -> Mapping[int, bytes]:
    wanted = set(asked)
    found = ((uid, one.get(BODY)) for uid, one in answers.messages.items() if uid in wanted)
    return {uid: body for uid, body in found if body is not None}
