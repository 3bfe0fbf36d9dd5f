"""The key that signs our Message-IDs: a secret that the config names, else a file in the state folder."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.errors import ConfigError, TransientError
from gatewayd.message.message_ids import Signer

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.api.options import Secret

__all__ = ["KEY_FILE", "load_signer"]

#: In the state folder.
KEY_FILE = "signing.key"
#: In bytes; what is larger is no key.
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
        text = _read(path) if path.exists() else _made(path)
    except OSError as error:
        advice = "Make the state folder readable and writable for this user, and see that its disk is not full."
        raise TransientError(f"{path}: {error.strerror}", advice=advice) from error
    advice = "Restore it from the backup; with a new one, answers to mail that was sent before are no longer recognised."
    return Signer(_long_enough(text, str(path), advice))


def _long_enough(text: str, what: str, advice: str) -> bytes:
    if len(text) < _SHORTEST:
        raise ConfigError(f"{what} has {len(text)} characters, expected a key of at least {_SHORTEST}", advice=advice)
    return text.encode()


def _read(path: Path) -> str:
    return read_regular(path, _LONGEST).decode("latin-1").strip()


def _made(path: Path) -> str:
    """Make the key's file, whole or not at all; of two processes that do so at once, both return the first one's."""
    draft = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_urlsafe(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            # Unlike a rename, a link replaces nobody's key.
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return _read(path)
