"""Tell commands which copy of each secret a daemon has: it may be older than the file.

systemd hands secrets over once, when the service starts; later changes of the files don't reach it. So a daemon writes into its
room in the state folder since when it has each secret, and a mark by which others see whether theirs is the same. A mark is
16 bits of a digest with a key of the daemon: it shows a change, and no password. Only the service's user and root can read it, and
they can read the secrets themselves. All of it goes with the daemon.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.errors import AuthError
from gatewayd.runtime.instance import running_daemons

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gatewayd.api.options import Secret
    from gatewayd.runtime.instance import Instance

__all__ = ["SecretCopies", "SecretCopy", "copies_of", "mark", "new_key"]

_FILE = "secrets.json"
#: Of a mark, in bytes.
_MARK = 2
_KEY = 32
#: The file for a hundred thousand secrets is not larger, in bytes.
_LONGEST = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCopy:
    """A daemon's copy of one secret."""

    since: datetime
    #: Its ``mark``; empty if the daemon does not have the secret.
    mark: str


def mark(secret: Secret, key: bytes, size: int = _MARK) -> str:
    """Return a digest of ``size`` bytes of the secret, as hex; empty if the secret can't be read."""
    try:
        text = secret.reveal()
    except AuthError:
        return ""
    return blake2b(text.encode(errors="surrogateescape"), digest_size=size, key=key).hexdigest()


@dataclass(frozen=True, slots=True)
class SecretCopies:
    """The copies of one daemon, by their references as the config writes them."""

    key: bytes
    by_name: Mapping[str, SecretCopy]

    def is_other(self, secret: Secret) -> bool:
        """Whether the daemon's copy surely differs from the secret as it is here; False if one of the two is not known."""
        copy = self.by_name.get(str(secret))
        here = mark(secret, self.key)
        return copy is not None and bool(here) and copy.mark != here

    def since(self, several: Iterable[Secret]) -> datetime | None:
        """Return since when the daemon has the newest of several; None where it is not known to have any."""
        found = [self.by_name.get(str(one)) for one in several]
        return max((one.since for one in found if one and one.mark), default=None)

    def tell(self, instance: Instance) -> None:
        """Write it into the room of a daemon; raises OSError."""
        told = {name: [copy.since.timestamp(), copy.mark] for name, copy in self.by_name.items()}
        instance.write(_FILE, json.dumps({"key": self.key.hex(), "copies": told}))


def new_key() -> bytes:
    """Return a key for the marks of one daemon."""
    return secrets.token_bytes(_KEY)


def copies_of(state: Path) -> Mapping[int, SecretCopies]:
    """Return the copies of the daemons with this state folder, by process; those that can't be read are left out."""
    found = ((process, _read(room)) for process, room in running_daemons(state).items())
    return {process: copies for process, copies in found if copies}


def _read(room: Path) -> SecretCopies | None:
    try:
        told = json.loads(read_regular(room / _FILE, _LONGEST))
        copies = {
            name: SecretCopy(since=datetime.fromtimestamp(at, UTC), mark=str(made)) for name, (at, made) in told["copies"].items()
        }
        key = bytes.fromhex(told["key"])
        return SecretCopies(key, copies) if len(key) == _KEY else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        # It has just begun or ended, or is of another version.
        return None
