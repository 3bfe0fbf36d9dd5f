"""Let log-ins through only so often: by address, by user and address, and by user. It remembers a bounded number of each.

Who guesses is stopped before a password is checked, which is dear. A person at another address still gets in: what one address
tries costs a user little of what all addresses together may try, and an address from which the user has logged in is let through
also when that is used up.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST", "Allowance", "Allowances", "Throttle"]

#: How many addresses, users and pairs are remembered; of more, those that tried longest ago are forgotten.
MOST = 20_000
#: So much of an address that nobody can read is looked at.
_ADDRESS = 100


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many tries at once, and one more after each ``every`` seconds."""

    burst: int
    every: float


#: Tries of one address: those of an office come from one, too, but those that succeed don't count.
_BY_ADDRESS = Allowance(20, 6.0)
#: Tries of one address for one user.
_BY_PAIR = Allowance(5, 120.0)
#: Tries for one user from all addresses together. Whoever has many addresses guesses no more often.
_BY_USER = Allowance(1000, 10.0)


class Allowances:
    """How often something is tried under each key: the generic cell rate algorithm (ITU-T I.371), one number for each key."""

    def __init__(self, allowance: Allowance, most: int = MOST) -> None:
        self._allowance = allowance
        self._most = most
        #: By key, from when on nothing of the burst is used any more. Who tried last comes last.
        self._until: OrderedDict[object, float] = OrderedDict()

    def wait(self, key: object, now: float) -> float:
        """Return the seconds until a try may be made; 0 if it may be made now."""
        room = (self._allowance.burst - 1) * self._allowance.every
        return max(0.0, self._until.get(key, now) - now - room)

    def count(self, key: object, now: float) -> None:
        """Count a try."""
        self._until[key] = max(self._until.get(key, now), now) + self._allowance.every
        self._until.move_to_end(key)
        while len(self._until) > self._most:
            self._until.popitem(last=False)

    def take_back(self, key: object, now: float) -> None:
        """Let a try not have been."""
        until = self._until.get(key)
        if until is not None and until - self._allowance.every > now:
            self._until[key] = until - self._allowance.every
        elif until is not None:
            del self._until[key]

    def __len__(self) -> int:
        return len(self._until)


class Throttle:
    """Which log-ins are let through. All methods may be called from any thread; none waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds, which only go on."""
        self._clock = clock
        self._lock = threading.Lock()
        self._by_address, self._by_pair, self._by_user = Allowances(_BY_ADDRESS), Allowances(_BY_PAIR), Allowances(_BY_USER)
        #: The addresses from which users have logged in.
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def enter(self, user: str, spelt: str, address: str) -> None:
        """Count a try; raise TransientError, and count nothing, where there were too many. It says how long to wait.

        ``spelt`` is the user as it was typed: what it says and how long it takes must not tell whether there is such a user.
        """
        place = _place(address)
        with self._lock:
            now = self._clock()
            counted = [(self._by_address, place), (self._by_pair, (spelt, place))]
            if (user, place) not in self._known:
                counted.append((self._by_user, user))
            wait = max(allowances.wait(key, now) for allowances, key in counted)
            if not wait:
                for allowances, key in counted:
                    allowances.count(key, now)
        if wait:
            seconds = math.ceil(wait)
            advice = f"Try again in {seconds} seconds."
            raise TransientError("too many tries to log in", advice=advice, retry_after=float(seconds))

    def take_back(self, user: str, spelt: str, address: str) -> None:
        """Let a try not count that was let through."""
        place = _place(address)
        with self._lock:
            now = self._clock()
            self._by_address.take_back(place, now)
            self._by_pair.take_back((spelt, place), now)
            if (user, place) not in self._known:
                self._by_user.take_back(user, now)

    def succeeded(self, user: str, spelt: str, address: str) -> None:
        """Let a try not count, since the person logged in, and remember the address."""
        self.take_back(user, spelt, address)
        place = _place(address)
        with self._lock:
            self._known[user, place] = None
            self._known.move_to_end((user, place))
            while len(self._known) > MOST:
                self._known.popitem(last=False)


def _place(address: str) -> str:
    """Return the network that one person has: an address of IPv4, 64 bits of IPv6 (RFC 6177)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:_ADDRESS]
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
