"""Let a scripted server listen on a private port."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["serving"]


class _Scripted(Protocol):
    """A server whose answers a test has written."""

    port: int

    def serve(self, listener: socket.socket) -> None:
        """Serve one client after the other until the listener is closed."""


_Server = TypeVar("_Server", bound=_Scripted)


@contextmanager
def serving(script: _Server) -> Iterator[_Server]:
    """Serve one client after the other until the block ends; ``port`` is set before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script.port = listener.getsockname()[1]
        thread = threading.Thread(target=script.serve, args=(listener,))
        thread.start()
        try:
            yield script
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(LONG)
