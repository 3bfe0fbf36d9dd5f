"""``status`` where the store can't be read: it says so, and which daemons run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gatewayd.runtime.instance import Instance

if TYPE_CHECKING:
    from tests.unit.cli.status_house import Desk


@pytest.mark.parametrize("how", ["no database", "damaged", "a folder", "server away"])
def test_P10_a_store_that_can_not_be_read_is_told_and_so_is_the_daemon_that_runs(two: Desk, how: str) -> None:
    two.store.close()
    database = two.house.database
    if how == "server away":
        url = "postgresql://nobody@127.0.0.1:1/none"
        two.house.write("gatewayd.yaml", f"state: {two.house.state}\nstore: {{kind: sql, url: '{url}'}}\n")
    elif how == "no database":
        database.write_bytes(b"no database at all" * 1000)
    elif how == "damaged":
        raw = database.read_bytes()
        database.write_bytes(raw[:100] + b"\xff" * (len(raw) - 100))
    else:
        for path in two.house.database.parent.glob("gatewayd.db*"):
            path.unlink()
        database.mkdir()
    done = two.status()
    assert done.code == 1
    assert "no daemon runs" in done.err
    with Instance(two.house.state, "daemon"), Instance(two.house.state):
        done = two.status()
        assert done.code == 1
        assert f"the daemon runs as process {os.getpid()}" in done.err
        assert "no daemon runs" not in done.err
        (row,) = two.status("--json").rows
    assert (row["type"], bool(row["error"]), bool(row["advice"])) == ("store", True, True)


def test_P10_a_faulty_config_that_was_never_accepted_is_no_matter_of_the_store(place: Desk) -> None:
    place.house.write("gatewayd.yaml", "state: [\n")
    assert place.status().code == 78
