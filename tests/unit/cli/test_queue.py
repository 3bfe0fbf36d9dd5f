"""``queue causes``: what stands in error queues, by its cause, for those who may see it."""

from __future__ import annotations

from tests.unit.cli.status_house import Desk, queue


def test_causes_are_grouped_most_first(two: Desk) -> None:
    queue(two, "ValueError: 2", "KeyError: 1", "KeyError: 1")
    done = two.run("queue", "causes")
    assert done.code == 0
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["filings", "operator", "queue", "by", "error", "first", "last", "last", "id"]
    assert [row[:6] for row in rows[1:]] == [
        ["2", "acme", "front", "contacts", "KeyError:", "1"],
        ["1", "acme", "front", "contacts", "ValueError:", "2"],
    ]
    first, second = two.run("queue", "causes", "--json").rows
    assert first == {
        "operator": "acme",
        "queue": "front",
        "by": "contacts",
        "error": "KeyError: 1",
        "filings": 2,
        "first_at": first["first_at"],
        "last_at": first["last_at"],
        "last_id": 3,
    }
    assert second["last_id"] == 1


def test_P6_causes_are_an_operators_own(two: Desk) -> None:
    two.house.operator("globetrot", matchers="[contacts]")
    queue(two, "KeyError: 1")
    queue(two, "ValueError: 2", "ValueError: 2", operator="globetrot")
    assert [row["error"] for row in two.run("queue", "causes", "--operator", "acme", "--json").rows] == ["KeyError: 1"]
    everybody = two.run("queue", "causes", "--all-operators", "--json").rows
    assert [(row["operator"], row["filings"]) for row in everybody] == [("globetrot", 2), ("acme", 1)]
    assert two.run("queue", "causes").code == 2


def test_causes_of_one_queue_only(two: Desk) -> None:
    queue(two, "KeyError: 1")
    assert len(two.run("queue", "causes", "--queue", "front", "--json").rows) == 1
    done = two.run("queue", "causes", "--queue", "other")
    assert (done.code, done.out, done.err) == (0, "", "No mail is in an error queue.\n")


def test_a_queue_that_no_operator_has_is_told_with_the_nearest_word(place: Desk) -> None:
    place.house.operator("acme", more="queues: {front-office: {title: Front office}}\n")
    for command in ("list", "causes"):
        done = place.run("queue", command, "--queue", "front-ofice", "--all-operators")
        assert done.code == 1
        assert "there is no queue 'front-ofice'" in done.err
        assert "Did you mean front-office?" in done.err
        assert place.run("queue", command, "--queue", "errors").code == 0
    # What stands in a queue of old is shown under its name.
    queue(place, "no")
    assert place.run("queue", "list", "--queue", "front", "--json").rows
