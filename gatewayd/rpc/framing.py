"""Frames on a Unix socket: four bytes of length, then as many bytes of JSON. Each has a bound, and a deadline as a whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError

if TYPE_CHECKING:
    import socket

__all__ = ["CALL_BYTES", "receive", "send"]

#: How long a call may be. An answer is written by the daemon, and bounded by what its call may ask for.
CALL_BYTES = 1 << 20
_ANSWER_BYTES = 16 << 20
_LENGTH = 4
_PIECE = 1 << 16


def send(sock: socket.socket, content: bytes, until: float) -> None:
    """Send one frame before ``until`` (monotonic). Raises TransientError if the other side does not take it."""
    try:
        sock.settimeout(max(0.001, until - time.monotonic()))
        # The timeout of ``sendall`` is one for all of it.
        sock.sendall(len(content).to_bytes(_LENGTH, "big") + content)
    except OSError as error:
        raise TransientError(f"the other side of the socket does not take a frame: {error}") from error


def receive(sock: socket.socket, until: float, *, most: int = _ANSWER_BYTES) -> bytes:
    """Return the content of one frame. Raises TransientError if it is longer than ``most``, cut off, or late."""
    length = int.from_bytes(_exactly(sock, _LENGTH, until), "big")
    if length > most:
        raise TransientError(f"a frame of {length} bytes on the socket, expected at most {most}")
    return _exactly(sock, length, until)


def _exactly(sock: socket.socket, number: int, until: float) -> bytes:
    content = bytearray()
    while len(content) < number:
        left = until - time.monotonic()
        if left <= 0:
            raise TransientError("the other side of the socket takes too long")
        try:
            sock.settimeout(left)
            piece = sock.recv(min(_PIECE, number - len(content)))
        except OSError as error:
            raise TransientError(f"the other side of the socket says nothing more: {error}") from error
        if not piece:
            raise TransientError("the other side closed the socket before it had said everything")
        content += piece
    return bytes(content)
