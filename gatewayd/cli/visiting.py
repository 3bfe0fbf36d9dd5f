"""Visit one account for a command, or have the daemon do so that holds it."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.health import AccountHealth, Answer
from gatewayd.api.ledger import Held
from gatewayd.api.queries import Query, Viewer
from gatewayd.cli import output
from gatewayd.cli.asking import asked, is_daemons
from gatewayd.cli.observing import observed
from gatewayd.errors import GatewaydError
from gatewayd.importing.rematch import retry_put_off
from gatewayd.importing.values import VisitTools
from gatewayd.importing.visit import visit
from gatewayd.matching import Matching
from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from concurrent.futures import Executor

    from gatewayd.api.delivery import Suspension
    from gatewayd.api.directory import Basis
    from gatewayd.api.events import MailFiled
    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Filed
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.importing.values import Progress, VisitReport
    from gatewayd.matching import MatchRequest, MatchRun, OperatorSpec

__all__ = ["visit_one"]

#: Seconds that another command is waited for, and between two looks.
_PATIENCE, _AGAIN = 60.0, 0.2


def _visit(app: App, account: AccountConfig, tools: VisitTools, task: Task) -> VisitReport | Held:
    return visit(account, app.transport(account), [app.specs[name] for name in account.operators], tools, task)


def _admits(account: AccountConfig) -> bool:
    return account.imports is not None and bool(account.imports.contact_types)


def _once_free(app: App, visiting: Callable[[], VisitReport | Held], done: Callable[[], bool] | None) -> VisitReport | Held:
    report, until = visiting(), time.monotonic() + _PATIENCE
    while done and isinstance(report, Held) and not done() and not is_daemons(app, report) and time.monotonic() < until:
        time.sleep(_AGAIN)
        report = visiting()
    return report


def visit_one(
    app: App,
    account: AccountConfig,
    task: Task,
    show: Callable[[Progress], None],
    *,
    done: Callable[[], bool] | None = None,
    fetcher: Executor | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Answer:
    """Visit one account, or have the daemon that holds it do so. Its error does not stop the other accounts (P4).

    With ``done``, another command that holds it is waited for, for a minute at most, unless all is done by then.
    ``fetcher``: the thread of its session, where several are visited at once. ``stopping``: see ``VisitTools``.
    """
    with observed(app) as events:
        heard = _VisitEvents(events)
        tools = VisitTools(
            # First: a worker process gets ready while the store is opened. A look has nothing to match without contact types.
            matching=_MatchingInNeed(app) if task.look and not _admits(account) else app.matching,
            store=app.store,
            instance=app.instance,
            router=app.router,
            fetcher=fetcher or app.thread,
            limits=app.config.limits,
            progress=show,
            stopping=stopping,
            events=heard,
        )
        try:
            report = _once_free(app, partial(_visit, app, account, tools, task), done)
            answer = asked(app, report, task, show) if isinstance(report, Held) else _remembered(app, report)
        except GatewaydError as error:
            answer = Answer(account=account.name, error=error.message, advice=error.advice)
    _match_put_off(app, heard.put_off)
    return answer


def _match_put_off(app: App, operators: Iterable[str]) -> None:
    """Match what a visit had no time left for. What fails again stays in its queue."""
    for name in operators:
        viewer = Viewer(operator=name, users=tuple(app.config.operators[name].users), withheld=True)
        with suppress(GatewaydError):
            deque(retry_put_off(app.store, app.matching, app.specs[name], viewer, Query(), router=app.router), maxlen=0)


class _MatchingInNeed(Matching):
    """The matching of this command, which is made when it is first asked: its processes cost as much as a look."""

    def __init__(self, app: App) -> None:
        self._app = app

    def begin(self, request: MatchRequest) -> MatchRun:
        return self._app.matching.begin(request)

    def refresh(self, spec: OperatorSpec) -> list[str]:
        return self._app.matching.refresh(spec)

    def basis(self, spec: OperatorSpec) -> Basis | None:
        return self._app.matching.basis(spec)

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:
        return self._app.matching.changed(spec, version)


class _VisitEvents(Events):
    """The events of one visit: observers hear of them, suspended targets are printed, and what was put off is remembered."""

    def __init__(self, events: Events) -> None:
        self._events = events
        #: The operators whose mail was filed without matching, for want of time.
        self.put_off: set[str] = set()

    def mails_filed(self, account: str, folder: str, mails: Sequence[Filed]) -> None:
        self._events.mails_filed(account, folder, mails)
        self.put_off |= {filing.operator for one in mails for filing in one.filings if filing.is_put_off}

    def filings_added(self, mails: Sequence[MailFiled]) -> None:
        self._events.filings_added(mails)
        self.put_off |= {filing.operator for one in mails for filing in one.filings if filing.is_put_off}

    def targets_suspended(self, suspensions: Sequence[Suspension]) -> None:
        for one in suspensions:
            output.note(f"Target {one.operator}/{one.target} is suspended: {one.cause}; see `gatewayd status`.")


def _remembered(app: App, done: VisitReport) -> Answer:
    """Store for ``status`` when the account was checked and had mail, since no daemon does; return the visit's answer."""
    now = datetime.now(UTC)
    checked = None if done.error or done.unproven else now
    mail = now if done.tally.filed else None
    with suppress(GatewaydError):
        app.store.tell(
            [AccountHealth(account=done.account, holder=app.instance.name, condition="new", checked_at=checked, mail_at=mail)]
        )
    return done.answer()
