"""The transport ``pop3`` and its session: the whole UIDL list at each visit, RETR to fetch, DELE to settle."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import (
    Action,
    Failed,
    GatewaydError,
    Gone,
    Listed,
    Page,
    PermanentError,
    Session,
    Summary,
    TransientError,
    Transport,
    quoted,
)
from gatewayd_pop3.connect import connect
from gatewayd_pop3.faults import refused
from gatewayd_pop3.listing import listing, tops, whole_heads
from gatewayd_pop3.options import Pop3Options
from gatewayd_pop3.wire import UNBOUNDED, accepted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Fetched, Spool
    from gatewayd_pop3.listing import Maildrop
    from gatewayd_pop3.wire import Wire

__all__ = ["Pop3", "Pop3Session"]

#: The only folder that POP3 knows, by the name that IMAP gives it.
_INBOX = "INBOX"
#: POP3 lists everything each time: the cursor says only that it was listed before.
_CURSOR = "listed"
_LEAVE_SECONDS = 2.0


class Pop3(Transport):
    """Reads mail from a POP3 mailbox (RFC 1939)."""

    kind = "pop3"
    max_sessions = 1
    tells_arrival = False
    standard_ports = frozenset({110, 995})
    Options = Pop3Options  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: Pop3Options

    def open(self) -> Pop3Session:
        """See ``Transport``."""
        return Pop3Session(self.options)


class Pop3Session(Session):
    """A mailbox that is logged in to. A connection that ended, by QUIT or by a fault, is made anew when it is needed."""

    def __init__(self, options: Pop3Options) -> None:
        self._options = options
        self._wire: Wire | None = None
        #: The last connection that was made, also while it says QUIT.
        self._last: Wire | None = None
        #: How many bytes came over those before it.
        self._before = 0
        self._aborted = False
        self._listing: Maildrop | None = None
        self._connected()

    @property
    def came(self) -> int:
        """See ``Session``."""
        return self._before + (self._last.came if self._last else 0)

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``: one page, the whole mailbox. Where the server contradicts itself, nothing is gone on its word."""
        self._expect_inbox(folder)
        self._listing = found = listing(self._connected(), self._options)
        yield Page(
            keys=tuple(map(found.listed, found.numbers)),
            cursor=_CURSOR,
            backlog=cursor is None,
            others_gone=not found.doubts,
            exists=found.exists,
            doubts=found.doubts,
        )

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``: what LIST and UIDL say, asked anew."""
        self._expect_inbox(folder)
        wire, found = self._mailbox()
        if found.is_old:
            self._listing = found = listing(wire, self._options)
        self._expect_sound(wire, found, keys)
        yield from (found.listed(key) for key in keys if key in found.numbers)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``: TOP with no line of the body."""
        self._expect_inbox(folder)
        wire, found = self._mailbox()
        numbers = found.numbers
        there = [key for key in keys if key in numbers]
        heads = tops(wire, [numbers[key] for key in there])
        yield from ((key, head) for key, (_, head) in zip(there, heads, strict=True) if head)

    def summaries(self, folder: str, keys: Sequence[str]) -> Iterator[Summary]:
        """See ``Session``: TOP; RETR of what the server refuses to show so."""
        self._expect_inbox(folder)
        wire, found = self._mailbox()
        there = {found.numbers[key]: key for key in keys if key in found.numbers}
        hidden = []
        for number, head in tops(wire, list(there)):
            if head:
                yield Summary.of(there[number], head)
            else:
                hidden.append(number)
        yield from (Summary.of(there[number], head) for number, head in whole_heads(wire, hidden) if head)

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``: RETR, many on their way where the server offers PIPELINING (RFC 2449 section 6.6)."""
        self._expect_inbox(folder)
        wire, found = self._mailbox()
        numbers = found.numbers
        there = [one.key for one in listed if one.key in numbers]
        for one in listed:
            if one.key not in numbers:
                yield Failed(key=one.key, cause=_unsure(found)) if found.doubts else Gone(key=one.key)
        statuses = wire.replies([f"RETR {numbers[key]}" for key in there], limit=UNBOUNDED)
        for key, status in zip(there, statuses, strict=True):
            if accepted(status):
                yield spool.put(key, wire.body())
            else:
                yield Failed(key=key, cause=f"the server refused it: {quoted(status, wire.secrets)!r}")

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``: ``delete`` only. The server deletes at QUIT, so it is done when QUIT was answered."""
        self._expect_inbox(folder)
        if action.do != "delete":
            raise PermanentError(_cannot(action), advice="Use `after: keep` or `after: delete`.")
        wire, found = self._mailbox()
        self._expect_sound(wire, found, keys)
        there = [found.numbers[key] for key in keys if key in found.numbers]
        if not there:
            return
        refusals = [status for status in wire.replies([f"DELE {one}" for one in there]) if not accepted(status)]
        self._wire = None
        try:
            status, _ = wire.ask("QUIT")
        finally:
            wire.close()
        if not accepted(status):
            raise refused(wire, status, "QUIT, which deletes, was not done", TransientError)
        if refusals:
            raise refused(wire, refusals[0], f"{len(refusals)} of {len(there)} messages were not deleted")

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        found = [_no_folder(folder) for folder in folders if folder != _INBOX]
        if action and action.do != "delete":
            found.append(f"{_cannot(action)}: use `after: keep` or `after: delete`")
        try:
            self._mailbox()
        except PermanentError as error:
            found.append(error.sentences)
        return found

    def abort(self) -> None:
        """See ``Session``. No connection is made anew after it."""
        self._aborted = True
        if self._last:
            self._last.cut()

    def close(self) -> None:
        """See ``Session``. Nothing was marked for deletion, so QUIT changes nothing; it frees the mailbox at once."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        with suppress(GatewaydError):
            if wire.in_step:
                wire.ask("QUIT", seconds=_LEAVE_SECONDS)
        wire.close()

    def _connected(self) -> Wire:
        """Return a connection in step: the one there is, or a new one with its own numbers."""
        if self._wire and not self._wire.in_step:
            self._wire.close()
            self._wire = None
        if self._wire is None:
            self._listing = None
            self._wire = self._connect()
        return self._wire

    def _connect(self) -> Wire:
        if not self._aborted:
            # Kept before it is asked once more: whoever aborts says so first, and then breaks what is kept.
            wire, self._before = connect(self._options), self.came
            self._last = wire
            if not self._aborted:
                return wire
            wire.close()
        raise TransientError(f"{self._options.where}: the session was aborted")

    def _mailbox(self) -> tuple[Wire, Maildrop]:
        wire = self._connected()
        if self._listing is None:
            self._listing = listing(wire, self._options)
        return wire, self._listing

    @staticmethod
    def _expect_sound(wire: Wire, found: Maildrop, keys: Sequence[str]) -> None:
        """Have all these keys, or a listing that may be believed to lack some: what is gone counts as settled."""
        if found.doubts and any(key not in found.numbers for key in keys):
            raise TransientError(f"{wire.where}: {_unsure(found)}", advice="If it lasts, the server is faulty.")

    def _expect_inbox(self, folder: str) -> None:
        if folder != _INBOX:
            raise PermanentError(_no_folder(folder))


def _unsure(found: Maildrop) -> str:
    return f"what the server does not list may be there all the same: {found.doubts[0]}"


def _no_folder(folder: str) -> str:
    return f"there is no folder {folder!r}: POP3 has INBOX only, correct `folders`"


def _cannot(action: Action) -> str:
    return f"POP3 can't do {str(action)!r}, it can only delete"
