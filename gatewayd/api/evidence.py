"""Compare the size and arrival that a server listed for a message with what it lists now, and with the bytes that came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.timestamps import second
from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from gatewayd.api.values import Listed
    from gatewayd.message.values import Source

__all__ = ["Length", "difference", "fits", "lacks"]

#: Arrivals that are fewer seconds apart are the same: not every server and store keeps fractions of a second.
_SAME_ARRIVAL = 1.0


def difference(before: Listed, now: Listed) -> str:
    """Return in words how size and arrival of a key differ from what they were; empty if they do not.

    A size or arrival that is unknown on one side does not count as different.

    >>> from gatewayd.api.values import Listed
    >>> difference(Listed("7:6", 128), Listed("7:6", 148))
    '148 bytes, 128 before'
    """
    differences = []
    if before.size is not None and now.size is not None and before.size != now.size:
        differences.append(f"{now.size} bytes, {before.size} before")
    if before.arrival is not None and now.arrival is not None:
        apart = abs((now.arrival - before.arrival).total_seconds())
        if apart >= _SAME_ARRIVAL:
            differences.append(f"arrived {second(now.arrival)}, {second(before.arrival)} before")
    return "; ".join(differences)


def lacks(before: Listed, now: Listed) -> bool:
    """Whether a server says something of a message now that it did not say before: its size, arrival or spanning id."""
    pairs = ((before.size, now.size), (before.arrival, now.arrival), (before.spanning_id, now.spanning_id))
    return any(was is None and said is not None for was, said in pairs)


class Length:
    """The length of a message, in all the ways in which servers count it.

    RFC 1939 and RFC 3501 count octets with CRLF. Servers that store mail with bare LF may count it as it is stored, or may count
    CRLF and send LF. A message that does not end in a line break gets one in POP3, which sends only lines (RFC 1939 section 3),
    and not every server counts that.
    """

    def __init__(self) -> None:
        self._octets = 0
        self._lines = 0
        self._pairs = 0
        self._end = b""

    def update(self, data: bytes) -> None:
        """Add the next bytes of the message."""
        if not data:
            return
        self._octets += len(data)
        self._lines += data.count(b"\n")
        self._pairs += data.count(b"\r\n") + (self._end.endswith(b"\r") and data.startswith(b"\n"))
        self._end = (self._end + data[-2:])[-2:]

    def fits(self, size: int | None) -> bool:
        """Whether a server that counts in one of these ways may list this size; None always fits."""
        octets, bare = self._octets, self._lines - self._pairs
        ways = {octets, octets - self._pairs, octets + bare}
        if self._end == b"\r\n":
            ways |= {octets - 2, octets - self._pairs - 1, octets + bare - 2}
        return size is None or size in ways


def fits(source: Source, size: int | None) -> bool:
    """Whether a message has the size that a server lists, in whatever way it counts. The message is read only if need be."""
    if size is None or source.size == size:
        return True
    length = Length()
    for offset in range(0, source.size, CHUNK):
        length.update(source.read(offset, CHUNK))
    return length.fits(size)
