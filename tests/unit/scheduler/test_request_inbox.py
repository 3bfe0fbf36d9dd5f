"""What was asked for is answered, and how accounts are is told, whatever the store does."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import AccountHealth, Answer, Folders, Lease, Task, TransientError
from gatewayd.importing.daily_quota import DailyQuota
from gatewayd.runtime.instance import Instance
from gatewayd.scheduler.account_state import AccountState
from gatewayd.scheduler.request_inbox import RequestInbox
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.patience import AT_ONCE
from tests.unit.supervised import House, until
from tests.unit.turned import deps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from gatewayd import Request

_AWAY = TransientError("the database is away")


class Moody(Sql):
    """A store that fails when it is told to, and keeps waiting who tells or answers while it is busy."""

    error: BaseException | None = None

    def __init__(self, folder: Path) -> None:
        super().__init__(SqlOptions(url=None), place=Folders(config=folder, state=folder))
        self.free = threading.Event()
        self.free.set()
        self.waited = 0

    def _answer_to(self) -> None:
        self.waited += not self.free.is_set()
        assert self.free.wait(AT_ONCE)
        if self.error is not None:
            raise self.error

    def tell(self, healths: Sequence[AccountHealth]) -> None:
        self._answer_to()
        super().tell(healths)

    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        self._answer_to()
        super().answer(request_ids, answer)


class Desk:
    """A request inbox without a supervisor."""

    def __init__(self, house: House, owner: Instance, store: Moody) -> None:
        self._house = house
        self.store = store
        self.deps = deps(house, owner, store)
        self.asked: list[Request] = []
        self.request_inbox = RequestInbox(self.deps, self.asked.extend)

    def state(self, name: str) -> AccountState:
        """An account that is ours."""
        self._house.add(name)
        lease = Lease(account=name, holder=self.deps.instance.name, epoch=1)
        return AccountState(self._house.accounts[name], DailyQuota(self.deps.limits), lease=lease, condition="polling")

    def work(self) -> None:
        """Do what is due."""
        self.request_inbox.work(time.monotonic(), ())

    def work_until(self, holds: Callable[[], object]) -> None:
        """Do what is due until something holds."""

        def held() -> object:
            self.work()
            return holds()

        until(held)

    def told(self) -> dict[str, str]:
        """How accounts are, as others see it."""
        return {one.account: one.condition for one in self.store.healths()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with House(tmp_path) as house, Instance(tmp_path) as owner:
        store = Moody(tmp_path)
        store.open()
        made = Desk(house, owner, store)
        yield made
        store.error = None
        store.free.set()
        made.request_inbox._thread.shutdown()
        store.close()


@pytest.mark.parametrize("error", [_AWAY, ValueError("a bug of the store")])
def test_an_answer_that_the_store_did_not_take_is_given_later(desk: Desk, error: Exception) -> None:
    request = desk.store.ask("main", Task())
    desk.store.error = error
    desk.request_inbox.answer((request,), Answer(account="main", listed=3), seconds=1.0)
    desk.work_until(lambda: desk.request_inbox._answers)
    desk.store.error = None
    desk.work_until(lambda: desk.store.requests(ids=[request])[0].answer)


def test_how_accounts_are_that_nobody_visits_is_told_when_the_store_is_back(desk: Desk) -> None:
    desk.store.error = _AWAY
    desk.store.free.clear()
    desk.request_inbox.tell([AccountHealth(account="old", holder="me", condition="disabled")])
    desk.request_inbox.tell([AccountHealth(account="off", holder="me", condition="disabled")])
    desk.request_inbox.tell([AccountHealth(account="off", holder="me", condition="faulty")])
    until(lambda: desk.store.waited)
    desk.store.free.set()
    desk.request_inbox._thread.submit(lambda: None).result(AT_ONCE)
    desk.store.error = None
    desk.work_until(desk.told)
    assert desk.told() == {"old": "disabled", "off": "faulty"}, "of each, what was said last"


@pytest.mark.parametrize("gone", ["leaving", "given up"])
def test_nothing_is_told_of_an_account_that_others_tell_of(desk: Desk, gone: str) -> None:
    left, other = desk.state("left"), desk.state("other")
    desk.store.error = _AWAY
    desk.store.free.clear()
    desk.request_inbox.changed(left)
    desk.work()
    until(lambda: desk.store.waited)
    if gone == "leaving":
        left.leaving = True
    else:
        left.lease = None
        desk.request_inbox.forget(left)
    desk.request_inbox.tell([AccountHealth(account="left", holder="me", condition="disabled")])
    desk.store.free.set()
    desk.request_inbox._thread.submit(lambda: None).result(AT_ONCE)
    desk.store.error = None
    desk.request_inbox.changed(other)
    desk.work_until(lambda: len(desk.told()) == 2)
    assert desk.told() == {"left": "disabled", "other": "polling"}


def test_the_end_comes_while_a_store_that_is_away_gives_back_what_was_to_be_told(desk: Desk) -> None:
    states = [desk.state(f"account {number}") for number in range(2000)]
    desk.store.error = _AWAY
    desk.store.free.clear()
    for state in states[:500]:
        desk.request_inbox.changed(state)
    desk.work()
    until(lambda: desk.store.waited)
    for state in states[500:]:
        desk.request_inbox.changed(state)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        desk.store.free.set()
        assert not desk.request_inbox.end(AT_ONCE)
    finally:
        sys.setswitchinterval(before)


def test_what_waits_to_be_answered_at_the_end_is_waited_for(desk: Desk) -> None:
    request = desk.store.ask("main", Task())
    desk.store.free.clear()
    desk.request_inbox.answer((request,), Answer(account="main"), seconds=1.0)
    until(lambda: desk.store.waited)
    assert not desk.request_inbox.end(0.01)
    desk.store.free.set()
    until(lambda: desk.store.requests(ids=[request])[0].answer)
