"""All accounts of this daemon: which there are, when each is due, and what its next visit is. Runs in the loop's thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.health import AccountHealth, Alarm, Task
from gatewayd.importing.daily_quota import DailyQuota
from gatewayd.runtime import journal
from gatewayd.runtime.clock import DueTimes
from gatewayd.scheduler.account_state import AccountState
from gatewayd.scheduler.visit_runner import RunningVisit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

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


class AccountStates:
    """Knows every account's state, and when it is due."""

    def __init__(
        self, kit: Dependencies, pool: VisitPool, keeper: LeaseManager, reception: RequestInbox, closer: SessionCloser
    ) -> None:
        self._kit = kit
        self._pool = pool
        self._keeper = keeper
        self._reception = reception
        self._closer = closer
        self._due = DueTimes()
        self._config: Config | None = None
        self._specs: Mapping[str, OperatorSpec] = {}
        self._router: Router | None = None
        self._charges: dict[str, AccountState] = {}
        #: How those accounts are that nobody visits: they only send, are not imported on purpose, or have no usable file.
        self._idle: dict[str, AccountHealth] = {}
        #: No visit may begin: the store could not be reached for so long that leases may end, or this daemon ends.
        self.suspended = False
        self.stopping = False

    def __len__(self) -> int:
        return len(self._charges)

    def get(self, name: str) -> AccountState | None:
        """Return an account that is ours, or could be; None for one that is not in the config."""
        return self._charges.get(name)

    def held(self) -> Iterator[tuple[AccountState, Lease]]:
        """Yield the accounts whose lease we have."""
        yield from [(charge, charge.lease) for charge in self._charges.values() if charge.lease]

    def wanted(self) -> Sequence[str]:
        """Return the accounts whose lease we don't have, but for those that are given up as soon as their visit ended."""
        return [name for name, charge in self._charges.items() if charge.lease is None and not charge.leaving]

    # --- when -------------------------------------------------------------------------------------------------------

    def next(self) -> float | None:
        """Return when the next account is due; None where none will be."""
        return self._due.next()

    def work(self, now: float) -> None:
        """Start the visits that are due by now and have room."""
        for name, at in self._due.pop(now):
            self._pool.offer_visit(self._charges[name], at=at)
        self._pool.start(self._begin)

    def put(self, charge: AccountState, seconds: float) -> None:
        """Let an account be due in so many seconds, and not before."""
        charge.due = time.monotonic() + seconds
        self._due.put(charge.name, charge.due)

    def hurry(self, charge: AccountState, seconds: float = 0.0) -> None:
        """Let an account be due in so many seconds, if it is not sooner, or being visited."""
        if charge.lease is None or charge.run or charge.name in self._pool or self.suspended or self.stopping:
            return
        if charge.due is None or charge.due > time.monotonic() + seconds:
            self.put(charge, seconds)

    def hurry_all(self, names: Collection[str]) -> None:
        """Let accounts be due now; those that are being visited are visited again, behind that.

        Who was refused is not tried sooner for that: a hasty log-in locks mailboxes.
        """
        for charge in filter(None, map(self.get, names)):
            if charge.run:
                charge.run.again = True
            elif not charge.refusals:
                self.hurry(charge)

    def retry(self, names: Collection[str]) -> None:
        """Let accounts be due now that were refused: what they log in with is another by now."""
        for charge in filter(None, map(self.get, names)):
            if charge.run:
                # Which of the two it used is not known.
                charge.run.again = True
            elif charge.refusals:
                charge.refusals = 0
                self.hurry(charge)

    # --- what -------------------------------------------------------------------------------------------------------

    def _begin(self, name: str) -> RunningVisit | None:
        charge = self._charges.get(name)
        if charge is None or charge.lease is None or charge.leaving or charge.run or self.suspended or self.stopping:
            return None
        if self._config is None:
            return None
        task, requests = self._task(charge)
        charge.run = RunningVisit(
            charge=charge,
            config=charge.config,
            specs=self._specs,
            router=self._router,
            registry=self._config.registry,
            lease=charge.lease,
            watched=charge.watched,
            task=task,
            requests=requests,
            on_news=charge.on_news,
        )
        charge.watched, charge.on_news, charge.due = None, False, None
        self._reception.changed(charge)
        return charge.run

    @staticmethod
    def _task(charge: AccountState) -> tuple[Task, tuple[int, ...]]:
        """Return what the next visit is to do, and the requests that it answers: all that ask for the same."""
        if charge.asked:
            task = charge.asked[0].task
            same = [request for request in charge.asked if request.task == task]
            charge.asked = [request for request in charge.asked if request.task != task]
            return task, tuple(request.id for request in same)
        # What was just announced is not kept waiting behind a full listing.
        return Task(compare=not charge.on_news and time.monotonic() >= charge.compare_at), ()

    # --- whose ------------------------------------------------------------------------------------------------------

    def let_go(self, charge: AccountState, *, politely: bool) -> None:
        """Drop everything of an account that is not ours any more."""
        charge.lease, charge.leaving, charge.condition = None, False, "new"
        charge.failures = charge.refusals = charge.flaps = charge.empty = 0
        charge.error = charge.advice = ""
        self.rest(charge, politely=politely)
        self._reception.forget(charge)
        self._kit.events.account_gone(charge.name)
        if charge.name in self._idle:
            # Its last visit, which went on meanwhile, may have had the last word.
            self._tell([self._idle[charge.name]])
        self.weed(charge)

    def weed(self, charge: AccountState) -> None:
        """Forget an account that the config no longer has, if nothing of it is left to do."""
        gone = self._config is not None and not _imports(self._config.accounts.get(charge.name))
        if gone and charge.run is None and charge.lease is None and self._charges.get(charge.name) is charge:
            del self._charges[charge.name]

    def rest(self, charge: AccountState, *, politely: bool) -> None:
        """Close an account's session, and let it not be due."""
        self._due.drop(charge.name)
        self._pool.withdraw(charge.name)
        # Who waited in line was due long ago: with that time kept, nothing could hurry it again.
        charge.due = None
        watched, charge.watched = charge.watched, None
        if watched is not None:
            self._closer.close(charge.name, watched, politely=politely)

    def release(self, charge: AccountState) -> None:
        """Give an account away, after its visit if there is one."""
        if charge.run:
            charge.leaving = True
            charge.run.halt(grace=_GRACE)
            return
        lease = charge.lease
        self.let_go(charge, politely=True)
        if lease is not None:
            self._keeper.give(lease)
            journal.account_released(charge.name)

    # --- the config -------------------------------------------------------------------------------------------------

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None) -> None:
        """Take a config over: only accounts that changed are restarted, the others never notice."""
        before, self._config, self._specs, self._router = self._config, config, specs, router
        for name, charge in list(self._charges.items()):
            if not _imports(config.accounts.get(name)):
                self.release(charge)
        for name, account in config.accounts.items():
            if not _imports(account):
                continue
            if name in self._charges:
                self._change(self._charges[name], account)
            else:
                self._charges[name] = AccountState(config=account, allowance=DailyQuota(self._kit.limits))
        self._tell_others(config, before)
        # What is new is taken at once.
        self._keeper.at = 0.0

    def _change(self, charge: AccountState, account: AccountConfig) -> None:
        charge.leaving = False
        if charge.config == account:
            return
        charge.config = account
        charge.failures = charge.refusals = charge.flaps = charge.empty = 0
        journal.account_changed(charge.name)
        if charge.run:
            charge.run.halt(grace=_GRACE)
        else:
            self.rest(charge, politely=True)
            self.hurry(charge)

    def _tell_others(self, config: Config, was: Config | None) -> None:
        """Tell how those are that nobody visits, and of whom there is nothing more to say; ``was`` is the config before."""
        before, self._idle = self._idle, {one.account: one for one in self._others(config)}
        # How one is that sends, its last deliveries said, unless its file is another by now.
        same = {name for name, one in was.accounts.items() if one.sends and one == config.accounts.get(name)} if was else set()
        self._tell([one for name, one in self._idle.items() if name not in same], first=was is None)
        for name, one in before.items():
            if name not in self._idle and name not in config.accounts:
                self._kit.events.account_gone(name)
            elif one.condition == "faulty" and name in config.accounts:
                # Nobody else would say so of an account that only sends, or that another daemon visits.
                self._kit.events.alarm_over("account", name)

    def _others(self, config: Config) -> Sequence[AccountHealth]:
        holder = self._kit.instance.name
        idle = [account for account in config.accounts.values() if not _imports(account)]
        others = [
            AccountHealth(account=account.name, holder=holder, condition="sending" if account.sends else "disabled")
            for account in idle
        ]
        faults: dict[str, str] = {}
        for fault in config.faults:
            folder, _, file = fault.file.partition("/")
            if folder == "accounts" and (name := file.removesuffix(".yaml")) not in config.accounts:
                faults.setdefault(name, str(fault))
        advice = "Correct its file; `gatewayd check` shows all faults."
        return others + [
            AccountHealth(account=name, holder=holder, condition="faulty", error=fault, advice=advice)
            for name, fault in faults.items()
        ]

    def _tell(self, others: Sequence[AccountHealth], *, first: bool = False) -> None:
        self._reception.tell(others, first=first)
        for one in others:
            if one.error:
                self._kit.events.alarm_raised(Alarm(kind="account", name=one.account, error=one.error, advice=one.advice))
            elif one.condition == "disabled":
                self._kit.events.account_gone(one.account)


def _imports(account: AccountConfig | None) -> bool:
    return account is not None and account.imports is not None and account.imports.enabled
