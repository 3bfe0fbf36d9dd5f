"""The log: one function for each event, each line keyed by account and, where there is one, mail id.

Never a subject, a body, an address of a mail or a secret: these functions take none. What a plugin raised is told by
its error's class and place alone, for its text may quote the mail. A mail's life has at most five lines at INFO.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, TextIO

from gatewayd.runtime.journal.directories import directory_failed, directory_fault, directory_healed, directory_loaded
from gatewayd.runtime.journal.lines import Layout, Level, LogHandler, Value, place
from gatewayd.runtime.journal.outgoing import (
    delivery_overdue,
    delivery_settled,
    delivery_withheld,
    destination_failed,
    destination_healed,
    outbox_waits,
    target_suspended,
)
from gatewayd.runtime.journal.plugins import (
    events_dropped,
    observer_failed,
    observer_hangs,
    observer_returned,
    plugin_imported,
    plugin_refused,
    plugin_tried,
)
from gatewayd.runtime.journal.saying import LOG, say, why
from gatewayd.runtime.journal.store import store_away, store_back, store_new
from gatewayd.runtime.journal.telling import credentials_changed, metrics_failed, notice_failed, notice_sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.health import Answer, Condition, Task
    from gatewayd.api.tally import Tally
    from gatewayd.errors import Fault, GatewaydError

__all__ = [
    "Layout",
    "Level",
    "configure",
    "credentials_changed",
    "delivery_overdue",
    "delivery_settled",
    "delivery_withheld",
    "destination_failed",
    "destination_healed",
    "directory_failed",
    "directory_fault",
    "directory_healed",
    "directory_loaded",
    "events_dropped",
    "metrics_failed",
    "notice_failed",
    "notice_sent",
    "observer_failed",
    "observer_hangs",
    "observer_returned",
    "outbox_waits",
    "plugin_imported",
    "plugin_refused",
    "plugin_tried",
    "store_away",
    "store_back",
    "store_new",
    "target_suspended",
]

LOG.propagate = False
# A command that does not configure the log says nothing by it.
LOG.addHandler(logging.NullHandler())

_MOST = 20  # lines about one thing's parts
#: What ``loading.where`` makes of an exception: its class in front, its place at the end, and between them its text.
_CLASS = re.compile(r"(\w*(?:Error|Exception|Warning|Exit|Expired|Failed|Lost|Interrupt|Iteration))(?::|\Z)")
_PLACE = re.compile(r"\(([\w.+-]+:\d+)\)\Z")


def configure(layout: Layout = "plain", level: Level = "info", stream: TextIO | None = None) -> None:
    """Write the log to ``stream``, standard error if there is none, in place of wherever it went before.

    ``plain`` has time and level in front, or priorities where the stream goes to journald; ``json`` is one object a line. Of
    libraries and plugins that log by themselves, warnings and errors are written.
    """
    handler = LogHandler(layout, stream)
    for logger, threshold in ((LOG, level.upper()), (logging.getLogger(), "WARNING")):
        for old in [one for one in logger.handlers if isinstance(one, LogHandler | logging.NullHandler)]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(threshold)


# --- the daemon and its config ----------------------------------------------------------------------------------------


def daemon_started(*, owner: str, version: str, accounts: int, workers: int) -> None:
    """All threads run, and what was to be had of the config works."""
    say(logging.INFO, "daemon started", owner=owner, version=version, accounts=accounts, workers=workers)


def daemon_stopping(*, why: str) -> None:
    """It was told to stop; ``why`` names the signal or the fault."""
    say(logging.INFO, "daemon stopping", why=why)


def daemon_stopped(*, seconds: float, abandoned: int = 0) -> None:
    """It stopped; ``abandoned`` visits did not end in time and go on at the next start."""
    say(logging.WARNING if abandoned else logging.INFO, "daemon stopped", seconds=seconds, abandoned=abandoned or None)


def config_loaded(*, accounts: int, operators: int, faults: Sequence[Fault] = (), last_accepted: Sequence[str] = ()) -> None:
    """The config was taken over; files of ``last_accepted`` are faulty and run as they were last accepted."""
    say(logging.INFO, "config loaded", accounts=accounts, operators=operators, faults=len(faults))
    _faults(faults, last_accepted)


def config_refused(error: GatewaydError, faults: Sequence[Fault] = ()) -> None:
    """Nothing of the config was taken over, for ``gatewayd.yaml`` itself is faulty; what ran before goes on."""
    say(logging.ERROR, "config refused", faults=len(faults), cause=error.message, advice=error.advice)
    _faults(faults)


def config_exposed(faults: Sequence[Fault]) -> None:
    """Files and folders of the config that others could change, or read though they are secret."""
    for fault in faults[:_MOST]:
        say(logging.WARNING, "config exposed", place=fault.place, what=fault.what)


def config_waits_for_restart(keys: Sequence[str]) -> None:
    """Keys of gatewayd.yaml say something else that is taken over only by a restart."""
    say(logging.WARNING, "config waits for a restart", keys=", ".join(keys))


def _faults(faults: Sequence[Fault], last_accepted: Sequence[str] = ()) -> None:
    for fault in faults[:_MOST]:
        runs = "as last accepted" if fault.file in last_accepted else None
        say(logging.ERROR, "config fault", place=fault.place, what=fault.what, runs=runs)
    if len(faults) > _MOST:
        say(logging.ERROR, "config has further faults", faults=len(faults) - _MOST, advice="See `gatewayd check`.")


# --- accounts ---------------------------------------------------------------------------------------------------------


def account_taken(account: str, *, epoch: int) -> None:
    """This daemon has the account's lease now."""
    say(logging.INFO, "account taken", account=account, epoch=epoch)


def account_released(account: str) -> None:
    """This daemon gave the account's lease back."""
    say(logging.INFO, "account released", account=account)


def account_changed(account: str) -> None:
    """Its file, or one of its operators', changed: it starts anew."""
    say(logging.INFO, "account changed", account=account)


def account_condition(account: str, *, before: Condition, condition: Condition) -> None:
    """It is in another condition; what is wrong has a line of its own."""
    say(logging.DEBUG, "account condition", account=account, before=before, condition=condition)


def account_healed(account: str, *, failures: int) -> None:
    """A visit went well after so many that failed."""
    say(logging.INFO, "account well again", account=account, failures=failures)


def account_backs_off(account: str, error: BaseException, *, retry_in: float, failures: int) -> None:
    """A visit failed and is tried again in ``retry_in`` seconds."""
    say(logging.WARNING, "account backs off", account=account, retry_in=retry_in, failures=failures, **why(error))


def account_paused(account: str, error: BaseException, *, retry_in: float) -> None:
    """One side could not prove who it is; it is tried again rarely, lest a mailbox is locked."""
    say(logging.ERROR, "account paused", account=account, retry_in=retry_in, **why(error))


def watch_started(account: str, *, folder: str) -> None:
    """The server announces what comes to the folder."""
    say(logging.DEBUG, "watch started", account=account, folder=folder)


def watch_lost(account: str, error: BaseException, *, folder: str) -> None:
    """The server no longer announces; the account is visited anew."""
    say(logging.INFO, "watch lost", account=account, folder=folder, **why(error))


def lease_lost(account: str, *, cause: str) -> None:
    """Another daemon has the account; nothing more is written here."""
    say(logging.WARNING, "lease lost", account=account, cause=cause)


# --- visits and mail --------------------------------------------------------------------------------------------------


def visit_done(answer: Answer, *, seconds: float, again: bool = False) -> None:
    """A visit ended; at INFO only if something happened. What ended it early has a line of its own.

    ``again``: its problems and notes are those of the visit before.
    """
    news = answer.problems and not again
    happened = answer.listed or answer.settled or news or answer.tally != type(answer.tally)()
    level = logging.INFO if happened else logging.DEBUG
    counts = _counts(answer.tally)
    say(level, "visit done", account=answer.account, listed=answer.listed, settled=answer.settled, **counts, seconds=seconds)
    for event, texts in (("visit problem", answer.problems), ("visit note", answer.notes)):
        for text in texts[:_MOST]:
            say(logging.DEBUG if again else logging.WARNING, event, account=answer.account, text=text)


def _counts(tally: Tally) -> dict[str, Value]:
    return {
        "filed": tally.filed,
        "duplicate": tally.duplicate,
        "not_admitted": tally.not_admitted,
        "vanished": tally.vanished,
        "deferred": tally.deferred,
    }


def mail_filed(
    account: str, mail: int, *, folder: str, key: str, size: int, operators: Sequence[str], links: int, faults: int
) -> None:
    """A mail is filed, and on the disk; ``size`` in bytes, links and faults of all its filings together."""
    say(
        logging.INFO,
        "mail filed",
        account=account,
        mail=mail,
        folder=folder,
        key=key,
        size=size,
        operators=tuple(operators),
        links=links,
        faults=faults,
    )


def mail_failed(account: str, mail: int, *, operator: str, by: str, error: str) -> None:
    """Something went wrong for one filing. Of ``error`` only class and place are told; ``gatewayd queue list`` shows all."""
    found, at = _CLASS.match(error), _PLACE.search(error)
    known = {"error": found[1] if found else None, "at": at[1] if at else None}
    say(logging.WARNING, "mail failed", account=account, mail=mail, operator=operator, by=by, **known)


# --- worker processes -------------------------------------------------------------------------------------------------


def worker_replaced(*, operator: str, by: str, cause: str) -> None:
    """A worker process died or took too long over an operator's mail, in the matcher ``by`` if it is known, and is replaced."""
    say(logging.ERROR, "worker replaced", operator=operator, by=by, cause=cause)


def breaker_opened(*, operator: str, by: str) -> None:
    """A matcher failed so often that it is not called for a while; mail filed meanwhile is matched again later."""
    say(logging.ERROR, "breaker opened", operator=operator, by=by, advice="See `gatewayd queue causes`.")


def breaker_closed(*, operator: str, by: str) -> None:
    """The matcher works again."""
    say(logging.INFO, "breaker closed", operator=operator, by=by)


# --- requests -------------------------------------------------------------------------------------------


def rematched(operator: str, *, by: str, done: int, mended: int) -> None:
    """What stood in error queues was matched again by itself."""
    say(logging.INFO, "matched again", operator=operator, by=by, done=done, mended=mended)


def rematch_failed(operator: str, error: BaseException, *, by: str) -> None:
    """What stands in error queues could not be matched again now."""
    say(logging.WARNING, "could not match again", operator=operator, by=by, **why(error))


def request_taken(request: int, account: str, task: Task) -> None:
    """A person asked for a visit."""
    keys = len(task.keys) or None
    more = {"from_beginning": task.from_beginning or None, "compare": task.compare or None, "operator": task.operator, "keys": keys}
    say(logging.INFO, "request taken", account=account, request=request, **more)


def request_answered(request: int, answer: Answer, *, seconds: float) -> None:
    """The visit that a person asked for is done, or failed."""
    level, error = (logging.WARNING, answer.error) if answer.error else (logging.INFO, None)
    say(level, "request answered", account=answer.account, request=request, seconds=seconds, cause=error)


def own_fault(room: str, error: BaseException, *, account: str = "") -> None:
    """A fault of gatewayd itself: what failed goes on with its next piece of work."""
    say(logging.ERROR, "own fault", room=room, account=account, error=type(error).__name__, at=place(error))
