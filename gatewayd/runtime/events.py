"""Define one method for each event: rooms call it when something happens; it logs, and in a daemon it also counts, alarms and
tells observers. A room that causes an event calls its method, and nothing else.

This class writes the log and does nothing more, which is enough for commands and tests. The daemon hands down its own, which also
counts, tells observers, raises alarms and wakes other rooms. Events for the log alone are functions of ``journal``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatewayd.api.health import Alarm
from gatewayd.runtime import journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.delivery import Settled, Suspension, Taken
    from gatewayd.api.directory import DirectoryLook
    from gatewayd.api.events import MailFiled
    from gatewayd.api.health import AccountHealth, AlarmKind, Answer, Condition
    from gatewayd.api.ledger import Filed, Filing
    from gatewayd.errors import GatewaydError

__all__ = ["Events"]

#: A visit is still going on, or there was none yet: the account's alarm stays as it is.
_UNDECIDED = {"working", "new"}
#: Conditions that need a person; any other fault may pass by itself.
_STOPPED = {"paused", "faulty"}


class Events:
    """Its methods are called from any thread, and never wait."""

    #: Somebody hears of directories' faults here; else each visit reports them.
    hears_of_directories = False

    # --- visits -----------------------------------------------------------------------------------------------------

    def mails_filed(self, account: str, folder: str, mails: Sequence[Filed]) -> None:
        """The new mails of a batch are committed."""
        for one in mails:
            _log_filed(account, one.entry_id, one.filings, folder=folder, key=one.key, size=one.mail.source.size)

    def filings_added(self, mails: Sequence[MailFiled]) -> None:
        """Stored mails are filed for further operators, or for those who could not be asked before: these filings are committed."""
        for one in mails:
            _log_filed(one.account, one.mail_id, one.filings, folder=one.folder, key=one.key, size=one.size)

    def targets_suspended(self, suspensions: Sequence[Suspension]) -> None:
        """A bounce in a committed batch suspended these targets; they get nothing until a person resumes them."""
        for one in suspensions:
            journal.target_suspended(one)

    def visit_ended(self, answer: Answer, error: GatewaydError | None, *, seconds: float, again: bool) -> None:  # noqa: ARG002  error is counted
        """A visit ended after so many seconds; ``again``: its problems and notes are those of the visit before."""
        journal.visit_done(answer, seconds=seconds, again=again)

    # --- accounts ---------------------------------------------------------------------------------------------------

    def account_changed(self, health: AccountHealth, before: Condition) -> None:
        """An account's condition or its fault is another one now."""
        if health.condition not in _UNDECIDED and health.error:
            passing = health.condition not in _STOPPED
            self.alarm_raised(Alarm(kind="account", name=health.account, error=health.error, advice=health.advice, passing=passing))
        elif health.condition not in _UNDECIDED:
            self.alarm_over("account", health.account)
        journal.account_condition(health.account, before=before, condition=health.condition)

    def account_gone(self, account: str) -> None:
        """An account is no longer ours, or no longer in the config: others speak for it, or nobody does."""

    # --- deliveries -------------------------------------------------------------------------------------------------

    def delivery_settled(self, destination: str, taken: Taken, settled: Settled) -> None:
        """The result of one try of a delivery is committed."""
        journal.delivery_settled(destination, taken, settled)

    # --- alarms -----------------------------------------------------------------------------------------------------

    def alarm_raised(self, alarm: Alarm) -> None:
        """A person must see to something; may be repeated while that lasts."""

    def alarm_over(self, kind: AlarmKind, name: str = "") -> None:
        """Nothing is wrong any more; may be repeated, also where nothing ever was."""

    def store_away(self, error: GatewaydError, *, again: bool) -> None:
        """Leases could not be renewed, for the store failed; ``again``: as the last time."""
        self.alarm_raised(Alarm(kind="store", error=error.message, advice=error.advice))
        if not again:
            journal.store_away(error)

    def store_back(self, *, seconds: float) -> None:
        """The store works again, after so many seconds."""
        self.alarm_over("store", "")
        journal.store_back(seconds=seconds)

    # --- workers and directories ------------------------------------------------------------------------------------

    def worker_replaced(self, operator: str, by: str, cause: str) -> None:
        """A worker process died or overran in the matcher ``by`` of an operator; it is empty for the parser."""
        journal.worker_replaced(operator=operator, by=by, cause=cause)

    def breaker_changed(self, operator: str, by: str, change: Literal["opened", "closed"]) -> None:
        """The matcher ``by`` of an operator is no longer called, or is called again."""
        (journal.breaker_opened if change == "opened" else journal.breaker_closed)(operator=operator, by=by)

    def directory_back(self, operator: str) -> None:
        """An operator's directory answers again."""

    def directory_looked_at(self, look: DirectoryLook) -> None:
        """An operator's directory was looked at. The log has only the news; an alarm lasts until the fault is over."""
        name, contents = look.operator, look.contents
        if look.error:
            advice = "See `gatewayd status` and `gatewayd check`."
            self.alarm_raised(Alarm(kind="directory", name=name, error=look.error, advice=advice, passing=True))
            if look.error != look.error_before:
                journal.directory_failed(name, cause=look.error, answers=bool(contents.version))
        else:
            self.alarm_over("directory", name)
            if look.error_before:
                journal.directory_healed(name)
        if look.is_new and contents.version:
            rows = sum(count for _, count in contents.rows)
            journal.directory_loaded(name, rows=rows, faults=len(contents.faults), warnings=len(contents.warnings))
        journal.directory_fault(name, [text for text in look.news if text not in look.error])


def _log_filed(account: str, mail_id: int, filings: Sequence[Filing], *, folder: str, key: str, size: int) -> None:
    journal.mail_filed(
        account,
        mail_id,
        folder=folder,
        key=key,
        size=size,
        operators=[filing.operator for filing in filings],
        links=sum(len(filing.links) for filing in filings),
        faults=sum(len(filing.faults) for filing in filings),
    )
    for filing in filings:
        for target in (delivery.target for delivery in filing.deliveries if delivery.withheld):
            journal.delivery_withheld(account, mail_id, operator=filing.operator, target=target)
        for fault in filing.faults:
            journal.mail_failed(account, mail_id, operator=filing.operator, by=fault.by, error=fault.error)
