"""A visit, from taking the lease of an account to giving it back. List, then for what waits: fetch, match, file, settle.

Custody is the ledger's: keys are committed as waiting, with their page's cursor, before anything is fetched, and all
further work is the ledger's waiting keys, however often we crash (promises P1, P2). The session is used by one thread,
the executor's, so that the next batch is fetched while this one is matched and filed; whoever waits for that thread
renews the lease meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.api.health import Task
from gatewayd.api.ledger import Held
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.importing.daily_quota import DailyQuota
from gatewayd.importing.fetching import Progress
from gatewayd.importing.mailboxes import claim
from gatewayd.importing.values import VisitReport, VisitTools
from gatewayd.importing.work import VisitWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.api.roles import Transport
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.config import AccountConfig
    from gatewayd.matching import OperatorSpec

__all__ = ["DailyQuota", "Progress", "VisitReport", "VisitTools", "visit"]


def visit(
    account: AccountConfig,
    transport: Transport,
    specs: Sequence[OperatorSpec],
    tools: VisitTools,
    task: Task = Task(),  # noqa: B008  it is frozen
    *,
    lease: Lease | None = None,
    session: Session | None = None,
    keep: bool = False,
) -> VisitReport | Held:
    """Do one visit and report it, or say who holds the account.

    A ``lease`` that is given stays the caller's; without one it is taken and released. So does a ``session`` spare the
    log-in; with ``keep``, the report has the session that is still open. What ends a visit early is the report's error;
    raised is only what the store raises before there is a lease, and PermanentError for an account that imports nothing.
    """
    if account.imports is None:
        raise PermanentError(f"account {account.name} has no import block", advice="Add `import:` to its file.")
    held = lease or tools.store.take_lease(account.name, tools.owner.name, dead=tools.owner.dead)
    if isinstance(held, Held):
        return held
    not_released = None
    work = VisitWork(account, account.imports, specs, tools=tools, lease=held, task=task)
    try:
        # A session that is open was allowed to be.
        refused = None if session else _refused(account, tools.store, held)
        report = refused or work.run(transport, session, keep=keep)
    finally:
        if lease is None:
            not_released = _release(tools.store, held)
    return replace(report, error=report.error or not_released)


def _refused(account: AccountConfig, store: Store, lease: Lease) -> VisitReport | None:
    """Return the report of an account that may not import its mailbox, before its server hears of us."""
    try:
        claim(account, store, lease, enter=False)
    except GatewaydError as error:
        return VisitReport(account=account.name, error=error.alone())
    return None


def _release(store: Store, lease: Lease) -> GatewaydError | None:
    """Give the lease back; what keeps us from it must not hide what the visit did. It ends by itself, too."""
    try:
        store.release(lease)
    except GatewaydError as error:
        return error.alone()
    return None
