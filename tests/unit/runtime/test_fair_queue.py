"""Who waits for a visit."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gatewayd.runtime.fair_queue import FairQueue

LIMITS = {"all": 4, "x": 2, "y": 1}


def line(limits: dict[str, int] | None = None) -> FairQueue:
    return FairQueue(lambda group: (limits or LIMITS)[group])


def taken(waiting: FairQueue) -> str | None:
    place = waiting.take()
    return place.name if place else None


def test_first_due_first_served_whoever_came_first() -> None:
    waiting = line({"all": 10})
    for name, at in [("late", 9.0), ("first", 1.0), ("second", 1.0), ("middle", 5.0)]:
        waiting.add(name, ["all"], at=at)
    assert [taken(waiting) for _ in range(5)] == ["first", "second", "middle", "late", None]


def test_each_waits_once() -> None:
    waiting = line()
    waiting.add("a", ["all"], at=5.0)
    waiting.add("a", ["all"], at=1.0)
    assert (len(waiting), "a" in waiting) == (1, True)
    assert [taken(waiting), taken(waiting)] == ["a", None]
    assert "a" not in waiting


def test_P4_a_full_host_blocks_nobody_behind_it() -> None:
    waiting = line({"x": 1, "y": 1})
    for number in range(5):
        waiting.add(f"x{number}", ["x"], at=0.0)
    waiting.add("y0", ["y"], at=9.0)
    assert [taken(waiting), taken(waiting), taken(waiting)] == ["x0", "y0", None]
    waiting.back(["x"])
    assert [taken(waiting), taken(waiting)] == ["x1", None]


def test_a_limit_that_grew_lets_as_many_go_on_as_there_is_room_for() -> None:
    limits = {"x": 0}
    waiting = line(limits)
    for name in ("a", "b", "c"):
        waiting.add(name, ["x"], at=0.0)
    assert (taken(waiting), waiting.full(), waiting.waiting_for("x")) == (None, ["x"], ["a", "b", "c"])
    waiting.look()
    assert taken(waiting) is None
    limits["x"] = 2
    waiting.drop("a")
    waiting.look()
    assert [taken(waiting), taken(waiting), taken(waiting)] == ["b", "c", None]
    assert waiting.full() == []


def test_who_left_is_not_called_and_holds_nobody_up() -> None:
    waiting = line({"x": 1})
    for name in ("a", "b", "c", "d"):
        waiting.add(name, ["x"], at=0.0)
    assert taken(waiting) == "a"
    assert taken(waiting) is None
    waiting.drop("b")
    waiting.drop("nobody")
    waiting.back(["x"])
    # It is called, and leaves before its turn comes.
    waiting.drop("c")
    assert [taken(waiting), taken(waiting)] == ["d", None]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 12), st.integers(0, 5)),
        st.tuples(st.just("drop"), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("take"), st.just(0), st.just(0)),
        st.tuples(st.just("back"), st.integers(0, 12), st.just(0)),
    ),
    max_size=120,
)
GROUPS = [("all",), ("x", "all"), ("y", "all"), ("x", "y"), ("y", "x", "all")]


@given(STEPS)
def test_it_serves_whom_a_search_through_all_would_find(steps: list[tuple[str, int, int]]) -> None:
    waiting, out = line(), list[tuple[str, ...]]()
    model: dict[str, tuple[float, int, tuple[str, ...]]] = {}
    for number, (what, one, at) in enumerate(steps):
        name, groups = str(one), GROUPS[one % len(GROUPS)]
        if what == "add" and name not in model:
            model[name] = (float(at), number, groups)
            waiting.add(name, groups, at=float(at))
        elif what == "drop":
            model.pop(name, None)
            waiting.drop(name)
        elif what == "back" and out:
            waiting.back(out.pop(one % len(out)))
        elif what == "take":
            used = Counter(group for groups in out for group in groups)
            fits = [place for place in model.items() if all(used[group] < LIMITS[group] for group in place[1][2])]
            place = waiting.take()
            expected = min(fits, key=lambda found: found[1][:2], default=None)
            assert (place.name if place else None) == (expected[0] if expected else None)
            if place:
                out.append(place.groups)
                del model[place.name]
        assert len(waiting) == len(model)
        assert all(waiting.out(group) == sum(groups.count(group) for groups in out) for group in LIMITS)
