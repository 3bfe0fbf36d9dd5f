"""One place for all that the daemon says of its work: to the log, to the metrics, and to observers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.api.events import AccountChanged, ConfigLoaded, DeliverySettled, MailFailed, MailFiled
from gatewayd.api.health import Alarm
from gatewayd.daemon.alarms import Alarms
from gatewayd.errors import LeaseLost
from gatewayd.matching.worker_matching import WorkerEvents
from gatewayd.runtime import journal
from gatewayd.scheduler.values import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.api.delivery import Settled, Suspension, Taken
    from gatewayd.api.health import AccountHealth, AlarmKind, Condition
    from gatewayd.api.ledger import Filed
    from gatewayd.config import Config
    from gatewayd.daemon.observers import Observers
    from gatewayd.importing.visit import VisitReport
    from gatewayd.matching.directory_looks import DirectoryLook
    from gatewayd.runtime.metrics import Metrics

__all__ = ["EventReporter"]


#: What is known of an account while it is being visited, or before, is what was known before.
_UNDECIDED = {"working", "new"}
#: Conditions that need a person; what else is wrong may pass by itself.
_STOPPED = {"paused", "faulty"}


class EventReporter:
    """Its methods may be called from any thread, and never wait."""

    def __init__(self, metrics: Metrics, observers: Observers, alarms: Alarms | None = None) -> None:
        self._metrics = metrics
        self._observers = observers
        self._alarms = alarms or Alarms()

    @property
    def listener(self) -> Listener:
        """What the supervisor calls."""
        return Listener(
            visited=self.visited,
            changed=self.changed,
            filed=self.filed,
            suspended=self.suspended,
            settled=self.settled,
            alarm=self.alarm,
            over=self.over,
            gone=self.gone,
        )

    def worker_events(self, directory_back: Callable[[str], None] = lambda _: None) -> WorkerEvents:
        """What the worker processes' pool calls; ``directory_back`` is somebody else's matter."""
        return WorkerEvents(ended=self.worker_ended, breaker=self.breaker, directory_back=directory_back, looked=self.looked)

    def looked(self, look: DirectoryLook) -> None:
        """Tell what a look at a directory found: only what is news, but an alarm stands until it is over."""
        name = look.operator
        if look.error:
            advice = "See `gatewayd status` and `gatewayd check`."
            self.alarm(Alarm(kind="directory", name=name, error=look.error, advice=advice, passing=True))
            if look.error != look.error_before:
                journal.directory_failed(name, cause=look.error, answers=bool(look.contents.version))
        else:
            self.over("directory", name)
            if look.error_before:
                journal.directory_healed(name)
        if look.is_new and look.contents.version:
            contents = look.contents
            rows = sum(count for _, count in contents.rows)
            journal.directory_loaded(name, rows=rows, faults=len(contents.faults), warnings=len(contents.warnings))
        journal.directory_fault(name, [text for text in look.news if text not in look.error])

    def filed(self, account: str, folder: str, mails: Sequence[Filed]) -> None:
        """Tell of a batch's new mails, once they are committed."""
        now = datetime.now(UTC)
        for one in mails:
            self._filed(account, folder, one, now)
            for filing in one.filings:
                for target in (delivery.target for delivery in filing.deliveries if delivery.withheld):
                    journal.delivery_withheld(account, one.entry_id, operator=filing.operator, target=target)
                for fault in filing.faults:
                    journal.mail_failed(account, one.entry_id, operator=filing.operator, by=fault.by, error=fault.error)
                    self._metrics.filing_fault(fault.by)
                    failed = MailFailed(
                        account=account, mail_id=one.entry_id, operator=filing.operator, by=fault.by, error=fault.error
                    )
                    self._observers.tell(failed)

    def _filed(self, account: str, folder: str, one: Filed, now: datetime) -> None:
        size, arrival = one.mail.source.size, one.mail.received_at
        journal.mail_filed(
            account,
            one.entry_id,
            folder=folder,
            key=one.key,
            size=size,
            operators=[filing.operator for filing in one.filings],
            links=sum(len(filing.links) for filing in one.filings),
            faults=sum(len(filing.faults) for filing in one.filings),
        )
        self._metrics.filed(size, lag=None if one.backlog or arrival is None else (now - arrival).total_seconds())
        event = MailFiled(
            account=account,
            folder=folder,
            key=one.key,
            mail_id=one.entry_id,
            size=size,
            received_at=arrival,
            backlog=one.backlog,
            filings=one.filings,
        )
        self._observers.tell(event)

    def suspended(self, targets: Sequence[Suspension]) -> None:
        """Tell that targets get nothing any more, until a person says so."""
        for one in targets:
            journal.target_suspended(one)

    def settled(self, destination: str, taken: Taken, settled: Settled) -> None:
        """Tell what became of one try of a delivery; observers hear of its end alone."""
        journal.delivery_settled(destination, taken, settled)
        self._metrics.settled(settled.state)
        if settled.state == "waiting":
            return
        event = DeliverySettled(
            delivery_id=taken.id,
            operator=taken.operator,
            mail_id=taken.mail_id,
            goal=taken.delivery.goal,
            cause=taken.delivery.cause,
            state=settled.state,
            words=settled.words,
        )
        self._observers.tell(event)

    def visited(self, report: VisitReport, seconds: float) -> None:
        """Count a visit; the log has it already."""
        self._metrics.ended(report.tally)
        if report.error is not None:
            self._metrics.fault(report.error)
        held = isinstance(report.error, LeaseLost)
        self._metrics.visited("held" if held else "failed" if report.error else "done", seconds=seconds)

    def changed(self, health: AccountHealth, before: Condition) -> None:
        """Tell observers of an account's condition, and the administrators where it stopped; the log has it already."""
        self._observers.tell(AccountChanged(health=health, before=before))
        if health.condition in _UNDECIDED:
            return
        if health.error:
            passing = health.condition not in _STOPPED
            self.alarm(Alarm(kind="account", name=health.account, error=health.error, advice=health.advice, passing=passing))
        else:
            self.over("account", health.account)

    def alarm(self, alarm: Alarm) -> None:
        """Have the administrators told that something is wrong; it may be said again and again."""
        self._alarms.raised(alarm)

    def over(self, kind: AlarmKind, name: str = "") -> None:
        """Have the administrators told that it is over, if they were told of it; it may be said again and again."""
        self._alarms.over(kind, name)

    def gone(self, account: str) -> None:
        """Say nothing more of an account, not even that it is well."""
        self._alarms.forget("account", account)

    def config_loaded(self, config: Config) -> None:
        """Tell that a config was taken over."""
        accounts, operators = tuple(sorted(config.accounts)), tuple(sorted(config.operators))
        journal.config_loaded(
            accounts=len(accounts), operators=len(operators), faults=config.faults, last_accepted=config.standing_in
        )
        for one in self._alarms.standing():
            operator = config.operators.get(one.alarm.name)
            # Nobody looks after it any more.
            gone = operator is None or (operator.directory_kind is None and not operator.faulty)
            if one.alarm.kind == "directory" and gone:
                self.over("directory", one.alarm.name)
        self._observers.tell(ConfigLoaded(accounts=accounts, operators=operators, faults=config.faults))

    def worker_ended(self, operator: str, by: str, how: str) -> None:
        """Tell that a worker process had to be replaced."""
        journal.worker_replaced(operator=operator, by=by, cause=how)
        self._metrics.worker_died()

    def breaker(self, operator: str, by: str, changed: str) -> None:
        """Tell that a matcher is not called any more, or is again."""
        (journal.breaker_opened if changed == "opened" else journal.breaker_closed)(operator=operator, by=by)
