"""Look up the addresses of a host, and connect to the first of them that answers, within one deadline.

The resolver of the operating system can't be told to end, and a name server that is dead takes it half a minute and more. So a
look-up is made in a thread of its own, which is left behind when its time is over. There are never more than ``_LOOKING`` of
these, and who asks for a host that is being looked up waits for the same answer.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    _Ask: TypeAlias = "Callable[[str, int], Sequence[HostAddress]]"

__all__ = ["Deadline", "HostAddress", "Peer", "looked_up", "reached"]

#: How many look-ups are under way at a time, and how many addresses of a host are tried.
_LOOKING, _TRIED = 32, 8
#: How long an address has the connection attempt to itself before the next is tried, too (RFC 8305 section 5).
_AHEAD = 0.25
#: How soon somebody who waits here notices that it is over.
_WOKEN = 0.1
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EINTR}

_door = threading.Lock()
_asked: dict[tuple[str, int, _Ask], Future[Sequence[HostAddress]]] = {}


class HostAddress(NamedTuple):
    """One address of a host, as sockets take it."""

    family: int
    address: tuple[Any, ...]


class Peer(Protocol):
    """What is asked of the other side's options; see ``Server``."""

    @property
    def host(self) -> str:
        """Its name or address."""

    @property
    def timeout(self) -> float:
        """Seconds that a step may take."""

    @property
    def security(self) -> Literal["tls", "starttls", "none"]:
        """Whether it speaks TLS."""

    def permitted(self, places: Sequence[HostAddress], /) -> Sequence[HostAddress]:
        """Return those of the host's addresses that may be connected to; raises AuthError if there is none."""


class Deadline(NamedTuple):
    """How long something is waited for."""

    #: A moment of the monotonic clock.
    at: float
    #: Whether nobody waits any more.
    stopped: Callable[[], bool] = lambda: False

    def left(self, most: float) -> float:
        """Return how many seconds to wait now, at most ``most``; raises TimeoutError or ConnectionAbortedError."""
        if self.stopped():
            raise ConnectionAbortedError("it was aborted")
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, most)


def _system(host: str, port: int) -> Sequence[HostAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(HostAddress(family, tuple(address)) for family, _, _, _, address in found))


def looked_up(host: str, port: int, until: Deadline, ask: _Ask = _system) -> Sequence[HostAddress]:
    """Return the addresses of a host, in the order in which they are to be tried; ``ask`` is who knows them.

    Raises OSError, and TimeoutError when the time is over.
    """
    with suppress(ValueError):
        ip_address(host)
        # Nobody has to be asked.
        return ask(host, port)
    while (future := _begun(host, port, ask)) is None:
        time.sleep(until.left(_WOKEN))
    while not future.done():
        wait([future], until.left(_WOKEN))
    error = future.exception()
    if error is not None:
        # Others wait for the same: none of them gets another's frames.
        raise type(error)(*error.args)
    return future.result()


def _begun(host: str, port: int, ask: _Ask) -> Future[Sequence[HostAddress]] | None:
    """Return the look-up of this host that is under way, or a new one; None while there are too many."""
    key = host, port, ask
    with _door:
        if key in _asked:
            return _asked[key]
        if len(_asked) >= _LOOKING:
            return None
        future: Future[Sequence[HostAddress]] = Future()
        _asked[key] = future
    try:
        threading.Thread(target=_look_up, args=(key, future), name="look-up", daemon=True).start()
    except BaseException:
        _asked.pop(key)
        raise
    return future


def _look_up(key: tuple[str, int, _Ask], future: Future[Sequence[HostAddress]]) -> None:
    host, port, ask = key
    try:
        found = ask(host, port)
    except BaseException as error:  # noqa: BLE001  it is theirs who wait
        _asked.pop(key)
        future.set_exception(error.with_traceback(None))
    else:
        _asked.pop(key)
        future.set_result(found)


def reached(places: Sequence[HostAddress], until: Deadline) -> socket.socket:
    """Return a connection to the first of the places that answers. One that is silent holds up the next for a moment only.

    Raises what the last that refused said, TimeoutError when the time is over.
    """
    trying: dict[int, socket.socket] = {}
    try:
        return _first(deque(places[:_TRIED]), trying, until)
    finally:
        for sock in trying.values():
            sock.close()


def _first(left: deque[HostAddress], trying: dict[int, socket.socket], until: Deadline) -> socket.socket:
    refusal: OSError = OSError("the host has no address")
    next_at = 0.0
    while left or trying:
        if left and (not trying or time.monotonic() >= next_at):
            next_at = time.monotonic() + _AHEAD
            refusal = _try(left.popleft(), trying) or refusal
        for sock in _answered(trying, until.left(_WOKEN)):
            number = sock.fileno()
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error:
                return trying.pop(number)
            trying.pop(number).close()
            refusal, next_at = OSError(error, os.strerror(error)), 0.0
    raise refusal


def _try(place: HostAddress, trying: dict[int, socket.socket]) -> OSError | None:
    """Begin to connect; return why that can't be."""
    try:
        sock = socket.socket(place.family, socket.SOCK_STREAM)
    except OSError as error:
        return OSError(*error.args)
    sock.setblocking(False)
    number = sock.connect_ex(place.address)
    if number in _UNDER_WAY or not number:
        trying[sock.fileno()] = sock
        return None
    sock.close()
    return OSError(number, os.strerror(number))


def _answered(trying: dict[int, socket.socket], seconds: float) -> list[socket.socket]:
    poll = select.poll()
    for number in trying:
        poll.register(number, select.POLLOUT)
    return [trying[number] for number, _ in poll.poll(seconds * 1000)] if trying else []
