"""Load the key that signs our Message-IDs: a secret that the config names, else a file in the state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.config.key_files import kept_key, long_enough
from gatewayd.message.message_ids import Signer

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.api.options import Secret

__all__ = ["KEY_FILE", "load_signer"]

#: In the state folder.
KEY_FILE = "signing.key"


def load_signer(secret: Secret | None, state: Path) -> Signer:
    """Return the signer with the key of ``secret``, else of ``signing.key`` in the state folder, which is made if need be.

    Raises ConfigError for a key that is too short, AuthError for a secret that is missing, TransientError where the
    state folder can't be used.
    """
    if secret is not None:
        return Signer(long_enough(secret.reveal(), f"the secret {secret}", "Give `signing_key` a longer one.").encode())
    advice = "Restore it from the backup; with a new one, answers to mail that was sent before are no longer recognised."
    return Signer(kept_key(state / KEY_FILE, advice).encode())
