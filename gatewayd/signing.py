"""Message-IDs of our own that prove themselves: whoever lacks the key can't make one, and changes none unnoticed.

An id is ``<gw.PURPOSE.NONCE.TOKEN@domain>``. The token signs purpose and nonce, not the domain, so that an id is known again
after the sending address has moved; and all of it is lower-case letters and digits, since some programs change the case.

Some relays replace the Message-ID of what they pass on, and leave References alone. So our mail names itself there once more,
as ``<gw.PURPOSE.NONCE.TOKEN.r@domain>``: an answer repeats it (RFC 5322 section 3.6.4), and it proves the same.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from base64 import b32encode
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.errors import ConfigError, TransientError
from gatewayd.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.options import Secret

__all__ = ["HOP", "KEY_FILE", "Purpose", "Signer", "is_reference", "reference", "written_in"]

#: What a message of ours is: something that we send on, or a mail that we wrote.
Purpose: TypeAlias = Literal["forward", "mail"]

#: The header by which a circle is known. Its value is the Message-ID of one of our own deliveries, and signed so. Whoever got
#: that delivery can write it into any mail: it proves something only where the message itself is in the mail, too.
HOP = "Gatewayd-Hop"

_LETTERS: dict[Purpose, str] = {"forward": "f", "mail": "m"}
_PURPOSES: dict[str, Purpose] = {letter: purpose for purpose, letter in _LETTERS.items()}
#: Nonce and token have 120 bits each: 24 characters of base32 without padding or spare bits (RFC 4648 section 6).
_BYTES = 15
_ID = re.compile(r"<?gw\.([fm])\.([a-z2-7]{24})\.([a-z2-7]{24})(?:\.r)?@[^<>@\s]{1,255}>?", re.IGNORECASE | re.ASCII)
_REFERENCE = ".r@"
#: The same within anything; the domain ends where no host's name goes on.
_WITHIN = re.compile(rb"gw\.[fm]\.[a-z2-7]{24}\.[a-z2-7]{24}(?:\.r)?@[a-z0-9](?:[a-z0-9.-]{0,253}[a-z0-9])?", re.IGNORECASE)
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
#: Stands for a domain that there is none of, or that no header can bear (RFC 2606 section 2).
_NO_DOMAIN = "gatewayd.invalid"
#: In the state folder.
KEY_FILE = "signing.key"
#: In bytes; what is larger is no key.
_LONGEST = 1 << 16
#: How long a key must be, in characters.
_SHORTEST = 32


class Signer:
    """Makes and proves Message-IDs with one key. Used by any number of threads at once."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Signer()"

    @classmethod
    def load(cls, secret: Secret | None, state: Path) -> Signer:
        """Return the signer with the key of ``secret``, else of ``signing.key`` in the state folder, which is made if need be.

        Raises ConfigError for a key that is too short, AuthError for a secret that is missing, TransientError where the
        state folder can't be used.
        """
        if secret is not None:
            return cls(_long_enough(secret.reveal(), f"the secret {secret}", "Give `signing_key` a longer one."))
        path = state / KEY_FILE
        try:
            text = _read(path) if path.exists() else _made(path)
        except OSError as error:
            advice = "Make the state folder readable and writable for this user, and see that its disk is not full."
            raise TransientError(f"{path}: {error.strerror}", advice=advice) from error
        advice = "Restore it from the backup; with a new one, answers to mail that was sent before are no longer recognised."
        return cls(_long_enough(text, str(path), advice))

    def message_id(self, purpose: Purpose, domain: str) -> str:
        """Return a new Message-ID with its brackets (RFC 5322 section 3.6.4); ``domain`` may be empty where we have no address."""
        nonce = _base32(secrets.token_bytes(_BYTES))
        return f"<gw.{_LETTERS[purpose]}.{nonce}.{self._token(purpose, nonce)}@{_domain(domain)}>"

    def purpose(self, message_id: str) -> Purpose | None:
        """Return what a Message-ID was made for; None for one that is not ours, forged or not. Case and brackets may be lost."""
        found = _ID.fullmatch(message_id.strip())
        if found is None:
            return None
        letter, nonce, token = (part.lower() for part in found.groups())
        purpose = _PURPOSES[letter]
        return purpose if hmac.compare_digest(token, self._token(purpose, nonce)) else None

    def proven(self, message_id: str) -> str:
        """Return a Message-ID of ours as we wrote it, whatever became of its case and brackets; empty for one that is not ours."""
        if not self.purpose(message_id):
            return ""
        known = message_id.strip().strip("<>").lower()
        return f"<{known.replace(_REFERENCE, '@', 1)}>"

    def _token(self, purpose: Purpose, nonce: str) -> str:
        signed = hmac.digest(self._key, f"gatewayd message-id {purpose} {nonce}".encode(), "sha256")
        return _base32(signed[:_BYTES])


def reference(message_id: str) -> str:
    """Return the second name of a message of ours, which goes into its References."""
    local, _, domain = message_id.strip("<>").partition("@")
    return f"<{local}{_REFERENCE}{domain}>"


def is_reference(message_id: str) -> bool:
    """Whether a proven Message-ID of ours stands there as the second name of its message."""
    return _REFERENCE in message_id.lower()


def written_in(data: bytes) -> Iterator[str]:
    """Yield what looks like a Message-ID of ours anywhere in some bytes, without its brackets."""
    # Most mail has none, and a plain search is many times faster than a pattern without regard to case.
    if b"g\0w\0." in data:
        # Outlook keeps what it attaches as .msg in two bytes a character.
        data = data.replace(b"\0", b"")
    if b"gw." in data or b"GW." in data:
        yield from (found[0].decode("ascii") for found in _WITHIN.finditer(data))


def _base32(data: bytes) -> str:
    return b32encode(data).decode().lower()


def _domain(text: str) -> str:
    try:
        domain = text.lower().encode("ascii" if text.isascii() else "idna").decode()
    except UnicodeError:
        return _NO_DOMAIN
    return domain if _DOMAIN.fullmatch(domain) else _NO_DOMAIN


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
