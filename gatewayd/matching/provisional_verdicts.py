"""Decide when a decision to admit or link is provisional, and since when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatewayd.api.verdicts import Provisional

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.api.directory import Basis
    from gatewayd.matching.values import OperatorResult
    from gatewayd.message.mail import Mail

__all__ = ["provisional", "senders", "since"]

#: Servers tell arrivals in whole seconds, cut off.
_SECOND = timedelta(seconds=1)
#: So many From addresses of a mail are kept, each of so many characters (RFC 5321 section 4.5.3.1).
_MOST, _LONGEST = 100, 320


def senders(mail: Mail) -> tuple[str, ...]:
    """Return the From addresses in lower case, each once."""
    return tuple(dict.fromkeys(one.key[:_LONGEST] for one in mail.from_ if one.email))[:_MOST]


def since(basis: Basis | None, arrival: datetime | None, now: datetime) -> datetime | None:
    """Return since when a verdict is provisional that is given ``now``; None where it is not.

    It is where the records were loaded before the mail came, or the directory is at fault. ``arrival`` None is not known.
    """
    if basis is None:
        return None
    if not basis.sound or basis.loaded_at is None:
        return now
    came = min(arrival + _SECOND, now) if arrival else now
    return came if basis.loaded_at < came else None


def provisional(found: OperatorResult, mail_id: int, arrival: datetime | None, now: datetime, *, fire: bool) -> Provisional | None:
    """Return the operator's verdict on a mail as a provisional one; None where it is none."""
    if mail_id in found.pending:
        return Provisional(operator=found.operator, since=now, fire=fire, undecided=True)
    failed = any(fault.by == "directory" for of, fault in found.faults if of == mail_id)
    began = now if failed else since(found.basis, arrival, now)
    if began is None or found.basis is None:
        return None
    version = found.basis.version if found.basis.told and not failed else ""
    return Provisional(operator=found.operator, since=began, version=version, fire=fire)
