"""Make and recognize our own Message-IDs, which are signed: nobody without the key can make or change one.

An id is ``<gw.PURPOSE.NONCE.TOKEN@domain>``. The token signs purpose and nonce but not the domain, so that an id is still valid
after the sending address has moved. All of it is lower-case letters and digits, since some programs change the case.

Some relays replace the Message-ID of mail that they pass on, but not its References. So our mail refers to itself there, as
``<gw.PURPOSE.NONCE.TOKEN.r@domain>``. A reply repeats that reference (RFC 5322 section 3.6.4), and it proves the same.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOP", "Purpose", "Signer", "is_reference", "reference", "written_in"]

#: A message of ours is either mail that we forward, or mail that we wrote.
Purpose: TypeAlias = Literal["forward", "mail"]

#: The header by which a mail loop is detected. Its value is the signed Message-ID of one of our deliveries. Whoever got that
#: delivery can copy the value into any mail, so it proves something only if the mail contains the delivered message, too.
HOP = "Gatewayd-Hop"

_LETTERS: dict[Purpose, str] = {"forward": "f", "mail": "m"}
_PURPOSES: dict[str, Purpose] = {letter: purpose for purpose, letter in _LETTERS.items()}
#: Nonce and token have 120 bits each: 24 characters of base32 without padding or spare bits (RFC 4648 section 6).
_BYTES = 15
_ID = re.compile(r"<?gw\.([fm])\.([a-z2-7]{24})\.([a-z2-7]{24})(?:\.r)?@[^<>@\s]{1,255}>?", re.IGNORECASE | re.ASCII)
_REFERENCE = ".r@"
#: The same anywhere in other text; the domain ends at the first character that no host name has.
_WITHIN = re.compile(rb"gw\.[fm]\.[a-z2-7]{24}\.[a-z2-7]{24}(?:\.r)?@[a-z0-9](?:[a-z0-9.-]{0,253}[a-z0-9])?", re.IGNORECASE)
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
#: Used if there is no domain, or one that no header can have (RFC 2606 section 2).
_NO_DOMAIN = "gatewayd.invalid"


class Signer:
    """Makes and verifies Message-IDs with one key. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Signer()"

    def message_id(self, purpose: Purpose, domain: str) -> str:
        """Return a new Message-ID with its brackets (RFC 5322 section 3.6.4); ``domain`` is empty if we have no address."""
        nonce = _base32(secrets.token_bytes(_BYTES))
        try:
            domain = domain.lower().encode("ascii" if domain.isascii() else "idna").decode()
        except UnicodeError:
            domain = ""
        domain = domain if _DOMAIN.fullmatch(domain) else _NO_DOMAIN
        return f"<gw.{_LETTERS[purpose]}.{nonce}.{self._token(purpose, nonce)}@{domain}>"

    def purpose(self, message_id: str) -> Purpose | None:
        """Return the purpose of one of our Message-IDs, whose case and brackets may be lost; None if it is forged or not ours."""
        found = _ID.fullmatch(message_id.strip())
        if found is None:
            return None
        letter, nonce, token = (part.lower() for part in found.groups())
        purpose = _PURPOSES[letter]
        return purpose if hmac.compare_digest(token, self._token(purpose, nonce)) else None

    def proven(self, message_id: str) -> str:
        """Return one of our Message-IDs as we wrote it, whatever its case and brackets are now; empty if it is not ours."""
        if not self.purpose(message_id):
            return ""
        known = message_id.strip().strip("<>").lower()
        return f"<{known.replace(_REFERENCE, '@', 1)}>"

    def _token(self, purpose: Purpose, nonce: str) -> str:
        signed = hmac.digest(self._key, f"gatewayd message-id {purpose} {nonce}".encode(), "sha256")
        return _base32(signed[:_BYTES])


def reference(message_id: str) -> str:
    """Return the second name of one of our messages, which goes into its own References."""
    local, _, domain = message_id.strip("<>").partition("@")
    return f"<{local}{_REFERENCE}{domain}>"


def is_reference(message_id: str) -> bool:
    """Whether one of our Message-IDs, already verified, is the second name of its message."""
    return _REFERENCE in message_id.lower()


def written_in(data: bytes) -> Iterator[str]:
    """Yield everything in ``data`` that looks like one of our Message-IDs, without brackets and not verified."""
    # Most mail has no such id, and a plain search is many times faster than a pattern that ignores case.
    if b"g\0w\0." in data:
        # Outlook's .msg attachments have two bytes for each character.
        data = data.replace(b"\0", b"")
    if b"gw." in data or b"GW." in data:
        yield from (found[0].decode("ascii") for found in _WITHIN.finditer(data))


def _base32(data: bytes) -> str:
    return b32encode(data).decode().lower()
