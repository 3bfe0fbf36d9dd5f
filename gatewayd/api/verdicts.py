"""Decisions to admit or link that are made again when newer records of a directory are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.renamed_fields import HasUser

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["PROVISIONAL_SECONDS", "Doubted", "Judged", "Provisional", "Refused"]

#: How long a verdict stays provisional at most, in seconds: a week.
PROVISIONAL_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """A verdict for one operator by records older than the mail, or by a directory at fault.

    It is given again by the first good load that begins after ``since``. It may be about a filing, or about whether the operator
    admits the mail, which others do.
    """

    operator: str
    since: datetime
    #: The version of the records; empty where the verdict is given again whatever they are then.
    version: str = ""
    #: Rules fire for what it becomes: it was about new mail.
    fire: bool = False
    #: Admission could not be decided at all, so that there is nothing yet that could be right.
    undecided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted(HasUser):
    """A stored mail with a provisional verdict."""

    mail_id: int
    account: str
    received_at: datetime
    #: The operator has a filing of it, which is this user's where it is personal.
    filed: bool
    verdict: Provisional
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A key that is not admitted, and that the server still has as far as is known."""

    entry_id: int
    key: str
    #: The From addresses in lower case; None where they were not kept.
    senders: tuple[str, ...] | None
    #: The verdict is provisional, since then.
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """By what all mail of an account that is not admitted was judged last, for one operator."""

    #: What of the config it hangs on, as a digest.
    settings: str
    #: The version of the operator's records.
    version: str
