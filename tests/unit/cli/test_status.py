"""``status`` and ``queue causes``: how everything is, in a table and as JSON, with a daemon and without one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from gatewayd import AccountHealth, DaemonHealth, FilingFault, Folders, cli
from gatewayd.cli import output
from gatewayd.runtime.instance import Instance
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC)
DAEMON = DaemonHealth(holder="me", version="1.2.3", started_at=NOW - timedelta(hours=3), accounts=2, workers=2)
WELL = AccountHealth(
    account="reservations",
    holder="me",
    condition="watching",
    checked_at=NOW - timedelta(hours=3, minutes=30),
    mail_at=NOW - timedelta(days=2, hours=1),
    due_at=NOW + timedelta(days=2, hours=1),
    compared_at=NOW - timedelta(hours=7),
)
WRONG = replace(
    WELL, account="sales", condition="paused", failures=3, error="anna was refused", advice="Correct the password.", due_at=NOW
)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["type"] == kind]


class Desk:
    """A config folder, its store, and the command line."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.house = House(folder)
        self.house.operator("acme", matchers="[contacts]")
        self.house.account("reservations", "imap", 1, "anna")
        self.store = Sql(SqlOptions(url=None), place=Folders(config=self.house.folder, state=self.house.state))
        self.house.state.mkdir()
        self.store.open()
        self._capfd = capfd

    def run(self, *words: str) -> Done:
        self._capfd.readouterr()
        code = cli.run(["--config", str(self.house.folder), *words])
        return Done(code, *self._capfd.readouterr())

    def status(self, *words: str) -> Done:
        return self.run("status", *words)

    def line(self, beginning: str) -> list[str]:
        """The words of the status's line that begins so."""
        return next(line for line in self.status().out.splitlines() if line.startswith(beginning)).split()


@pytest.fixture
def place(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("COLUMNS", "250")
    made = Desk(tmp_path, capfd)
    yield made
    made.store.close()


def queue(place: Desk, *errors: str, operator: str = "acme") -> None:
    """File a mail for each error, that stands in the operator's queue ``front`` by the matcher ``contacts``."""
    hand = Custodian.of(place.store, f"of-{operator}")
    for number, error in enumerate(errors, 1):
        filing = make_filing(operator, faults=[FilingFault("contacts", error)], queue="front")
        hand.file(str(number), make_raw(number), filing)


# --- without a daemon -------------------------------------------------------------------------------------------------


def test_P10_without_a_daemon_it_says_so_and_how_to_start_one(place: Desk) -> None:
    done = place.status()
    assert done.code == 1
    assert done.err == "gatewayd: no daemon runs; start it with `systemctl start gatewayd` or `gatewayd run`.\n"
    assert place.line("reservations") == ["reservations", "unattended", "never"]


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


# --- with one ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(place: Desk) -> Desk:
    place.house.account("sales", "imap", 1, "bert")
    place.store.beat(DAEMON)
    place.store.tell([WELL, replace(WELL, account="sales", condition="polling")])
    return place


def test_P10_when_all_is_well_every_account_and_daemon_is_shown_and_it_exits_0(two: Desk) -> None:
    done = two.status()
    assert (done.code, done.err) == (0, "")
    assert two.line("reservations") == ["reservations", "watching", "3h", "ago", "2d", "ago", "in", two.line("reservations")[7]]
    assert two.line("sales")[1] == "polling"
    assert "Daemon me: version 1.2.3, up 3h, 2 accounts, 2 workers.\n" in done.out


def test_P10_what_is_wrong_with_an_account_and_what_to_do_is_said_and_it_exits_1(two: Desk) -> None:
    two.store.tell([WRONG])
    done = two.status()
    assert done.code == 1
    assert two.line("sales")[-7:] == ["now", "anna", "was", "refused.", "Correct", "the", "password."]
    (row,) = [row for row in two.status("--json").of("account") if row["account"] == "sales"]
    assert row["error"] == "anna was refused"
    assert row["advice"] == "Correct the password."
    assert row["failures"] == 3


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


def test_without_accounts_it_says_so(place: Desk) -> None:
    (place.house.folder / "accounts" / "reservations.yaml").unlink()
    place.store.beat(DAEMON)
    done = place.status()
    assert (done.code, done.err) == (0, "There are no accounts.\n")


# --- queue causes -----------------------------------------------------------------------------------------------------


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
    assert (done.code, done.out, done.err) == (0, "", "Nothing stands in an error queue.\n")


# --- a store that can't be had ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no database", "damaged", "a folder", "server away"])
def test_P10_a_store_that_can_not_be_read_is_told_and_so_is_the_daemon_that_runs(two: Desk, how: str) -> None:
    two.store.close()
    database = two.house.state / "gatewayd.db"
    if how == "server away":
        url = "postgresql://nobody@127.0.0.1:1/none"
        two.house.write("gatewayd.yaml", f"state: {two.house.state}\nstore: {{kind: sql, url: '{url}'}}\n")
    elif how == "no database":
        database.write_bytes(b"no database at all" * 1000)
    elif how == "damaged":
        raw = database.read_bytes()
        database.write_bytes(raw[:100] + b"\xff" * (len(raw) - 100))
    else:
        for path in two.house.state.glob("gatewayd.db*"):
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
