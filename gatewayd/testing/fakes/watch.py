"""The watch of a fake transport: one end of a pair of sockets; the fake server writes to the other."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import Heard, TransientError, Watch
from gatewayd.testing.fakes.mailbox import Asked

if TYPE_CHECKING:
    from gatewayd.testing.fakes.session import FakeSession

__all__ = ["FakeWatch", "lost"]

_NEWS, _ALIVE = b"n", b"p"


def lost() -> TransientError:
    """Return the error of a connection that was broken."""
    return TransientError("fake: connection lost")


class FakeWatch(Watch):
    """Hears what the fake server says of one folder."""

    def __init__(self, session: FakeSession, folder: str) -> None:
        self.folder = folder
        self._session = session
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        #: The server says nothing more, and nothing is closed.
        self.silent = False

    # --- from outside -----------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Say that something came."""
        self._say(_NEWS)

    def cut(self) -> None:
        """Break the connection."""
        with suppress(OSError):
            self._far.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the sockets."""
        self._near.close()
        self._far.close()

    def _say(self, word: bytes) -> None:
        if not self.silent:
            with suppress(OSError):
                self._far.send(word)

    # --- for the kernel ---------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """See ``Watch``."""
        return self._near.fileno()

    def listen(self) -> Heard:
        """See ``Watch``."""
        received = b""
        try:
            while piece := self._near.recv(4096):
                received += piece
        except BlockingIOError:
            return Heard(news=_NEWS in received, proven=_ALIVE in received)
        except OSError:
            raise lost() from None
        raise lost()

    def renew(self) -> None:
        """See ``Watch``."""
        self._session.step(Asked("renew", self.folder))
        self._say(_ALIVE)

    def end(self) -> bool:
        """See ``Watch``."""
        self._session.step(Asked("end", self.folder))
        if self.silent:
            self._session.wait()
        news = self.listen().news
        self._session.unwatched()
        return news
