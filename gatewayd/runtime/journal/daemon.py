"""Log events of the daemon's store, secrets and metrics, and of notices to administrators."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.lines import cause_of, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = [
    "credential_ends",
    "credentials_changed",
    "metrics_failed",
    "notice_failed",
    "notice_sent",
    "renamed",
    "store_away",
    "store_back",
    "store_new",
    "user_left",
    "web_calls_failed",
]


def store_away(error: BaseException) -> None:
    """The store can't be reached; it is tried again and again, and sessions are dropped before leases end."""
    write(logging.ERROR, "store away", **cause_of(error))


def store_back(*, seconds: float) -> None:
    """The store can be reached again, after so many seconds."""
    write(logging.INFO, "store back", seconds=seconds)


def store_new(*, state: str) -> None:
    """The store made a new database, though this state folder was used before."""
    advice = "If there was mail in a database, stop gatewayd, and restore its backup first."
    write(logging.WARNING, "store new", state=state, advice=advice)


def renamed(kind: str, *, old: str, new: str, kept: int) -> None:
    """An account, operator or user has another name, with so many mails or filings."""
    write(logging.INFO, "renamed", kind=kind, old=old, new=new, kept=kept)


def user_left(operator: str, user: str) -> None:
    """The config no longer has a user: the user's shares, subscriptions and seen-marks are void."""
    write(logging.WARNING, "user left", operator=operator, user=user)


def notice_sent(*, begun: int, over: int, missed: int) -> None:
    """Administrators were notified of so many alarms that began and that are over; so many of them did not get it."""
    write(logging.WARNING if missed else logging.INFO, "administrators told", begun=begun, over=over, missed=missed or None)


def notice_failed(error: BaseException, *, retry_in: float) -> None:
    """Administrators could not be notified; it is tried again."""
    write(logging.ERROR, "administrators not told", retry_in=retry_in, **cause_of(error))


def credential_ends(name: str, *, day: date, advice: str) -> None:
    """The secret or certificate of a credential or account ends within 30 days, or has ended; told once a day."""
    write(logging.WARNING, "credential ends", credential=name, day=str(day), advice=advice)


def credentials_changed(what: str, *, files: Sequence[str]) -> None:
    """A secret or CA file changed that these files of the config name; refused accounts are tried at once."""
    write(logging.INFO, "credentials changed", what=what, files=tuple(files))


def web_calls_failed(error: BaseException) -> None:
    """The daemon's socket can't be made; it is tried again. Until then the pages only show what is there."""
    write(logging.ERROR, "web calls not answered", **cause_of(error))


def metrics_failed(error: BaseException) -> None:
    """Metrics can't be served; it is tried again, and everything else goes on."""
    write(logging.ERROR, "metrics not served", **cause_of(error))
