"""Write the log: one function for each event, each line keyed by account and, if there is one, mail id.

No line has a subject, a body, an address of a mail or a secret: these functions take none. Of a plugin's error only the class and
the place are logged, since its text may quote the mail. A mail has at most five lines at INFO in its life.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from typing import TYPE_CHECKING, TextIO

from gatewayd.runtime.journal.daemon import *  # noqa: F403  all that it has in __all__
from gatewayd.runtime.journal.directories import *  # noqa: F403  all that it has in __all__
from gatewayd.runtime.journal.lines import LOG, Layout, Level, LogHandler, cause_of, place, write
from gatewayd.runtime.journal.outgoing import *  # noqa: F403  all that it has in __all__
from gatewayd.runtime.journal.plugins import *  # noqa: F403  all that it has in __all__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.health import Answer, Condition, Task
    from gatewayd.errors import Fault, GatewaydError

__all__ = ["Layout", "Level", "configure"]

LOG.propagate = False
# A command that does not configure the log writes none.
LOG.addHandler(logging.NullHandler())

_MOST = 20  # lines about one thing's parts
#: The text that ``traces.where`` makes of an exception: class, text and place.
_CLASS = re.compile(r"(\w*(?:Error|Exception|Warning|Exit|Expired|Failed|Lost|Interrupt|Iteration))(?::|\Z)")
_PLACE = re.compile(r"\(([\w.+-]+:\d+)\)\Z")


def configure(layout: Layout = "plain", level: Level = "info", stream: TextIO | None = None) -> None:
    """Write the log to ``stream``, or to standard error, instead of where it went before.

    ``plain`` begins with time and level, or with a priority if the stream goes to journald; ``json`` is one object a line. Of
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
    """All threads run, with the sound part of the config."""
    write(logging.INFO, "daemon started", owner=owner, version=version, accounts=accounts, workers=workers)


def daemon_stopping(*, why: str) -> None:
    """It was told to stop; ``why`` names the signal or the fault."""
    write(logging.INFO, "daemon stopping", why=why)


def daemon_stopped(*, seconds: float, abandoned: int = 0) -> None:
    """It stopped; ``abandoned`` visits did not end in time and go on at the next start."""
    write(logging.WARNING if abandoned else logging.INFO, "daemon stopped", seconds=seconds, abandoned=abandoned or None)


def config_loaded(*, accounts: int, operators: int, faults: Sequence[Fault] = (), last_accepted: Sequence[str] = ()) -> None:
    """The config was taken over; files of ``last_accepted`` are faulty and run as they were last accepted."""
    write(logging.INFO, "config loaded", accounts=accounts, operators=operators, faults=len(faults))
    _faults(faults, last_accepted)


def config_refused(error: GatewaydError, faults: Sequence[Fault] = ()) -> None:
    """Nothing of the config was taken over, since ``gatewayd.yaml`` itself is faulty; the daemon goes on as before."""
    write(logging.ERROR, "config refused", faults=len(faults), cause=error.message, advice=error.advice)
    _faults(faults)


def config_exposed(faults: Sequence[Fault]) -> None:
    """Other users could change these files and folders of the config, or read secrets in them."""
    for fault in faults[:_MOST]:
        write(logging.WARNING, "config exposed", place=fault.place, what=fault.what)


def config_waits_for_restart(keys: Sequence[str]) -> None:
    """These keys of ``gatewayd.yaml`` changed, and are taken over only by a restart."""
    write(logging.WARNING, "config waits for a restart", keys=", ".join(keys))


def _faults(faults: Sequence[Fault], last_accepted: Sequence[str] = ()) -> None:
    for fault in faults[:_MOST]:
        runs = "as last accepted" if fault.file in last_accepted else None
        write(logging.ERROR, "config fault", place=fault.place, what=fault.what, runs=runs)
    if len(faults) > _MOST:
        write(logging.ERROR, "config has further faults", faults=len(faults) - _MOST, advice="See `gatewayd check`.")


# --- accounts ---------------------------------------------------------------------------------------------------------


def account_taken(account: str, *, epoch: int) -> None:
    """This daemon has the account's lease now."""
    write(logging.INFO, "account taken", account=account, epoch=epoch)


def account_released(account: str) -> None:
    """This daemon gave the account's lease back."""
    write(logging.INFO, "account released", account=account)


def account_changed(account: str) -> None:
    """Its file, or one of its operators', changed: it is restarted."""
    write(logging.INFO, "account changed", account=account)


def account_condition(account: str, *, before: Condition, condition: Condition) -> None:
    """Its condition changed; an error has a line of its own."""
    write(logging.DEBUG, "account condition", account=account, before=before, condition=condition)


def account_healed(account: str, *, failures: int) -> None:
    """A visit succeeded after so many that failed."""
    write(logging.INFO, "account well again", account=account, failures=failures)


def account_backs_off(account: str, error: BaseException, *, retry_in: float, failures: int) -> None:
    """A visit failed and is tried again in ``retry_in`` seconds."""
    write(logging.WARNING, "account backs off", account=account, retry_in=retry_in, failures=failures, **cause_of(error))


def account_paused(account: str, error: BaseException, *, retry_in: float) -> None:
    """The log-in was refused, or its config is wrong; it is tried again rarely, so that no mailbox is locked."""
    write(logging.ERROR, "account paused", account=account, retry_in=retry_in, **cause_of(error))


def watch_started(account: str, *, folder: str) -> None:
    """The server announces new mail in the folder from now on."""
    write(logging.DEBUG, "watch started", account=account, folder=folder)


def watch_lost(account: str, error: BaseException, *, folder: str) -> None:
    """The watched connection was lost; the account is visited again."""
    write(logging.INFO, "watch lost", account=account, folder=folder, **cause_of(error))


def lease_lost(account: str, *, cause: str) -> None:
    """Another daemon has the account; nothing more is written here."""
    write(logging.WARNING, "lease lost", account=account, cause=cause)


# --- visits and mail --------------------------------------------------------------------------------------------------


def visit_done(answer: Answer, *, seconds: float, again: bool = False) -> None:
    """A visit ended; at INFO only if something happened. An error that ended it early has a line of its own.

    ``again``: its problems and notes are those of the visit before.
    """
    news = answer.problems and not again
    happened = answer.listed or answer.settled or news or answer.tally != type(answer.tally)()
    level = logging.INFO if happened else logging.DEBUG
    counts = dataclasses.asdict(answer.tally)
    write(level, "visit done", account=answer.account, listed=answer.listed, settled=answer.settled, **counts, seconds=seconds)
    for event, texts in (("visit problem", answer.problems), ("visit note", answer.notes)):
        for text in texts[:_MOST]:
            write(logging.DEBUG if again else logging.WARNING, event, account=answer.account, text=text)


def mail_filed(
    account: str, mail: int, *, folder: str, key: str, size: int, operators: Sequence[str], links: int, faults: int
) -> None:
    """A mail is filed, and on the disk; ``size`` in bytes, links and faults of all its filings together."""
    write(
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
    """A filing has a fault. Of ``error`` only class and place are logged; ``gatewayd queue list`` shows all of it."""
    found, at = _CLASS.match(error), _PLACE.search(error)
    known = {"error": found[1] if found else None, "at": at[1] if at else None}
    write(logging.WARNING, "mail failed", account=account, mail=mail, operator=operator, by=by, **known)


# --- worker processes -------------------------------------------------------------------------------------------------


def worker_replaced(*, operator: str, by: str, cause: str) -> None:
    """A worker process died or took too long over an operator's mail, in the matcher ``by`` if it is known, and is replaced."""
    write(logging.ERROR, "worker replaced", operator=operator, by=by, cause=cause)


def breaker_opened(*, operator: str, by: str) -> None:
    """A matcher failed so often that it is not called for a while; mail filed meanwhile is matched again later."""
    write(logging.ERROR, "breaker opened", operator=operator, by=by, advice="See `gatewayd queue causes`.")


def breaker_closed(*, operator: str, by: str) -> None:
    """The matcher works again."""
    write(logging.INFO, "breaker closed", operator=operator, by=by)


# --- requests -------------------------------------------------------------------------------------------


def rematched(operator: str, *, by: str, done: int, mended: int) -> None:
    """Mail in error queues was matched again without a person's request."""
    write(logging.INFO, "matched again", operator=operator, by=by, done=done, mended=mended)


def rematch_failed(operator: str, error: BaseException, *, by: str) -> None:
    """Mail in error queues could not be matched again now."""
    write(logging.WARNING, "could not match again", operator=operator, by=by, **cause_of(error))


def request_taken(request: int, account: str, task: Task) -> None:
    """A person asked for a visit."""
    keys = len(task.keys) or None
    more = {"from_beginning": task.from_beginning or None, "compare": task.compare or None, "operator": task.operator, "keys": keys}
    write(logging.INFO, "request taken", account=account, request=request, **more)


def request_answered(request: int, answer: Answer, *, seconds: float) -> None:
    """The visit that a person asked for is done, or failed."""
    level, error = (logging.WARNING, answer.error) if answer.error else (logging.INFO, None)
    write(level, "request answered", account=answer.account, request=request, seconds=seconds, cause=error)


def own_fault(room: str, error: BaseException, *, account: str = "") -> None:
    """A bug of gatewayd itself; the room goes on with its next piece of work."""
    write(logging.ERROR, "own fault", room=room, account=account, error=type(error).__name__, at=place(error))
