"""Fetch messages: many at once, large ones piece by piece. A faulty message keeps no other from being fetched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd import CHUNK, LEAST_RATE, Came, Failed, Gone, TooLarge
from gatewayd_imap.answers import BODY, ORIGIN
from gatewayd_imap.client import ANSWER, Fetch, Spooled, Unfit
from gatewayd_imap.faults import Away
from gatewayd_imap.uids import chunks, uid_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gatewayd import Fetched, Listed, Spool
    from gatewayd_imap.client import Answers
    from gatewayd_imap.reading import FolderReader, OpenedFolder

__all__ = ["HEADER", "LARGE", "NotHad", "Wanted", "bodies", "fetched", "fetched_large"]

#: Messages of one UID FETCH: those that came before a connection broke are kept, so more gains nothing.
_BATCH = 200
#: Larger messages are fetched piece by piece, so that no single answer takes a slow server too long.
LARGE = 4 << 20
#: What may come of a batch beyond twice the listed sizes: for servers that estimate, and for their other words.
_SLACK = 16 << 20
#: How much of a message's headers is asked for, and what may come of those of a batch: some servers send the whole.
HEADER = 1 << 13
_HEADERS = _BATCH * HEADER + (1 << 20)
#: The least that pieces of a large message must have on average.
_LEAST_PIECE = 1 << 16


class NotHad(Exception):
    """One message can't be had; its text says why."""


class Wanted:
    """What is asked of messages, by UID."""

    def __init__(self, items: str, *, listed: Mapping[int, Listed] = {}, spool: Spool | None = None) -> None:
        self.items = items
        self._listed = listed
        self._spool = spool

    def bounds(self, uids: Sequence[int]) -> Fetch:
        """Return the bounds of what may come of these."""
        if self._spool is None:
            return Fetch(answer=_HEADERS)
        sizes = [self._listed[uid].size for uid in uids]
        known = sum(2 * size for size in sizes if size is not None)
        unknown = max((self._spool.allowed(self._listed[uid].key) for uid in uids if self._listed[uid].size is None), default=0)
        keys = {uid: self._listed[uid].key for uid in uids}
        return Fetch(answer=known + unknown + _SLACK, spool=self._spool, keys=keys)

    def allowed(self, uid: int) -> int | None:
        """Return how many bytes may come of a message; None where that was seen to already."""
        return self._spool.allowed(self._listed[uid].key) if self._spool else None


def bodies(
    reading: FolderReader, opened: OpenedFolder, uids: Sequence[int], wanted: Wanted
) -> Iterator[tuple[int, bytes | NotHad | None]]:
    """Yield each message's section; None for one that is gone, why not for one that can't be had.

    What a batch does not answer is asked for again by itself, as long as that takes no more than ``timeout`` in all.
    """
    for batch in chunks(uids, _BATCH):
        reading.expect(opened)
        answers = reading.client.uid_fetch(uid_set(batch), wanted.items, wanted.bounds(batch), messages=len(batch))
        had = _bodies_of(answers, batch, wanted)
        yield from had.items()
        answers.go_on()
        rest = [uid for uid in batch if uid not in had]
        there = reading.there(opened, rest)
        until = time.monotonic() + reading.options.timeout
        for uid in rest:
            if uid not in there:
                yield uid, None
            elif time.monotonic() > until:
                yield uid, NotHad("the server did not answer for it; to ask for others again took all the time that there is")
            else:
                yield uid, _body(reading, opened, uid, wanted)


def fetched(reading: FolderReader, opened: OpenedFolder, listed: Mapping[int, Listed], spool: Spool) -> Iterator[Fetched]:
    """Yield what became of these messages, none of which is large."""
    wanted = Wanted("(UID BODY.PEEK[])", listed=listed, spool=spool)
    for uid, body in bodies(reading, opened, sorted(listed), wanted):
        name = listed[uid].key
        if isinstance(body, Spooled):
            yield Came(key=name, source=body.came.source, digest=body.came.digest)
        elif isinstance(body, bytes):
            yield _put(reading, spool, name, (body,))
        else:
            yield Gone(key=name) if body is None else _failed(reading, name, str(body))


def fetched_large(reading: FolderReader, opened: OpenedFolder, uid: int, listed: Listed, spool: Spool) -> Fetched:
    """Return what became of a message that is had piece by piece."""
    try:
        return _put(reading, spool, listed.key, _pieces(reading, opened, uid, listed.size or 0))
    except NotHad as error:
        return _failed(reading, listed.key, str(error)) if reading.there(opened, [uid]) else Gone(key=listed.key)


def _failed(reading: FolderReader, name: str, cause: str) -> Failed:
    where = reading.options.where
    return Failed(key=name, cause=cause if cause.startswith(where) else f"{where}: {cause}")


def _put(reading: FolderReader, spool: Spool, name: str, pieces: Iterable[bytes]) -> Fetched:
    try:
        return spool.put(name, pieces)
    except TooLarge as error:
        return _failed(reading, name, error.sentences)


def _pieces(reading: FolderReader, opened: OpenedFolder, uid: int, size: int) -> Iterator[bytes]:
    """Yield a message in pieces of 1 MiB, until one is empty, or short at the size that the server told.

    From a server whose pieces are shorter than that, a short one behind that size may have others behind it.
    """
    offset = rounds = 0
    shorter = False
    began = time.monotonic()
    while True:
        wanted = _Piece(offset)
        piece = _body(reading, opened, uid, wanted)
        if isinstance(piece, NotHad):
            raise piece
        if len(piece) > CHUNK:
            raise NotHad(f"asked for {CHUNK} bytes, the server sent {len(piece)}")
        yield piece
        offset += len(piece)
        rounds += 1
        if not piece or (len(piece) < CHUNK and (offset == size or (offset > size and not shorter))):
            return
        shorter = shorter or len(piece) < CHUNK
        if rounds > 64 + max(size, offset) // _LEAST_PIECE:
            raise NotHad(f"it came in {rounds} pieces of {offset} bytes together, and has {size}")
        if time.monotonic() - began > reading.options.timeout + offset / LEAST_RATE:
            raise NotHad(f"it came too slowly: {offset} bytes in {time.monotonic() - began:.0f} s")


class _Piece(Wanted):
    """A piece of a large message."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"(UID BODY.PEEK[]<{offset}.{CHUNK}>)")
        self.offset = offset

    def bounds(self, uids: Sequence[int]) -> Fetch:
        """See ``Wanted``."""
        del uids
        return Fetch(answer=CHUNK + ANSWER, literal=CHUNK)


def _body(reading: FolderReader, opened: OpenedFolder, uid: int, wanted: Wanted) -> bytes | NotHad:
    reading.expect(opened)
    answers = reading.client.uid_fetch(str(uid), wanted.items, wanted.bounds([uid]), messages=1)
    had = _bodies_of(answers, [uid], wanted)
    if not had:
        answers.go_on()
    if had:
        return had[uid]
    if isinstance(answers.refusal, Away):
        # To ask for the others would make it worse, and to put each of them off would be no fault of theirs.
        raise answers.refusal
    return NotHad(answers.refusal.sentences if answers.refusal else "the server lists the message and sends nothing of it")


def _bodies_of(answers: Answers, asked: Sequence[int], wanted: Wanted) -> Mapping[int, bytes | NotHad]:
    had: dict[int, bytes | NotHad] = {}
    for uid in set(asked) & answers.messages.keys():
        body = answers.messages[uid].get(BODY)
        if body is not None:
            had[uid] = NotHad(problem) if (problem := _problem(uid, answers, body, wanted)) else body
    return had


def _problem(uid: int, answers: Answers, body: bytes, wanted: Wanted) -> str:
    """Return why this is not what was asked for; empty where it is."""
    if isinstance(body, Unfit):
        return body.cause
    if uid in answers.twice:
        return "the server sent it twice in one answer"
    origin = int(answers.messages[uid].get(ORIGIN, b"0"))
    asked = wanted.offset if isinstance(wanted, _Piece) else 0
    if origin != asked:
        return f"asked for it from byte {asked} on, the server sent it from byte {origin} on"
    size = body.came.source.size if isinstance(body, Spooled) else len(body)
    allowed = wanted.allowed(uid)
    return f"the server sent {size} bytes of it, and at most {allowed} may come" if allowed is not None and size > allowed else ""
