"""Keys of our own: long random texts, in secrets or in files of the state folder that their owner alone can read."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.errors import ConfigError, TransientError
from gatewayd.runtime.atomic_files import write_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kept_key", "long_enough"]

#: No key is larger, in bytes.
_LONGEST = 1 << 16
#: How long a key must be, in characters.
_SHORTEST = 32


def kept_key(path: Path, advice: str) -> str:
    """Return the key in a file of the state folder, which is made if need be.

    Raises ConfigError, with ``advice``, for a key that is too short, and TransientError where the state folder can't be used.
    """
    try:
        if not path.exists():
            # If two processes make it at once, both use the first one's.
            write_file(path, secrets.token_urlsafe(32).encode() + b"\n", replace=False)
        text = read_regular(path, _LONGEST).decode("latin-1").strip()
    except OSError as error:
        folder = "Make the state folder readable and writable for this user, and see that its disk is not full."
        raise TransientError(f"{path}: {error.strerror}", advice=folder) from error
    return long_enough(text, str(path), advice)


def long_enough(text: str, what: str, advice: str) -> str:
    """Return a key; raises ConfigError, with ``advice``, for one that is too short. Messages call it ``what``."""
    if len(text) < _SHORTEST:
        raise ConfigError(f"{what} has {len(text)} characters, expected a key of at least {_SHORTEST}", advice=advice)
    return text
