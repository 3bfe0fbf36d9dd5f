"""``status``: how everything is, in a table and as JSON, with a daemon and without one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.testing.contracts.custodian import Custodian
from tests.unit.cli.status_house import DAEMON, WELL, WRONG, Desk, queue

if TYPE_CHECKING:
    from gatewayd import AccountHealth

# --- without a daemon -------------------------------------------------------------------------------------------------


def test_P10_without_a_daemon_it_says_so_and_how_to_start_one(place: Desk) -> None:
    done = place.status()
    assert done.code == 1
    assert done.err == "gatewayd: no daemon runs; start it with `systemctl start gatewayd` or `gatewayd run`.\n"
    assert place.line("reservations") == ["reservations", "unattended", "never"]


# --- with one ---------------------------------------------------------------------------------------------------------


def test_P10_when_all_is_well_every_account_and_daemon_is_shown_and_it_exits_0(two: Desk) -> None:
    done = two.status()
    assert (done.code, done.err) == (0, "")
    assert two.line("reservations") == ["reservations", "watching", "3h", "ago", "2d", "ago", "in", two.line("reservations")[7]]
    assert two.line("sales")[1] == "polling"
    assert "Daemon me: version 1.2.3, up 3h, 2 accounts, 2 workers.\n" in done.out


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("new", 0),
        ("working", 0),
        ("watching", 0),
        ("polling", 0),
        ("disabled", 0),
        ("backing off", 1),
        ("paused", 1),
        ("faulty", 1),
    ],
)
def test_the_exit_code_says_whether_all_is_well(two: Desk, condition: Any, code: int) -> None:
    two.store.tell([replace(WELL, condition=condition)])
    assert two.status().code == code


def test_what_waits_is_counted(two: Desk) -> None:
    Custodian.of(two.store, "sales").enter("1", "2", "3")
    assert "3" in two.line("sales")
    (row,) = [row for row in two.status("--json").of("account") if row["account"] == "sales"]
    assert row["waiting"] == 3
    assert row["waiting_since"].endswith("Z")


@pytest.mark.parametrize(("told", "condition", "says"), [(WELL, "watching", "it runs as last accepted"), (None, "new", "")])
def test_a_faulty_file_is_shown_with_its_place_and_whether_it_runs(
    place: Desk, told: AccountHealth | None, condition: str, says: str
) -> None:
    place.store.beat(DAEMON)
    place.store.tell([told] if told else [])
    path = place.house.folder / "accounts" / "reservations.yaml"
    path.write_text(path.read_text().replace("host:", "hots:"))
    done = place.status("--json")
    assert done.code == 1
    (row,) = done.of("account")
    assert row["condition"] == (condition if told else "faulty")
    assert (says or "it does not run") in row["error"]
    assert "accounts/reservations.yaml:" in row["error"]
    assert [fault["file"] for fault in done.of("fault")] == ["accounts/reservations.yaml"] * len(done.of("fault"))
    assert "see `gatewayd check`" in place.status().out


def test_of_a_fault_of_a_whole_file_no_line_is_told(place: Desk) -> None:
    place.house.write("accounts/reservations.yaml.bak", "")
    (row,) = place.status("--json").of("fault")
    assert (row["file"], row["line"], row["column"]) == ("accounts/reservations.yaml.bak", None, None)


def test_a_fault_between_two_files_is_told_and_the_account_runs_as_it_stands(place: Desk) -> None:
    place.store.beat(DAEMON)
    text = "kind: smtp\noperators: [acme]\nhost: smtp.example.com\nsend: {system: true, from: {address: out@acme.example}}\n"
    for name in ("out", "out-too"):
        place.house.write(f"accounts/{name}.yaml", text)
    rows = {row["account"]: row for row in place.status("--json").of("account")}
    assert rows["out"]["error"] is None
    assert "send.system: operator 'acme' has a system account already" in rows["out-too"]["error"]
    assert rows["out-too"]["error"].endswith("(it runs as it stands)")


def test_a_faulty_operator_is_a_fault_of_the_config_folder(two: Desk) -> None:
    two.house.write("operators/acme.yaml", "titel: Acme\n")
    done = two.status()
    assert done.code == 1
    assert "The config folder has 1 fault; see `gatewayd check`." in done.out


def test_breakers_replaced_workers_and_files_that_run_as_last_accepted_are_shown(two: Desk) -> None:
    faults = ("operators/acme.yaml (runs as last accepted)",)
    two.store.beat(replace(DAEMON, worker_deaths=3, open_breakers=("acme/vouchers",), config_faults=faults))
    out = two.status().out
    assert "2 workers, 3 workers replaced." in out
    assert "The matcher acme/vouchers failed too often" in out
    assert "Faulty: operators/acme.yaml (runs as last accepted)" in out
    (row,) = two.status("--json").of("daemon")
    assert row == {
        "type": "daemon",
        "owner": "me",
        "version": "1.2.3",
        "started_at": row["started_at"],
        "accounts": 2,
        "workers": 2,
        "worker_deaths": 3,
        "open_breakers": ["acme/vouchers"],
        "open_targets": [],
        "config_faults": list(faults),
    }


def test_what_stands_in_error_queues_is_shown_by_cause(two: Desk) -> None:
    queue(two, "KeyError: 1", "KeyError: 1", "ValueError: 2")
    done = two.status()
    assert done.code == 0
    assert "Error queue: 2 filings of acme in front, by contacts: KeyError: 1\n" in done.out
    assert [(row["filings"], row["operator"]) for row in two.status("--json").of("queue")] == [(2, "acme"), (1, "acme")]


def test_P8_many_causes_are_counted_only(two: Desk) -> None:
    queue(two, *(f"KeyError: {number}" for number in range(13)))
    out = two.status().out
    assert out.count("Error queue: 1 filing of acme") == 10
    assert "Error queue: 3 more causes; see `gatewayd queue causes --all-operators`." in out
    assert len(two.status("--json").of("queue")) == 13


def test_P9_nothing_from_outside_commands_the_terminal(two: Desk) -> None:
    two.store.tell([replace(WRONG, error="said \x1b[31mred\nand more")])
    assert "\x1b" not in two.status().out
    assert "\x1b" not in two.status("--json").out
