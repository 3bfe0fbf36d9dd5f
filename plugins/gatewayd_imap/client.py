"""imaplib's client with what it lacks: TLS and TCP_NODELAY from the start, and literals that are never whole in memory."""

from __future__ import annotations

import imaplib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imap_tools import BaseMailBox

from gatewayd import CHUNK, Came, GatewaydError
from gatewayd_imap.answers import fields, number
from gatewayd_imap.faults import errors, said

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from gatewayd import Spool
    from gatewayd_imap.answers import Fields, Piece
    from gatewayd_imap.options import ImapOptions

__all__ = ["Answers", "Client", "MailBox", "Spooled"]

#: The longest literal that is taken into memory: a block of headers, a folder's name, a piece of a large message.
_MAX_LITERAL = 16 << 20


class Spooled(bytes):
    """Stands in an answer for a literal that went into the spool."""

    came: Came


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came of one UID FETCH, also of one that failed half-way."""

    #: By UID, in the order in which they came; several answers to one UID are one.
    messages: dict[int, Fields]
    #: The text of a NO or BAD; empty where the server was content.
    refusal: str = ""
    #: Why the session can't go on; None where it can.
    lost: GatewaydError | None = None


class Client(imaplib.IMAP4):
    """One connection. Each wait for the network ends after the account's ``timeout``."""

    def __init__(self, options: ImapOptions, context: ssl.SSLContext | None) -> None:
        """Connect, with TLS from the first byte if there is a context; raises what sockets and imaplib raise."""
        self._options = options
        self._context = context
        self._spool: Spool | None = None
        self._idles = 0
        super().__init__(options.host, options.effective_port, options.timeout)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """See ``imaplib.IMAP4``."""
        self.host, self.port = host, port
        self.sock = socket.create_connection((host, port), timeout)
        # Otherwise a command that is sent in two pieces waits for the other side's delayed acknowledgement.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=host)
        self.file = self.sock.makefile("rb")

    def _log(self, line: str) -> None:
        """Keep nothing: imaplib would keep the last lines of every connection for its debugging, the password too."""

    def idle_tag(self) -> bytes:
        """Return a new tag for a command that imaplib does not know. Its own tags are made of the letters A to P."""
        self._idles += 1
        return b"W%d" % self._idles

    def read(self, size: int) -> bytes:
        """Read a literal, while bodies are fetched into their spool; what it returns stands in the answer."""
        if self._spool is None:
            if size > _MAX_LITERAL:
                raise self.abort(f"a literal of {size} bytes, expected at most {_MAX_LITERAL}")
            return b"".join(self._pieces(size))
        spooled = Spooled()
        spooled.came = self._spool.put("", self._pieces(size))
        return spooled

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            piece = super().read(min(size, CHUNK))
            if not piece:
                raise self.abort("the connection was closed inside a message")
            size -= len(piece)
            yield piece

    def uid_fetch(self, uids: str, items: str, spool: Spool | None = None) -> Answers:
        """Fetch and return what came, whatever went wrong. Literals go into ``spool``, where there is one."""
        refusal, lost = "", None
        self._spool = spool
        try:
            with errors(self._options, "UID FETCH"):
                pieces, refusal = self._uid_fetch(uids, items)
        except GatewaydError as error:
            lost, pieces = error, self._pending()
        finally:
            self._spool = None
        messages: dict[int, Fields] = {}
        for answer in fields(pieces):
            uid = number(answer.get("UID"))
            if uid is not None:
                messages[uid] = {**messages.get(uid, {}), **answer}
        return Answers(messages=messages, refusal=refusal, lost=lost)

    def _uid_fetch(self, uids: str, items: str) -> tuple[Sequence[Piece | None], str]:
        try:
            status, data = self.uid("FETCH", uids, items)
        except self.abort:
            raise
        except self.error as error:
            return self._pending(), said(str(error))
        return (data, "") if status == "OK" else (self._pending(), f"{status} {said(data)}")

    def _pending(self) -> Sequence[Piece | None]:
        """Return the answers of a FETCH that did not end well; imaplib keeps them."""
        pieces: Sequence[Piece | None] = self.untagged_responses.pop("FETCH", [])
        return pieces


class MailBox(BaseMailBox):
    """imap_tools' mailbox on our client. Of it only log-in and folders are used: it expunges where one does not ask for it."""

    client: Client

    def __init__(self, client: Client) -> None:
        self._connected = client
        super().__init__()

    def _get_mailbox_client(self) -> Client:
        return self._connected
