"""Load the key that signs our Message-IDs: a secret that the config names, else a file in the state folder."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.errors import ConfigError, TransientError
from gatewayd.message.message_ids import Signer
from gatewayd.runtime.atomic_files import write_file

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.api.options import Secret

__all__ = ["KEY_FILE", "load_signer"]

#: In the state folder.
KEY_FILE = "signing.key"
#: No key is larger, in bytes.
_LONGEST = 1 << 16
#: How long a key must be, in characters.
_SHORTEST = 32


def load_signer(secret: Secret | None, state: Path) -> Signer:
    """Return the signer with the key of ``secret``, else of ``signing.key`` in the state folder, which is made if need be.

    Raises ConfigError for a key that is too short, AuthError for a secret that is missing, TransientError where the
    state folder can't be used.
    """
    if secret is not None:
        return Signer(_long_enough(secret.reveal(), f"the secret {secret}", "Give `signing_key` a longer one."))
    path = state / KEY_FILE
    try:
        if not path.exists():
            # If two processes make it at once, both use the first one's.
            write_file(path, secrets.token_urlsafe(32).encode() + b"\n", replace=False)
        text = read_regular(path, _LONGEST).decode("latin-1").strip()
    except OSError as error:
        advice = "Make the state folder readable and writable for this user, and see that its disk is not full."
        raise TransientError(f"{path}: {error.strerror}", advice=advice) from error
    advice = "Restore it from the backup; with a new one, answers to mail that was sent before are no longer recognised."
    return Signer(_long_enough(text, str(path), advice))


def _long_enough(text: str, what: str, advice: str) -> bytes:
    if len(text) < _SHORTEST:
        raise ConfigError(f"{what} has {len(text)} characters, expected a key of at least {_SHORTEST}", advice=advice)
    return text.encode()
