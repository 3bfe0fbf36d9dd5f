"""When what a credential or an account proves itself with ends, such as a client secret or a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.roles import Plugin

__all__ = ["Expiry", "expiry_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """When what a credential proves itself with ends."""

    day: date
    #: What ends, as people are told.
    what: str = "secret"
    #: What to do then; it follows a colon.
    advice: str = "make a new one, put it where the config points, and correct `secret_expires`."


def expiry_of(options: Plugin.Options) -> Expiry | None:
    """Return when a secret ends, as the field ``secret_expires`` says; None if there is no such field, or it is empty."""
    day = getattr(options, "secret_expires", None)
    return Expiry(day=day) if isinstance(day, date) else None
