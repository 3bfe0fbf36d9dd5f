"""The frozen values of a visit: what it works with, how far it is, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.api.health import Answer
from gatewayd.api.store import LEASE_SECONDS
from gatewayd.api.tally import Tally
from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.config import LimitsConfig
    from gatewayd.errors import GatewaydError
    from gatewayd.importing.daily_quota import DailyQuota
    from gatewayd.matching import Matching
    from gatewayd.outgoing.routing import Router
    from gatewayd.runtime.instance import Instance

__all__ = ["Progress", "VisitReport", "VisitTools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a visit is."""

    account: str
    folder: str
    #: How many keys are done in this visit, and how many are known to be there for it.
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitReport:
    """What a visit did."""

    account: str
    #: Keys that were new to the ledger.
    listed: int = 0
    tally: Tally = field(default_factory=Tally)
    settled: int = 0
    #: Seconds after which all keys that were deferred are due again.
    later: float = 0.0
    #: Folders that were not listed to their end, or in which the server contradicts itself: mail may be missing.
    unproven: tuple[str, ...] = ()
    #: What stopped a folder or an action, each one line.
    problems: tuple[str, ...] = ()
    #: What a person should know and stopped nothing, such as a faulty row of a directory.
    notes: tuple[str, ...] = ()
    #: The folders were listed whole and compared with the ledger, as the task asked, and no limit cut that short.
    compared: bool = False
    #: It ended early because other accounts waited for its room: the next visit goes on.
    gave_way: bool = False
    #: A limit cut it short, or the listing of a folder: the next visit goes on.
    unfinished: bool = False
    #: What ended the visit early; what was filed by then is filed.
    error: GatewaydError | None = None
    #: The session, still open; None where it was not to be kept, or can't go on.
    session: Session | None = None

    def answer(self) -> Answer:
        """Return the report in the form in which another process gets it."""
        return Answer(
            account=self.account,
            listed=self.listed,
            tally=self.tally,
            settled=self.settled,
            problems=self.problems,
            notes=self.notes,
            error=self.error.message if self.error else "",
            advice=self.error.advice if self.error else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTools:
    """What a visit works with. The command line and the daemon each bring their own."""

    store: Store
    matching: Matching
    instance: Instance
    #: Decides what mail is sent on; with None no mail is.
    router: Router | None = None
    #: The bounds of the visit and of each of its batches.
    limits: LimitsConfig
    #: One thread, which does every step of the session.
    fetcher: Executor
    #: What the account's server may still send today, over all visits; None is no limit, because a person asked for the visit.
    quota: DailyQuota | None = None
    progress: Callable[[Progress], None] = lambda _: None
    #: How long the session is waited for before the lease is renewed, in seconds.
    patience: float = LEASE_SECONDS / 3
    #: Whether the visit must end as soon as it can; asked between two steps.
    stopping: Callable[[], bool] = lambda: False
    #: Whether it is to end with the step that it is at, because other accounts wait for its room.
    gives_way: Callable[[], bool] = lambda: False
    #: Called with the session as soon as it is open, so that another thread can abort it.
    opened: Callable[[Session], None] = lambda _: None
    #: Hears of new mails and suspended targets, once they are committed.
    events: Events = field(default_factory=Events)
