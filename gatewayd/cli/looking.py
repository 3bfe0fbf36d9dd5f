"""Look at several accounts at once, within the limits of visits: a server that hangs costs its own deadline only."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.runtime.grouped_work import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from gatewayd.api.health import Answer, Task
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.importing.values import Progress

__all__ = ["look_at"]


def look_at(app: App, accounts: Sequence[AccountConfig], task: Task, show: Callable[[Progress], None]) -> Mapping[str, Answer]:
    """Visit accounts for a look, or have the daemons do so that hold them; return each one's answer, in their order.

    At most ``limits.visits`` at once, and ``limits.visits_per_host`` or what a transport says of each group. Call it with the
    standard output kept: see ``standard_output_kept``.
    """
    from gatewayd.cli.visiting import visit_one  # noqa: PLC0415  imported late: a further page needs no visit

    if len(accounts) < 2 or not app.config.workers.processes:  # noqa: PLR2004  one alone needs no threads
        # Without worker processes, mail is matched by one thread at a time.
        return {one.name: visit_one(app, one, task, show) for one in accounts}
    by_name = {one.name: one for one in accounts}
    # What they share is made before there are several threads.
    _ = app.store, app.instance, app.router, app.specs
    if any(one.imports and one.imports.contact_types for one in accounts):
        _ = app.matching

    def look(name: str, session: Executor, stopping: Callable[[], bool]) -> Answer:
        return visit_one(app, by_name[name], task, show, fetcher=session, stopping=stopping)

    return at_once(look, {name: _group(app, one) for name, one in by_name.items()}, most=app.config.limits.visits)


def _group(app: App, account: AccountConfig) -> tuple[str, int]:
    """Return the group whose accounts share a bound, and that bound, as the daemon's pool of visits has them."""
    most = app.config.limits.visits_per_host
    host = str(getattr(account.options, "host", "") or "")
    # An account whose transport can't be had says so itself when it is visited.
    with suppress(GatewaydError):
        limit = app.transport(account).group_limit() if account.group else None
        most = most if limit is None else max(1, min(most, limit))
    return account.group or host or account.name, most
