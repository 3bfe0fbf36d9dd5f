"""The transport ``pop3``: the whole UIDL list each visit, RETR for what waits, DELE only for what is owed."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import Action, Failed, GatewaydError, Gone, Listed, Page, PermanentError, Session, TransientError, Transport
from gatewayd_pop3.connect import connect, cut, hang_up
from gatewayd_pop3.faults import errors, refused, said
from gatewayd_pop3.options import Pop3Options
from gatewayd_pop3.uidl import keys, numbered
from gatewayd_pop3.wire import accepted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Fetched, Spool
    from gatewayd_pop3.wire import Wire

__all__ = ["Pop3", "Pop3Session"]

#: The only folder that POP3 knows, by the name that IMAP gives it.
_INBOX = "INBOX"
#: POP3 lists everything each time: the cursor says only that it was listed before.
_CURSOR = "listed"
_MAX_HEADERS = 1 << 20


class Pop3(Transport):
    """Reads mail from a POP3 mailbox (RFC 1939)."""

    kind = "pop3"
    max_sessions = 1
    tells_arrival = False
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
        self._aborted = False
        #: Message number by key. Numbers count for one connection only.
        self._numbers: dict[str, int] | None = None
        self._connected()

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``: one page, the whole mailbox."""
        self._expect_inbox(folder)
        wire = self._connected()
        sizes = self._list(wire, "LIST")
        self._numbers = numbers = self._number(wire, sizes)
        listed = tuple(Listed(key, _size(sizes.get(number, b""))) for key, number in numbers.items())
        yield Page(keys=listed, cursor=_CURSOR, backlog=cursor is None, others_gone=True)

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``: what LIST and UIDL say, asked anew."""
        self._expect_inbox(folder)
        wire = self._connected()
        sizes = self._list(wire, "LIST")
        self._numbers = numbers = self._number(wire, sizes)
        yield from (Listed(key, _size(sizes.get(numbers[key], b""))) for key in keys if key in numbers)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``: TOP with no line of the body."""
        self._expect_inbox(folder)
        wire, numbers = self._mailbox()
        there = [key for key in keys if key in numbers]
        tops = self._tops(wire, [numbers[key] for key in there])
        yield from ((key, head) for key, (_, head) in zip(there, tops, strict=True) if head)

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``: RETR, many on their way where the server offers PIPELINING (RFC 2449 section 6.6)."""
        self._expect_inbox(folder)
        wire, numbers = self._mailbox()
        there = [one.key for one in listed if one.key in numbers]
        yield from (Gone(key=one.key) for one in listed if one.key not in numbers)
        statuses = wire.replies([f"RETR {numbers[key]}" for key in there])
        for key, status in zip(there, statuses, strict=True):
            if accepted(status):
                yield spool.put(key, wire.body())
            else:
                yield Failed(key=key, cause=f"the server refused it: {said(status)!r}")

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``: ``delete`` only. The server deletes at QUIT, so it is done when QUIT was answered."""
        self._expect_inbox(folder)
        if action.do != "delete":
            raise PermanentError(_cannot(action), advice="Use `after: keep` or `after: delete`.")
        wire, numbers = self._mailbox()
        there = [numbers[key] for key in keys if key in numbers]
        if not there:
            return
        refusals = [status for status in wire.replies([f"DELE {one}" for one in there]) if not accepted(status)]
        self._wire = None
        try:
            with errors(self._options, TransientError, "QUIT, which deletes, was not done"):
                wire.pop.quit()
        finally:
            hang_up(wire.pop)
        if refusals:
            raise refused(refusals[0], f"{len(refusals)} of {len(there)} messages were not deleted")

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        found = [_no_folder(folder) for folder in folders if folder != _INBOX]
        if action and action.do != "delete":
            found.append(f"{_cannot(action)}: use `after: keep` or `after: delete`")
        try:
            self._mailbox()
        except PermanentError as error:
            found.append(f"{error.message}: {error.advice}")
        return found

    def abort(self) -> None:
        """See ``Session``. No connection is made anew after it."""
        self._aborted = True
        if self._last:
            cut(self._last.pop)

    def close(self) -> None:
        """See ``Session``. Nothing was marked for deletion, so QUIT changes nothing; it frees the mailbox at once."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        with suppress(GatewaydError):
            if wire.in_step:
                wire.ask("QUIT")
        hang_up(wire.pop)

    def _connected(self) -> Wire:
        """Return a connection in step: the one there is, or a new one with its own numbers."""
        if self._wire and not self._wire.in_step:
            hang_up(self._wire.pop)
            self._wire = None
        if self._wire is None:
            self._numbers = None
            self._wire = self._connect()
        return self._wire

    def _connect(self) -> Wire:
        if not self._aborted:
            # Kept before it is asked once more: whoever aborts says so first, and then breaks what is kept.
            self._last = wire = connect(self._options)
            if not self._aborted:
                return wire
            hang_up(wire.pop)
        raise TransientError(f"{self._options.host}:{self._options.effective_port}: the session was aborted")

    def _mailbox(self) -> tuple[Wire, dict[str, int]]:
        wire = self._connected()
        if self._numbers is None:
            self._numbers = self._number(wire, self._list(wire, "LIST"))
        return wire, self._numbers

    def _list(self, wire: Wire, command: str) -> dict[int, bytes]:
        status, body = wire.ask(command, multiline=True)
        if accepted(status):
            return numbered(body)
        error = refused(status, f"{wire.where}: {command} was refused")
        error.advice = error.advice or "gatewayd knows mail by its UIDL (RFC 1939 section 7). Use a server that has it, or IMAP."
        raise error

    def _number(self, wire: Wire, sizes: dict[int, bytes]) -> dict[str, int]:
        uidls = self._list(wire, "UIDL")
        nameless = [number for number in sorted(sizes.keys() | uidls.keys()) if not uidls.get(number)]
        heads = list(self._tops(wire, nameless))
        lost = [number for number, head in heads if not head]
        if lost:
            raise PermanentError(
                f"{wire.where}: message {lost[0]} has neither a UIDL nor headers that TOP can show",
                advice="It could not be known again. Use IMAP for this mailbox, or take that message out of it.",
            )
        return keys(uidls, heads)

    def _tops(self, wire: Wire, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield each message's number and header block, cut at 1 MiB; empty where the server refuses."""
        statuses = wire.replies([f"TOP {number} 0" for number in numbers])
        for number, status in zip(numbers, statuses, strict=True):
            head = b""
            for piece in wire.body() if accepted(status) else ():
                head += piece[: _MAX_HEADERS - len(head)]
            yield number, head

    def _expect_inbox(self, folder: str) -> None:
        if folder != _INBOX:
            raise PermanentError(_no_folder(folder))


def _size(text: bytes) -> int | None:
    found = re.match(rb"\d{1,18}", text)
    return int(found[0]) if found else None


def _no_folder(folder: str) -> str:
    return f"there is no folder {folder!r}: POP3 has INBOX only, correct `folders`"


def _cannot(action: Action) -> str:
    return f"POP3 can't do {str(action)!r}, it can only delete"
