"""One thread that listens to all watched servers."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import Heard, TransientError, Watch
from gatewayd.errors import PluginError
from gatewayd.scheduler.watcher import Watcher
from tests.patience import AT_ONCE
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.scheduler.watcher import WatchEvent


class Line(Watch):
    """A watch on an event counter: whoever writes to it is the server."""

    def __init__(self) -> None:
        self.file = os.eventfd(0, os.EFD_NONBLOCK)
        self.renewed = 0
        self.answers = True
        self.on_listen: Callable[[], Heard | None] = lambda: None
        self.proven = False

    def fileno(self) -> int:
        return self.file

    def speak(self) -> None:
        os.eventfd_write(self.file, 1)

    def listen(self) -> Heard:
        if (heard := self.on_listen()) is not None:
            return heard
        try:
            os.eventfd_read(self.file)
        except BlockingIOError:
            return Heard()
        proven, self.proven = self.proven, False
        return Heard(news=not proven, proven=proven)

    def renew(self) -> None:
        self.renewed += 1
        if self.answers:
            self.proven = True
            self.speak()

    def end(self) -> bool:
        return False


class Heards:
    """Remembers what a watcher says."""

    def __init__(self) -> None:
        self.said: list[WatchEvent] = []
        self.failed: list[BaseException] = []
        self.watcher = Watcher(self.say, self.failed.append)

    def say(self, said: Sequence[WatchEvent]) -> None:
        self.said += said

    def of(self, name: str) -> list[WatchEvent]:
        return [one for one in self.said if one.name == name]


@pytest.fixture
def heard() -> Iterator[Heards]:
    made = Heards()
    yield made
    made.watcher.stop(AT_ONCE)
    assert made.failed == []


def add(heard: Heards, name: str, *, every: float = 60.0, timeout: float = 5.0) -> Line:
    line = Line()
    heard.watcher.add(name, line, every=every, timeout=timeout)
    return line


def test_news_are_said_at_once(heard: Heards) -> None:
    line = add(heard, "main")
    time.sleep(0.1)
    began = time.monotonic()
    line.speak()
    until(lambda: heard.of("main"))
    assert time.monotonic() - began < AT_ONCE
    assert [(one.news, one.proven, one.lost) for one in heard.said] == [(True, False, None)]


def test_what_came_before_it_was_watched_is_heard_too(heard: Heards) -> None:
    line = Line()
    calls = iter([Heard(news=True)])
    line.on_listen = lambda: next(calls, None)
    heard.watcher.add("main", line, every=60, timeout=5)
    until(lambda: heard.of("main"))


def test_each_is_renewed_by_its_interval_and_proven_by_the_answer(heard: Heards) -> None:
    line = add(heard, "main", every=0.5)
    until(lambda: line.renewed >= 3)
    assert [one.proven for one in heard.of("main")][:2] == [True, True]


def test_a_watch_that_lasts_shorter_than_the_interval_is_renewed_in_time(heard: Heards) -> None:
    class Short(Line):
        lasts = 0.5

    line = Short()
    heard.watcher.add("main", line, every=3600, timeout=5)
    until(lambda: line.renewed >= 2)


def test_a_server_that_does_not_answer_in_time_is_lost(heard: Heards) -> None:
    line = add(heard, "main", every=0.5, timeout=0.5)
    line.answers = False
    until(lambda: heard.of("main"))
    [said] = heard.of("main")
    assert isinstance(said.lost, TransientError)
    assert "did not answer for 0.5 seconds" in said.lost.message
    assert len(heard.watcher) == 0


@pytest.mark.parametrize(("error", "kind"), [(TransientError("gone"), TransientError), (ValueError("a bug"), PluginError)])
def test_P4_a_watch_that_raises_costs_only_itself(heard: Heards, error: Exception, kind: type[Exception]) -> None:
    def fail() -> Heard:
        raise error

    bad, good = Line(), add(heard, "good")
    bad.on_listen = fail
    heard.watcher.add("bad", bad, every=60, timeout=5)
    until(lambda: heard.of("bad"))
    assert isinstance(heard.of("bad")[0].lost, kind)
    good.speak()
    until(lambda: heard.of("good"))


def test_P4_a_watch_that_wakes_for_nothing_costs_only_itself(heard: Heards) -> None:
    bad, good = Line(), add(heard, "good")
    bad.on_listen = Heard
    bad.speak()
    heard.watcher.add("bad", bad, every=60, timeout=5)
    until(lambda: heard.of("bad"))
    assert "says nothing" in str(heard.of("bad")[0].lost)
    good.speak()
    until(lambda: heard.of("good"))
    turns = heard.watcher.turns
    time.sleep(0.3)
    assert heard.watcher.turns == turns


def test_P4_a_closed_file_costs_only_its_watch(heard: Heards) -> None:
    closed = Line()
    os.close(closed.file)
    closed.file = -1
    heard.watcher.add("closed", closed, every=60, timeout=5)
    until(lambda: heard.of("closed"))
    assert heard.of("closed")[0].lost is not None


def test_a_number_that_is_given_again_is_the_new_watch(heard: Heards) -> None:
    old = add(heard, "old")
    time.sleep(0.1)
    again = Line()
    os.dup2(again.file, old.file)
    again.file = old.file
    heard.watcher.add("new", again, every=60, timeout=5)
    time.sleep(0.1)
    again.speak()
    until(lambda: heard.of("new"))
    assert heard.watcher.remove("old", old)
    again.speak()
    until(lambda: len(heard.of("new")) == 2)


def test_what_is_removed_is_the_callers_and_not_called_any_more(heard: Heards) -> None:
    line = add(heard, "main", every=0.5)
    until(lambda: line.renewed)
    assert heard.watcher.remove("main", line)
    renewed, said = line.renewed, len(heard.said)
    line.speak()
    time.sleep(1.1)
    assert (line.renewed, len(heard.said)) == (renewed, said)
    assert not heard.watcher.remove("main", line)
    heard.watcher.add("main", line, every=60, timeout=5)
    until(lambda: len(heard.said) > said)


def test_another_watch_of_the_same_name_takes_its_place(heard: Heards) -> None:
    old = add(heard, "main")
    time.sleep(0.1)
    new = add(heard, "main")
    assert not heard.watcher.remove("main", old)
    old.speak()
    new.speak()
    until(lambda: heard.of("main"))
    assert len(heard.watcher) == 1


def test_a_watch_that_keeps_the_thread_is_found(heard: Heards) -> None:
    bad, hold = Line(), threading.Event()

    def wait() -> Heard | None:
        hold.wait(AT_ONCE)
        return None

    bad.on_listen = wait
    heard.watcher.add("bad", bad, every=60, timeout=5)
    until(lambda: heard.watcher.stuck(0.2) == "bad")
    hold.set()
    until(lambda: heard.watcher.stuck(0.0) is None)


def test_a_bug_in_who_is_told_does_not_end_the_watching() -> None:
    heard = Heards()
    heard.say = lambda _: 1 / 0  # type: ignore[assignment, method-assign]
    watcher = Watcher(heard.say, heard.failed.append)
    line = Line()
    watcher.add("main", line, every=60, timeout=5)
    line.speak()
    until(lambda: heard.failed)
    line.speak()
    until(lambda: len(heard.failed) == 2)
    watcher.stop(5)
    heard.watcher.stop(AT_ONCE)


def test_stop_says_what_was_watched(heard: Heards) -> None:
    add(heard, "a")
    add(heard, "b")
    assert set(heard.watcher.stop(AT_ONCE)) == {"a", "b"}


def test_5000_idle_watches_cost_no_wake_ups(heard: Heards) -> None:
    number = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        if hard < number + 500:
            number = hard - 500
        lines = [add(heard, str(one), every=3600.0) for one in range(number)]
        until(lambda: len(heard.watcher) == number)
        seen: list[tuple[int, float]] = []

        def quiet() -> bool:
            """Whether two seconds cost nothing. The first ones may see the end of what came before."""
            turns, cpu = heard.watcher.turns, time.process_time()
            time.sleep(2)
            seen.append((heard.watcher.turns - turns, time.process_time() - cpu))
            return seen[-1][0] <= 2 and seen[-1][1] < 0.2

        assert any(quiet() for _ in range(10)), seen
        # Removing and adding costs no more with many than with few.
        began = time.process_time()
        for _ in range(1000):
            assert heard.watcher.remove("7", lines[7])
            heard.watcher.add("7", lines[7], every=3600.0, timeout=5)
        assert time.process_time() - began < 5
        lines[4999 % number].speak()
        until(lambda: heard.of(str(4999 % number)))
        heard.watcher.stop(AT_ONCE)
        for line in lines:
            os.close(line.file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_renewals_of_many_share_their_wake_ups(heard: Heards) -> None:
    lines = [add(heard, str(one), every=1.0) for one in range(300)]
    until(lambda: all(line.renewed >= 1 for line in lines))
    turns = heard.watcher.turns
    until(lambda: all(line.renewed >= 4 for line in lines))
    # 300 accounts were proven three times each, and more.
    assert heard.watcher.turns - turns < 100


def test_a_watch_that_would_end_the_process_is_lost_and_the_others_go_on(heard: Heards) -> None:
    wild, other = Line(), Line()
    wild.on_listen = lambda: sys.exit("a library thinks that it is a program")
    heard.watcher.add("wild", wild, every=60, timeout=60)
    until(lambda: heard.of("wild"))
    assert isinstance(heard.of("wild")[0].lost, PluginError)
    heard.watcher.add("other", other, every=60, timeout=60)
    other.speak()
    until(lambda: any(said.news for said in heard.of("other")))
