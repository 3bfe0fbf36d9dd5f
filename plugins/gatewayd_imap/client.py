"""imaplib's client with deadlines and bounds for each step, and with literals that are written to the spool piece by piece.

imaplib takes lines of a megabyte, literals of any size, and keeps untagged answers without end. So each step has a bound in
bytes (``Connection``), each line and each literal one of its own, and all steps of a visit one in lines and words beyond what they
ask for (``Spare``). What is left of the step before is dropped.
"""

from __future__ import annotations

import imaplib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from imap_tools import BaseMailBox

from gatewayd import CHUNK, Came, Connection, GatewaydError, TooLarge, TransientError
from gatewayd_imap.answers import BODY, by_uid, uid_in
from gatewayd_imap.faults import errors, greeted_otherwise, refused, response_text
from gatewayd_imap.unasked import LINES, Spare

if TYPE_CHECKING:
    import io
    import socket
    import ssl
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd import Spool
    from gatewayd_imap.answers import Fields, Piece
    from gatewayd_imap.options import ImapOptions

__all__ = ["ANSWER", "Answers", "Fetch", "ImapClient", "MailBox", "Spooled", "Unfit"]

#: How many bytes the answer to a command may have that asks for little.
ANSWER = 1 << 20
#: The longest line; those of SEARCH may fill their answer.
_LINE = 1 << 16
#: The longest literal that is kept in memory: a block of headers, a folder's name.
_LITERAL = 1 << 16


class Spooled(bytes):
    """Stands in an answer for a literal that went into the spool."""

    came: Came


class Unfit(bytes):
    """Stands in an answer for a literal that was longer than it may be, and was read away."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """The bounds of one UID FETCH, in bytes."""

    #: Of the whole answer.
    answer: int = ANSWER
    #: Of a literal that is kept in memory.
    literal: int = _LITERAL
    #: Where literals go instead, and the keys of the messages by UID.
    spool: Spool | None = None
    keys: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came of one UID FETCH, also of one that failed half-way."""

    #: By UID, in the order in which they came; several answers to one UID are one.
    messages: dict[int, Fields]
    #: UIDs whose literal came more than once.
    twice: frozenset[int] = frozenset()
    #: The error for a NO or BAD; None where the server was content.
    refusal: GatewaydError | None = None
    #: Why the session can't go on; None where it can.
    lost: GatewaydError | None = None

    def go_on(self) -> None:
        """Raise why the session can't go on, where it can't."""
        if self.lost is not None:
            # A new one: its traceback has the frame that has these answers, and they would keep it and all that came.
            raise type(self.lost)(self.lost.message, advice=self.lost.advice)


class ImapClient(imaplib.IMAP4):
    """One connection. Greeting and log-in are one step; each ``step`` after them has bounds of its own."""

    connection: Connection
    file: io.BufferedReader

    def __init__(self, options: ImapOptions, context: ssl.SSLContext | None, secrets: Sequence[str]) -> None:
        """Connect, with TLS from the first byte if there is a context; raises what sockets and imaplib raise.

        ``secrets`` are what no message may show, whatever the server says.
        """
        self._options = options
        self._context = context
        self._secrets = tuple(secrets)
        self._greeted = False
        #: What the server may say beyond what it is asked for.
        self.spare = Spare()
        self._longest = _LINE
        #: The beginning of an answer whose literal is read next.
        self._before = b""
        self._fetch = Fetch()
        #: A literal that could not even be read away: its UID, and why.
        self._broken: tuple[int | None, str] | None = None
        self._idles = 0
        super().__init__(options.host, options.effective_port, options.timeout)

    # --- a step -----------------------------------------------------------------------------------------------------

    @contextmanager
    def step(
        self,
        what: str,
        otherwise: type[GatewaydError] = TransientError,
        *,
        answer: int = ANSWER,
        line: int = _LINE,
        seconds: float | None = None,
        messages: int = 0,
    ) -> Iterator[None]:
        """Do one step on the network inside the block, within these bounds, and translate what is raised; see ``errors``.

        ``messages`` is for how many it asks.
        """
        self._longest, self._before = line, b""
        self.spare.step(messages)
        # imaplib would hand out what other commands left, as if it were the answer to this one.
        self.untagged_responses = {name: responses for name, responses in self.untagged_responses.items() if name == "BYE"}
        self.connection.step(what, limit=answer, seconds=seconds)
        with self.errors(what, otherwise):
            yield

    @contextmanager
    def errors(self, what: str, otherwise: type[GatewaydError] = TransientError) -> Iterator[None]:
        """Translate what is raised inside the block; see ``faults.errors``."""
        with errors(self._options, self._secrets, what, otherwise):
            yield

    def refused(self, data: object, what: str, otherwise: type[GatewaydError] = TransientError) -> GatewaydError:
        """Return the error for what came with a NO or BAD; see ``faults.refused``."""
        text = f"{self._options.where}: {what}"
        return refused(self._options, response_text(data), text, otherwise, self._secrets)

    @property
    def secrets(self) -> Sequence[str]:
        """What no message may show."""
        return self._secrets

    # --- what imaplib asks for --------------------------------------------------------------------------------------

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """See ``imaplib.IMAP4``."""
        del timeout
        self.host, self.port = host, port
        self.connection = Connection(self._options, port, self._context)
        self.sock = cast("socket.socket", self.connection)
        self.file = self.connection.makefile()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on in TLS, once the server has agreed, and ask anew what it can do: anybody may have written what came before."""
        self.connection.start_tls(context)
        self.file = self.connection.makefile()
        # As imaplib's own starttls does.
        self._get_capabilities()

    def shutdown(self) -> None:
        """Close the connection, and let go at once of what came: imap_tools ties client and mailbox into a knot."""
        self.untagged_responses = {}
        self.mo = None
        self._before = b""
        super().shutdown()

    def _log(self, line: str) -> None:
        """Keep nothing: imaplib would keep the last lines of every connection for its debugging, the password too."""

    def idle_tag(self) -> bytes:
        """Return a new tag for a command that imaplib does not know. Its own tags are made of the letters A to P."""
        self._idles += 1
        return b"W%d" % self._idles

    def readline(self) -> bytes:
        """Read a line, within its bounds."""
        line = self.file.readline(self._longest + 1)
        if len(line) > self._longest:
            raise self.abort(f"a line of more than {self._longest} bytes, which is its bound")
        if not self.spare.line():
            raise self.abort(f"more than {LINES} lines beyond what was asked for, which is the bound of a visit")
        if line and not self._greeted:
            self._greeted = True
            if not line.startswith(b"* "):
                raise greeted_otherwise(self._options, line, self._secrets)
        self._before = line
        return line

    def read(self, size: int) -> bytes:
        """Read a literal, while bodies are fetched into their spool; what it returns stands in the answer."""
        uid = uid_in(self._before[:1000])
        room = self.connection.room
        if size > room:
            self._broken = uid, f"the server sends a literal of {size} bytes, and at most {room} may come"
            raise self.abort(f"a literal of {size} bytes, expected at most {room}")
        if self._fetch.spool is not None:
            return self._spooled(self._fetch.spool, self._fetch.keys.get(uid or 0, ""), size)
        if size > self._fetch.literal:
            return self._away(self._pieces(size), f"{size} bytes came of it, where at most {self._fetch.literal} may")
        return b"".join(self._pieces(size))

    def _spooled(self, spool: Spool, key: str, size: int) -> bytes:
        pieces = self._pieces(size)
        if size > spool.allowed(key):
            return self._away(pieces, f"the server sends {size} bytes of it, and at most {spool.allowed(key)} may come")
        spooled = Spooled()
        try:
            spooled.came = spool.put(key, pieces)
        except TooLarge as error:
            return self._away(pieces, error.sentences)
        return spooled

    def _away(self, pieces: Iterator[bytes], cause: str) -> Unfit:
        for _ in pieces:
            pass
        unfit = Unfit()
        unfit.cause = cause
        return unfit

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.file.read(min(size, CHUNK))
            if not piece:
                raise self.abort("the connection was closed inside a message")
            size -= len(piece)
            yield piece

    # --- UID FETCH --------------------------------------------------------------------------------------------------

    def uid_fetch(self, uids: str, items: str, bounds: Fetch = Fetch(), *, messages: int, by_number: bool = False) -> Answers:
        """Fetch and return what came, whatever went wrong.

        They are for how many ``messages``; ``by_number``: ``uids`` are message numbers.
        """
        lost: GatewaydError | None = None
        refusal: GatewaydError | None = None
        pieces: Sequence[Piece | None] = ()
        self._fetch, self._broken = bounds, None
        try:
            with self.step("UID FETCH", answer=bounds.answer, messages=messages):
                pieces, refusal = self._uid_fetch(uids, items, by_number=by_number)
        except GatewaydError as error:
            # It is kept here, where its own traceback would keep all that came.
            lost, pieces = error.alone(), self._pending()
        finally:
            self._fetch = Fetch()
        found, twice = by_uid(pieces, self.spare)
        if self.spare.is_spent:
            text = f"{self._options.where}: UID FETCH: more words came beyond what was asked for than may in a visit"
            lost = lost or TransientError(text, advice="If it lasts, the server is faulty.")
        if self._broken and self._broken[0] is not None:
            unfit = Unfit()
            unfit.cause = self._broken[1]
            found[self._broken[0]] = {"UID": b"", BODY: unfit}
        return Answers(messages=found, twice=twice, refusal=refusal, lost=lost)

    def _uid_fetch(self, uids: str, items: str, *, by_number: bool) -> tuple[Sequence[Piece | None], GatewaydError | None]:
        try:
            status, data = self.fetch(uids, items) if by_number else self.uid("FETCH", uids, items)
        except self.abort:
            raise
        except self.error as error:
            return self._pending(), self.refused(error.args, "UID FETCH")
        return (
            (data, None)
            if status == "OK"
            else (self._pending(), self.refused([status.encode() + b" " + response_text(data)], "UID FETCH"))
        )

    def _pending(self) -> Sequence[Piece | None]:
        """Return the answers of a FETCH that did not end well; imaplib keeps them."""
        pieces: Sequence[Piece | None] = self.untagged_responses.pop("FETCH", [])
        return pieces


class MailBox(BaseMailBox):
    """imap_tools' mailbox on our client. Of it only log-in and folders are used: it expunges where one does not ask for it."""

    client: ImapClient

    def __init__(self, client: ImapClient) -> None:
        self._connected = client
        super().__init__()

    def _get_mailbox_client(self) -> ImapClient:
        return self._connected
