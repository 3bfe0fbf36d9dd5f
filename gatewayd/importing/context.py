"""What all steps of one visit share: the account, its lease, its sessions, and the report that they write."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PermanentError, PluginError, TransientError
from gatewayd.importing.meter import Meter
from gatewayd.importing.outcomes import AccountRouting
from gatewayd.importing.reporter import Reporter
from gatewayd.importing.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Lease
    from gatewayd.api.roles import Transport
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.config import AccountConfig, ImportConfig
    from gatewayd.importing.values import VisitTools
    from gatewayd.matching import OperatorSpec

__all__ = ["VisitContext", "release"]


def release(store: Store, lease: Lease) -> GatewaydError | None:
    """Give the lease back. An error is returned: the lease ends by itself, too, and the error must not hide what the visit did."""
    try:
        store.release(lease)
    except GatewaydError as error:
        return error.alone()
    return None


class VisitContext:
    """Handed to each step of a visit. Used by the visit's thread."""

    def __init__(
        self,
        account: AccountConfig,
        imports: ImportConfig,
        *,
        transport: Transport,
        session: Session | None,
        specs: Sequence[OperatorSpec],
        tools: VisitTools,
        lease: Lease,
        task: Task,
    ) -> None:
        """``session`` is one that is open already."""
        self.account = account
        self.imports = imports
        self.specs = specs
        self.tools = tools
        self.store = tools.store
        self.lease = lease
        self.task = task
        #: See ``Transport.keys_span_folders``.
        self.spans: bool = transport.keys_span_folders
        self.meter = Meter(tools.limits, tools.quota, gives_way=tools.gives_way)
        self.sessions = Sessions(account.name, transport, session, tools=tools, lease=lease, meter=self.meter)
        self.reporter = Reporter(account.name, imports.folders)
        self.routing = AccountRouting(account=account.name, router=tools.router, forward=task.forward, forward_for=task.forward_for)

    @contextmanager
    def alone(self, folder: str) -> Generator[None]:
        """Have an error of a folder end the work on that folder only."""
        try:
            yield
        except PermanentError as error:
            self.reporter.problem(f"{folder}: {error.sentences}")
        except (PluginError, TransientError) as error:
            self.leave(error)

    def leave(self, error: GatewaydError) -> None:
        """Leave what broke the session to the next visit, and go on with another session, so that the rest does not wait for it.

        Raises the error if it did not come from the session, or if the session could not be opened or closed.
        """
        if error is not self.sessions.raised or not self.sessions.is_open:
            raise error
        self.reporter.fail(error)
        self.go_on()
        for text in self.sessions.close():
            self.reporter.problem(text)
            raise error

    def go_on(self) -> None:
        """Ask, between two steps, whether the visit may go on; raises VisitStopped, VisitFull, or TransientError for the day."""
        self.sessions.stop()
        self.meter.check()
