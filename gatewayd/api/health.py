"""Health and requests: what daemons and commands tell each other through the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.renamed_fields import HasHolder
from gatewayd.api.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "AccountHealth",
    "Alarm",
    "AlarmKind",
    "Answer",
    "Cause",
    "Condition",
    "DaemonHealth",
    "Lengths",
    "Request",
    "Standing",
    "Task",
]

#: How an account is: not visited yet, being visited, waiting for the server's word (and polled), polled only, tried again
#: after a fault, paused because one side could not prove who it is, only sending, not imported on purpose, without a usable file.
Condition: TypeAlias = Literal["new", "working", "watching", "polling", "backing off", "paused", "sending", "disabled", "faulty"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHealth(HasHolder):
    """How one account is (promise P10). Times are UTC."""

    account: str
    #: The daemon that reports it.
    holder: str
    condition: Condition
    #: When the server last proved that nothing is missing: a listing to its end, or an answer while it was watched.
    checked_at: datetime | None = None
    #: When mail was last filed.
    mail_at: datetime | None = None
    #: When it is due next; None while it is being visited.
    due_at: datetime | None = None
    #: When the visit began that goes on; None where none does.
    working_since: datetime | None = None
    #: When the full listing was last compared with the ledger.
    compared_at: datetime | None = None
    #: Visits that failed since the last real success.
    failures: int = 0
    #: What is wrong and what to do about it; empty where nothing is.
    error: str = ""
    advice: str = ""


#: What can be in trouble so that a person is told: an account, an operator's directory, the store.
AlarmKind: TypeAlias = Literal["account", "directory", "store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person must see to, from when it begins until it is over.

    No word of any mail stands in it: it is sent to the administrators, see `notify` in `gatewayd.yaml`.
    """

    kind: AlarmKind
    #: The account, or the operator whose directory it is; empty for the store.
    name: str = ""
    #: What is wrong and what to do about it.
    error: str
    advice: str = ""
    #: It may well pass by itself: it is told only where it lasts for `notify.after`.
    passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alarm, and since when it stands."""

    alarm: Alarm
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonHealth(HasHolder):
    """How one daemon is."""

    #: Its name as a holder of leases.
    holder: str
    version: str
    started_at: datetime
    #: How many accounts it holds.
    accounts: int = 0
    workers: int = 0
    #: Worker processes that had to be replaced since the start.
    worker_deaths: int = 0
    #: Matchers that are not called for now, as ``operator/kind``.
    open_breakers: tuple[str, ...] = ()
    #: Targets that rules send more to than they may, as ``operator/target``; see ``limits.forwards_per_hour``.
    #: Where all of it is of one sender, ``from`` and his address stand behind it; see ``limits.forwards_per_sender``.
    open_targets: tuple[str, ...] = ()
    #: Files of the config that are faulty, each with whether it runs as last accepted.
    config_faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a visit is asked to do besides its usual work."""

    #: List every folder anew, and take what was only offered.
    from_beginning: bool = False
    #: List every folder anew, and take what the ledger lacks: the daily comparison.
    compare: bool = False
    #: File the account's old mail for this operator, too.
    operator: str | None = None
    #: Take just these keys, offered or waiting; empty takes what is due.
    keys: tuple[str, ...] = ()
    #: A person chose these keys for one operator. What is still offered under one of them was not chosen, and stays offered.
    chosen: bool = False
    #: Forward rules fire for backlog, too.
    forward: bool = False
    #: With ``forward``: of this operator alone, whose people chose the keys; None: of all.
    forward_for: str | None = None
    #: Only list, and read the headers of what is offered: nothing is fetched, and nothing is done on the server.
    look: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a visit did, as it can be told to another process."""

    account: str
    #: Keys that were new to the ledger.
    listed: int = 0
    tally: Tally = field(default_factory=Tally)
    settled: int = 0
    #: What stopped a folder or an action, each one line.
    problems: tuple[str, ...] = ()
    #: What a person should know and stopped nothing.
    notes: tuple[str, ...] = ()
    #: What ended the visit early, and what to do about it; empty where nothing did.
    error: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A visit that a person asked of whichever daemon holds the account."""

    id: int
    account: str
    task: Task
    #: How far it is, in keys.
    done: int = 0
    total: int = 0
    #: None until it is done.
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Filings that stand in one error queue for the same cause."""

    queue: str
    #: A matcher's kind, ``directory``, ``parser`` or ``config``.
    by: str
    error: str
    filings: int
    #: When the first and the last of them were filed, and the id of the last.
    first_at: datetime
    last_at: datetime
    last_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How much waits, for a monitor."""

    #: Keys that wait to be fetched, and when the oldest of them was listed, by account.
    waiting: Mapping[str, tuple[int, datetime]]
    #: Filings in error queues, by operator.
    queued: Mapping[str, int]
    #: Deliveries that wait, and those that need a person (parked or bounced; what is withheld does not), by operator.
    undelivered: Mapping[str, int]
    stuck: Mapping[str, int]
    #: Keys that are filed, and fetched once more before anything is done to them on the server, by account.
    rereads: Mapping[str, int] = field(default_factory=dict)
    #: Mails whose words are not in the index yet.
    unindexed: int = 0
