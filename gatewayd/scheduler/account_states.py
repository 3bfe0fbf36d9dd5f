"""Know when each account of this daemon is due and what its next visit does. Runs in the loop's thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.health import AccountHealth, Alarm, Task
from gatewayd.api.roles import Transport
from gatewayd.config import account_of, is_of_user
from gatewayd.importing.daily_quota import DailyQuota
from gatewayd.runtime import journal
from gatewayd.runtime.due_times import DueTimes
from gatewayd.scheduler.account_state import AccountState
from gatewayd.scheduler.visit_runner import RunningVisit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.config import AccountConfig, Config
    from gatewayd.matching import OperatorSpec
    from gatewayd.outgoing.routing import Router
    from gatewayd.scheduler.leases import LeaseManager
    from gatewayd.scheduler.pool import VisitPool
    from gatewayd.scheduler.request_inbox import RequestInbox
    from gatewayd.scheduler.session_closer import SessionCloser
    from gatewayd.scheduler.values import Dependencies

__all__ = ["AccountStates"]

#: How long the visit of an account that changed may go on, in seconds, before its session is aborted.
_GRACE = 30.0
#: A clock that has moved by less, in seconds, was not set.
_MOVED = 0.25


class AccountStates:
    """Knows every account's state, and when it is due."""

    def __init__(
        self, deps: Dependencies, pool: VisitPool, leases: LeaseManager, request_inbox: RequestInbox, session_closer: SessionCloser
    ) -> None:
        self._deps = deps
        self._pool = pool
        self._leases = leases
        self._request_inbox = request_inbox
        self._session_closer = session_closer
        self._due = DueTimes()
        self._config: Config | None = None
        self._specs: Mapping[str, OperatorSpec] = {}
        self._router: Router | None = None
        self._states: dict[str, AccountState] = {}
        #: What the time is at 0 on the loop's clock, in seconds, as it was last seen.
        self._epoch: float | None = None
        #: The health of accounts that nobody visits: they only send, are disabled, or their file is faulty.
        self._idle: dict[str, AccountHealth] = {}
        #: No visit may begin: the store has been away for so long that leases may end; or this daemon is ending.
        self.suspended = False
        self.stopping = False

    def __len__(self) -> int:
        return len(self._states)

    def get(self, name: str) -> AccountState | None:
        """Return an account that is ours, or could be; None for one that is not in the config."""
        return self._states.get(name)

    def held(self) -> Iterator[tuple[AccountState, Lease]]:
        """Yield the accounts whose lease we have."""
        yield from [(state, state.lease) for state in self._states.values() if state.lease]

    def wanted(self) -> Sequence[str]:
        """Return the accounts whose lease we don't have, without those that are being given up."""
        return [name for name, state in self._states.items() if state.lease is None and not state.leaving]

    # --- when -------------------------------------------------------------------------------------------------------

    def next(self) -> float | None:
        """Return when the next account is due; None if no account will be."""
        return self._due.next()

    def work(self, now: float) -> None:
        """Start the visits that are due, as far as there is room."""
        self._follow_clock(now)
        for name, at in self._due.pop(now):
            state = self._states[name]
            self._pool.offer_visit(state, at=at, limit=self._group_limit(state) if state.config.group else None)
        self._pool.start(self._begin)
        for state in filter(None, map(self.get, self._pool.kept_waiting())):
            if state.kept_waiting(now):
                self._request_inbox.changed(state)

    def _follow_clock(self, now: float) -> None:
        """Keep times of day right where the clock was set, or the machine slept: the loop's clock knows of neither."""
        epoch = self._deps.clock().timestamp() - now
        moved = 0.0 if self._epoch is None else epoch - self._epoch
        if self._epoch is not None and abs(moved) < _MOVED:
            return
        self._epoch = epoch
        for state in self._states.values() if moved else ():
            if state.config.at is not None and state.due is not None and not state.failures:
                self.put(state, max(0.0, state.due - moved - now))

    def _group_limit(self, state: AccountState) -> Callable[[], int | None] | None:
        """Return what says how many of the account's group may be visited at once; None if its transport can't be had."""
        if self._config is None:
            return None
        try:
            transport = self._config.registry.get(Transport, state.config.kind)
            return transport(state.config.options, account=state.name).group_limit
        except Exception as error:  # noqa: BLE001  its visit reports what is wrong
            journal.own_fault("supervisor", error)
            return None

    def put(self, state: AccountState, seconds: float) -> None:
        """Let an account be due in so many seconds, and not before."""
        state.due = time.monotonic() + seconds
        self._due.put(state.name, state.due)

    def hurry(self, state: AccountState, seconds: float = 0.0) -> None:
        """Let an account be due in so many seconds, unless it is due sooner or is being visited."""
        if state.lease is None or state.run or state.name in self._pool or self.suspended or self.stopping:
            return
        if state.due is None or state.due > time.monotonic() + seconds:
            self.put(state, seconds)

    def hurry_all(self, names: Collection[str], *, refused: bool = False) -> None:
        """Let accounts be due now; those that are being visited are visited once more afterwards.

        Accounts whose log-in was refused are left alone, since a hasty log-in locks mailboxes. With ``refused`` it is only them
        that are tried, because their secret is another by now.
        """
        for state in filter(None, map(self.get, names)):
            if state.lease is None:
                # It may be free by now, such as that of an account that was being renamed.
                self._leases.at = 0.0
            if state.run:
                state.run.again = True
            elif bool(state.refusals) == refused:
                state.refusals = 0
                self.hurry(state)

    # --- what -------------------------------------------------------------------------------------------------------

    def _begin(self, name: str) -> RunningVisit | None:
        state, config = self._states.get(name), self._config
        if config is None or state is None or state.lease is None or state.leaving or state.run or self.suspended or self.stopping:
            return None
        task, requests = self._task(state)
        state.run = RunningVisit(
            state=state,
            config=state.config,
            specs=self._specs,
            router=self._router,
            registry=config.registry,
            lease=state.lease,
            watched=state.watched,
            task=task,
            requests=requests,
            on_news=state.on_news,
        )
        state.watched, state.on_news, state.due = None, False, None
        self._request_inbox.changed(state)
        return state.run

    @staticmethod
    def _task(state: AccountState) -> tuple[Task, tuple[int, ...]]:
        """Return the next visit's task, and the ids of the requests that it answers: all those with the same task."""
        if state.asked:
            task = state.asked[0].task
            same = [request for request in state.asked if request.task == task]
            state.asked = [request for request in state.asked if request.task != task]
            return task, tuple(request.id for request in same)
        # Announced mail does not wait for a full listing.
        return Task(compare=not state.on_news and time.monotonic() >= state.compare_at), ()

    # --- whose ------------------------------------------------------------------------------------------------------

    def let_go(self, state: AccountState, *, politely: bool) -> None:
        """Reset an account that is no longer ours, and close its session."""
        state.lease, state.leaving, state.condition = None, False, "new"
        state.failures = state.refusals = state.flaps = state.empty = 0
        state.error = state.advice = ""
        self.rest(state, politely=politely)
        self._request_inbox.forget(state)
        self._deps.events.account_gone(state.name)
        if state.name in self._idle:
            # Its last visit may have reported another condition meanwhile.
            self._tell([self._idle[state.name]])
        self.weed(state)

    def weed(self, state: AccountState) -> None:
        """Forget an account that the config no longer has, once its visit has ended and its lease is given back."""
        gone = self._config is not None and not _imports(self._config.accounts.get(state.name))
        if gone and state.run is None and state.lease is None and self._states.get(state.name) is state:
            del self._states[state.name]

    def rest(self, state: AccountState, *, politely: bool) -> None:
        """Close an account's session, and let the account not be due."""
        self._due.drop(state.name)
        self._pool.withdraw(state.name)
        # With a due time in the past, ``hurry`` would do nothing.
        state.due = None
        watched, state.watched = state.watched, None
        if watched is not None:
            self._session_closer.close(state.name, watched, politely=politely)

    def release(self, state: AccountState) -> None:
        """Release the account's lease, once its running visit, if there is one, has ended."""
        if state.run:
            state.leaving = True
            state.run.halt(grace=_GRACE)
            return
        lease = state.lease
        self.let_go(state, politely=True)
        if lease is not None:
            self._leases.give(lease)
            journal.account_released(state.name)

    # --- the config -------------------------------------------------------------------------------------------------

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None) -> None:
        """Take a config over: only accounts that changed are restarted."""
        before, self._config, self._specs, self._router = self._config, config, specs, router
        for name, state in list(self._states.items()):
            if not _imports(config.accounts.get(name)):
                self.release(state)
        for name, account in config.accounts.items():
            if not _imports(account):
                continue
            if name in self._states:
                self._change(self._states[name], account)
            else:
                self._states[name] = AccountState(
                    config=account, quota=DailyQuota(self._deps.limits, of_users=account.day_messages)
                )
        self._tell_others(config, before)
        # Leases of new accounts are taken at once.
        self._leases.at = 0.0

    def _change(self, state: AccountState, account: AccountConfig) -> None:
        state.leaving = False
        if state.config == account:
            return
        state.config = account
        state.failures = state.refusals = state.flaps = state.empty = 0
        journal.account_changed(state.name)
        if state.run:
            state.run.halt(grace=_GRACE)
        else:
            self.rest(state, politely=True)
            self.hurry(state)

    def _tell_others(self, config: Config, was: Config | None) -> None:
        """Report the accounts that nobody visits, and those that are gone; ``was`` is the config before."""
        before, self._idle = self._idle, {one.account: one for one in self._others(config)}
        # The health of an account that sends comes from its last deliveries, unless its file has changed.
        same = {name for name, one in was.accounts.items() if one.sends and one == config.accounts.get(name)} if was else set()
        self._tell([one for name, one in self._idle.items() if name not in same], first=was is None)
        for name, one in before.items():
            if name not in self._idle and name not in config.accounts:
                self._deps.events.account_gone(name)
            elif one.condition == "faulty" and name in config.accounts:
                # Nobody else would end the alarm of an account that only sends, or that another daemon visits.
                self._deps.events.alarm_over("account", name)

    def _others(self, config: Config) -> Iterator[AccountHealth]:
        """Yield the health of the accounts that nobody visits."""
        holder = self._deps.instance.name
        for account in config.accounts.values():
            if not _imports(account):
                yield AccountHealth(account=account.name, holder=holder, condition="sending" if account.sends else "disabled")
        faults: dict[str, str] = {}
        for fault in config.faults:
            if (name := account_of(fault.file)) and name not in config.accounts:
                faults.setdefault(name, str(fault))
        for name, error in faults.items():
            advice = (
                "`gatewayd check` shows all faults." if is_of_user(name) else "Correct its file; `gatewayd check` shows all faults."
            )
            yield AccountHealth(account=name, holder=holder, condition="faulty", error=error, advice=advice)

    def _tell(self, others: Sequence[AccountHealth], *, first: bool = False) -> None:
        self._request_inbox.tell(others, first=first)
        for one in others:
            if one.error:
                self._deps.events.alarm_raised(Alarm(kind="account", name=one.account, error=one.error, advice=one.advice))
            elif one.condition == "disabled":
                self._deps.events.account_gone(one.account)


def _imports(account: AccountConfig | None) -> bool:
    return account is not None and account.imports is not None and account.imports.enabled
