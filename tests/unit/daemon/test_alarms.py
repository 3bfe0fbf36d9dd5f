"""What a person is told, and when: little and together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gatewayd.api.health import Alarm
from gatewayd.daemon.alarms import Alarms

if TYPE_CHECKING:
    from gatewayd.daemon.alarms import AlarmDigest


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def alarm(name: str = "sales", *, passing: bool = False) -> Alarm:
    return Alarm(kind="account", name=name, error="the log-in was refused", passing=passing)


def names(notice: AlarmDigest) -> tuple[list[str], list[str]]:
    return [one.alarm.name for one in notice.begun], [one.alarm.name for one in notice.over]


def test_what_begins_within_a_minute_is_told_at_once_and_together() -> None:
    clock = Clock()
    alarms = Alarms(clock=clock)
    alarms.raised(alarm("a"))
    clock.now += 59
    alarms.raised(alarm("b"))
    assert not alarms.due()
    clock.now += 1
    assert names(alarms.due()) == (["a", "b"], [])


def test_what_is_not_told_stays_due_and_what_is_told_is_told_once() -> None:
    clock = Clock()
    alarms = Alarms(clock=clock)
    alarms.raised(alarm())
    clock.now += 60
    notice = alarms.due()
    assert alarms.due() == notice
    alarms.told(notice)
    clock.now += 10_000
    alarms.raised(alarm())
    assert not alarms.due()
    alarms.over("account", "sales")
    clock.now += 60
    assert names(alarms.due()) == ([], ["sales"])
    alarms.told(alarms.due())
    assert not alarms.standing()


def test_what_was_over_before_anybody_was_told_is_not_told() -> None:
    clock = Clock()
    alarms = Alarms(clock=clock)
    alarms.raised(alarm())
    clock.now += 50
    alarms.over("account", "sales")
    clock.now += 100
    assert not alarms.due()


def test_what_may_pass_by_itself_is_told_where_it_lasts() -> None:
    clock = Clock()
    alarms = Alarms(after=900, clock=clock)
    alarms.raised(alarm(passing=True))
    clock.now += 900
    assert not alarms.due()
    clock.now += 60
    assert names(alarms.due()) == (["sales"], [])
    # What turns out to need a person is told sooner.
    alarms.raised(alarm("other", passing=True))
    clock.now += 10
    alarms.raised(alarm("other"))
    clock.now += 60
    assert names(alarms.due())[0] == ["other", "sales"]


def test_at_most_six_notices_an_hour_and_nothing_is_forgotten_for_that() -> None:
    clock = Clock()
    alarms = Alarms(clock=clock)
    told = []
    for number in range(600):
        alarms.raised(alarm(str(number)))
        if notice := alarms.due():
            told.append((clock.now, notice))
            alarms.told(notice)
        clock.now += 30
    assert all(later - first >= 3600 for (first, _), (later, _) in zip(told, told[6:], strict=False))
    clock.now += 4000
    told.append((clock.now, alarms.due()))
    assert sum(len(notice.begun) for _, notice in told) == 600


def test_what_changes_while_a_notice_is_on_its_way_is_told_by_the_next() -> None:
    clock = Clock()
    alarms = Alarms(clock=clock)
    alarms.raised(alarm("ends"))
    clock.now += 60
    notice = alarms.due()
    alarms.over("account", "ends")
    alarms.told(notice)
    clock.now += 60
    notice = alarms.due()
    assert names(notice) == ([], ["ends"])
    alarms.raised(alarm("ends"))
    alarms.told(notice)
    clock.now += 60
    assert names(alarms.due()) == (["ends"], [])


@given(st.lists(st.tuples(st.sampled_from(["raise", "over", "wait", "tell"]), st.sampled_from("abc")), max_size=60))
def test_who_reads_all_notices_knows_in_the_end_what_stands(steps: list[tuple[str, str]]) -> None:
    clock = Clock()
    alarms = Alarms(clock=clock)
    believed: set[str] = set()
    stands: set[str] = set()

    def tell() -> None:
        if notice := alarms.due():
            begun, over = names(notice)
            assert not believed & set(begun)
            assert believed >= set(over)
            believed.difference_update(over)
            believed.update(begun)
            alarms.told(notice)

    for step, name in steps:
        if step == "raise":
            stands.add(name)
            alarms.raised(alarm(name))
        elif step == "over":
            stands.discard(name)
            alarms.over("account", name)
        elif step == "wait":
            clock.now += 40
        else:
            tell()
    clock.now += 5000
    tell()
    assert believed == stands
