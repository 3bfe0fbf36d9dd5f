"""The accounts in ``status`` (P10): how each is, what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gatewayd.cli import output
from tests.unit.cli.status_house import DAEMON, NOW, WELL, WRONG, Desk


def test_P10_what_a_dead_daemon_said_is_not_how_the_account_is(place: Desk) -> None:
    place.store.tell([replace(WELL, holder="dead")])
    assert place.line("reservations") == ["reservations", "unattended", "3h", "ago", "2d", "ago"]
    (row,) = place.status("--json").of("account")
    assert (row["condition"], row["owner"], row["due_at"]) == ("unattended", None, None)
    assert row["checked_at"]
    place.store.beat(DAEMON)
    assert place.line("reservations")[1] == "unattended"
    assert place.status().code == 1


def test_P10_an_account_that_no_daemon_spoke_of_yet_is_new_while_one_lives(place: Desk) -> None:
    place.store.beat(DAEMON)
    assert place.line("reservations")[1] == "new"
    assert place.status().code == 0


def test_P10_what_is_wrong_with_an_account_and_what_to_do_is_said_and_it_exits_1(two: Desk) -> None:
    two.store.tell([WRONG])
    done = two.status()
    assert done.code == 1
    assert two.line("sales")[-7:] == ["now", "anna", "was", "refused.", "Correct", "the", "password."]
    (row,) = [row for row in two.status("--json").of("account") if row["account"] == "sales"]
    assert row["error"] == "anna was refused"
    assert row["advice"] == "Correct the password."
    assert row["failures"] == 3


def test_P10_of_an_account_that_is_being_visited_it_says_since_when(two: Desk) -> None:
    began = NOW - timedelta(hours=5, minutes=30)
    two.store.tell([replace(WELL, condition="working", due_at=None, working_since=began)])
    assert two.line("reservations") == ["reservations", "working", "for", "5h", "3h", "ago", "2d", "ago"]
    working, polling = two.status("--json").of("account")
    assert (working["working_since"], working["due_at"]) == (output.moment(began), None)
    assert (polling["working_since"], polling["due_at"]) == (None, output.moment(WELL.due_at))


def test_P10_what_a_dead_daemon_worked_at_is_not_being_visited(place: Desk) -> None:
    place.store.tell([replace(WELL, holder="dead", condition="working", due_at=None, working_since=NOW)])
    assert place.line("reservations")[1:3] == ["unattended", "3h"]
    (row,) = place.status("--json").of("account")
    assert (row["working_since"], row["due_at"]) == (None, None)


def test_an_error_of_an_account_that_works_is_a_fault_too(two: Desk) -> None:
    two.store.tell([replace(WELL, error="Inbx: no such folder")])
    assert two.status().code == 1


def test_an_account_that_does_not_import_is_disabled_whatever_was_said_of_it(two: Desk) -> None:
    two.house.account("sales", "imap", 1, "anna", imports="  enabled: false\n")
    two.store.tell([WRONG])
    assert two.line("sales")[1] == "disabled"
    assert two.status().code == 0


def test_accounts_that_left_the_config_are_not_shown(two: Desk) -> None:
    two.store.tell([replace(WRONG, account="gone")])
    done = two.status("--json")
    assert done.code == 0
    assert [row["account"] for row in done.of("account")] == ["reservations", "sales"]


def test_without_accounts_it_says_so(place: Desk) -> None:
    (place.house.folder / "accounts" / "reservations.yaml").unlink()
    place.store.beat(DAEMON)
    done = place.status()
    assert (done.code, done.err) == (0, "There are no accounts.\n")
