"""Read access tokens in the answers of Microsoft's log-in service (RFC 6749 section 5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd import Token, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TOKEN", "token_of"]

#: A token goes into a header field as it is. Real ones have about 2,000 characters.
TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
#: Seconds that a token may last: a tenant's policy can say a day at most.
_LONGEST = 86400.0


def token_of(said: Mapping[str, object], where: str) -> Token:
    """Return the token that an answer has. Raises TransientError, which names ``where``, if it has none."""
    text, lasts = said.get("access_token"), said.get("expires_in")
    if isinstance(lasts, str) and lasts.isascii() and lasts.isdigit():
        # Some older answers give the number as a text.
        lasts = int(lasts[:9])
    if not isinstance(text, str) or not TOKEN.fullmatch(text) or not isinstance(lasts, int | float) or not lasts > 0:
        raise TransientError(
            f"{where}: the answer has no access token", advice="Check that `authority` is Microsoft's log-in service."
        )
    return Token(text, lasts=float(min(lasts, _LONGEST)))
