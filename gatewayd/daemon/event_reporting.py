"""Report each event to the log, the metrics, the observers and the alarms, and wake the rooms that have work to do for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gatewayd.api.events import AccountChanged, ConfigLoaded, DeliverySettled, MailFailed, MailFiled
from gatewayd.daemon.alarms import Alarms
from gatewayd.errors import LeaseLost
from gatewayd.runtime import journal
from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.delivery import Settled, Taken
    from gatewayd.api.directory import DirectoryLook
    from gatewayd.api.health import AccountHealth, Alarm, AlarmKind, Answer, Condition
    from gatewayd.api.ledger import Filed, Filing
    from gatewayd.config import Config
    from gatewayd.daemon.observers import Observers
    from gatewayd.errors import GatewaydError
    from gatewayd.outgoing.dispatcher import Dispatcher
    from gatewayd.runtime.metrics import Metrics
    from gatewayd.scheduler.rematching import Rematcher
    from gatewayd.scheduler.verdict_correction import Corrector

__all__ = ["DaemonEvents", "EventReporter"]


class EventReporter(Events):
    """Events that are counted, that observers hear of, and that raise alarms; with what ``Events`` writes to the log."""

    def __init__(self, metrics: Metrics, observers: Observers, alarms: Alarms | None = None) -> None:
        self._metrics = metrics
        self._observers = observers
        self._alarms = alarms or Alarms()

    def mails_filed(self, account: str, folder: str, mails: Sequence[Filed]) -> None:
        """See ``Events``. A mail's lag is counted unless it is backlog or its server gives no arrival."""
        super().mails_filed(account, folder, mails)
        now = datetime.now(UTC)
        for one in mails:
            size, arrival = one.mail.source.size, one.mail.received_at
            self._metrics.filed(size, lag=None if one.backlog or arrival is None else (now - arrival).total_seconds())
            filed = MailFiled(
                account=account,
                folder=folder,
                key=one.key,
                mail_id=one.entry_id,
                size=size,
                received_at=arrival,
                backlog=one.backlog,
                filings=one.filings,
            )
            self._tell_filed(filed)

    def filings_added(self, mails: Sequence[MailFiled]) -> None:
        """See ``Events``. The mails were counted when they came."""
        super().filings_added(mails)
        for one in mails:
            self._tell_filed(one)

    def _tell_filed(self, filed: MailFiled) -> None:
        self._observers.tell(filed)
        for operator, fault in ((filing.operator, fault) for filing in filed.filings for fault in filing.faults):
            self._metrics.filing_fault(fault.by)
            failed = MailFailed(account=filed.account, mail_id=filed.mail_id, operator=operator, by=fault.by, error=fault.error)
            self._observers.tell(failed)

    def visit_ended(self, answer: Answer, error: GatewaydError | None, *, seconds: float, again: bool) -> None:
        """See ``Events``."""
        super().visit_ended(answer, error, seconds=seconds, again=again)
        self._metrics.ended(answer.tally)
        if error is not None:
            self._metrics.fault(error)
        self._metrics.visited("held" if isinstance(error, LeaseLost) else "failed" if error else "done", seconds=seconds)

    def account_changed(self, health: AccountHealth, before: Condition) -> None:
        """See ``Events``."""
        super().account_changed(health, before)
        self._observers.tell(AccountChanged(health=health, before=before))

    def account_gone(self, account: str) -> None:
        """See ``Events``. Its alarm is dropped, and nobody is told that it is over."""
        self._alarms.forget("account", account)

    def delivery_settled(self, destination: str, taken: Taken, settled: Settled) -> None:
        """See ``Events``. Observers hear only of the last try."""
        super().delivery_settled(destination, taken, settled)
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

    def alarm_raised(self, alarm: Alarm) -> None:
        """See ``Events``."""
        self._alarms.raised(alarm)

    def alarm_over(self, kind: AlarmKind, name: str = "") -> None:
        """See ``Events``."""
        self._alarms.over(kind, name)

    def worker_replaced(self, operator: str, by: str, cause: str) -> None:
        """See ``Events``."""
        super().worker_replaced(operator, by, cause)
        self._metrics.worker_died()

    def config_loaded(self, config: Config) -> None:
        """A config was taken over. Alarms of directories that it no longer has are over."""
        accounts, operators = tuple(sorted(config.accounts)), tuple(sorted(config.operators))
        journal.config_loaded(
            accounts=len(accounts), operators=len(operators), faults=config.faults, last_accepted=config.standing_in
        )
        for one in self._alarms.standing():
            operator = config.operators.get(one.alarm.name)
            gone = operator is None or (operator.directory_kind is None and not operator.faulty)
            if one.alarm.kind == "directory" and gone:
                self._alarms.over("directory", one.alarm.name)
        self._observers.tell(ConfigLoaded(accounts=accounts, operators=operators, faults=config.faults))


class DaemonEvents(EventReporter):
    """The daemon's events: some are work for another room, which is woken. The rooms are set before anything starts."""

    hears_of_directories = True
    dispatcher: Dispatcher
    rematcher: Rematcher
    corrector: Corrector

    def mails_filed(self, account: str, folder: str, mails: Sequence[Filed]) -> None:
        """See ``Events``. New deliveries go out at once, and matching that was put off is done."""
        super().mails_filed(account, folder, mails)
        self._follow_up([filing for one in mails for filing in one.filings])

    def filings_added(self, mails: Sequence[MailFiled]) -> None:
        """See ``mails_filed``."""
        super().filings_added(mails)
        self._follow_up([filing for one in mails for filing in one.filings])

    def _follow_up(self, filings: Sequence[Filing]) -> None:
        if any(filing.deliveries for filing in filings):
            self.dispatcher.wake()
        for operator in {filing.operator for filing in filings if filing.is_put_off}:
            self.rematcher.put_off(operator)

    def breaker_changed(self, operator: str, by: str, change: Literal["opened", "closed"]) -> None:
        """See ``Events``. Mail that was filed while it was open is matched again once it closes."""
        super().breaker_changed(operator, by, change)
        self.rematcher.breaker(operator, by, change)

    def directory_back(self, operator: str) -> None:
        """See ``Events``. Mail that was filed without it is matched again."""
        self.rematcher.directory_back(operator)

    def directory_looked_at(self, look: DirectoryLook) -> None:
        """See ``Events``. Provisional verdicts are given again."""
        super().directory_looked_at(look)
        self.corrector.looked(look)
