"""Message-IDs of our own that prove themselves: whoever lacks the key can't make one, and changes none unnoticed.

An id is ``<gw.PURPOSE.NONCE.TOKEN@domain>``. The token signs purpose and nonce, not the domain, so that an id is known again
after the sending address has moved; and all of it is lower-case letters and digits, since some programs change the case.

Some relays replace the Message-ID of what they pass on, and leave References alone. So our mail names itself there once more,
as ``<gw.PURPOSE.NONCE.TOKEN.r@domain>``: an answer repeats it (RFC 5322 section 3.6.4), and it proves the same.
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


class Signer:
    """Makes and proves Message-IDs with one key. Used by any number of threads at once."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Signer()"

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
