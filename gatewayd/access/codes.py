"""Codes that are typed beside a password: one-time codes by time (RFC 6238), and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RECOVERY_CODES", "digest_of_recovery", "new_recovery_codes", "new_secret", "one_time_code", "setup_uri", "step_of"]

#: Seconds of a step, and digits of a code: what every authenticator app takes (RFC 6238 section 4.1, RFC 4226 section 5.3).
_STEP, _DIGITS = 30, 6
#: So many steps the clocks of the app and of this machine may differ.
_DRIFT = 1
#: How many recovery codes a person has.
RECOVERY_CODES = 10
#: Bytes of a secret (RFC 4226 section 4, R6) and of a recovery code; both are whole in base32.
_SECRET, _RECOVERY = 20, 10
_BLANK = re.compile(r"[\s-]+")


def new_secret() -> str:
    """Return a new random secret, in base32 as people type it into an app."""
    return base64.b32encode(secrets.token_bytes(_SECRET)).decode()


def setup_uri(secret: str, who: str, issuer: str) -> str:
    """Return what an app reads from a picture (the Key URI Format of Google Authenticator)."""
    label = quote(f"{issuer}:{who}", safe=":@")
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}&algorithm=SHA1&digits={_DIGITS}&period={_STEP}"


def one_time_code(secret: str, step: int) -> str:
    """Return the code of a step (RFC 4226 section 5.3)."""
    made = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    at = made[-1] & 15
    number = int.from_bytes(made[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def step_of(secret: str, code: str, now: float) -> int | None:
    """Return the step whose code was typed at ``now``, in seconds since 1970; None for a wrong code. Blanks don't count."""
    typed = _BLANK.sub("", code[:100])
    current = int(now) // _STEP
    steps = range(max(0, current - _DRIFT), current + _DRIFT + 1)
    right = [step for step in steps if hmac.compare_digest(one_time_code(secret, step).encode(), typed.encode(errors="replace"))]
    return max(right, default=None)


def new_recovery_codes() -> Sequence[str]:
    """Return new random recovery codes, such as ``7ktq-m2xa-5wzc-d3bn``: each is taken once in place of a one-time code."""
    return [_shown(secrets.token_bytes(_RECOVERY)) for _ in range(RECOVERY_CODES)]


def digest_of_recovery(user_id: int, code: str) -> bytes | None:
    """Return the digest by which a user's recovery code is kept; None for what is none. Blanks, dashes and capitals don't count."""
    typed = _BLANK.sub("", code[:100]).lower()
    if not re.fullmatch("[a-z2-7]{16}", typed):
        return None
    # It has 80 random bits: nobody finds it by its digest.
    return hashlib.sha256(f"recovery code of {user_id}: {typed}".encode()).digest()


def _shown(code: bytes) -> str:
    text = base64.b32encode(code).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
