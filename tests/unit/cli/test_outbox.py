"""``outbox`` and what ``status`` and ``mail show`` say of it: on a real store, with servers in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from gatewayd import Bounce, Bounced, DaemonHealth, Delivery, Folders, TransientError, Viewer, cli
from gatewayd.testing import FakeForwarder, FakeServer
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House
from tests.unit.cli.status_house import DAEMON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLUGIN = """
from gatewayd import hookimpl
from gatewayd.testing import FakeForwarder

@hookimpl
def gatewayd_forwarders():
    return [FakeForwarder]
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Desk:
    """A config folder with an account that sends, its store, and the command line."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.house = House(folder)
        self.house.write("plugins/fake.py", PLUGIN)
        for operator in ("acme", "globetrot"):
            self.house.write(
                f"operators/{operator}.yaml", "title: A\ntargets: {duty: {kind: fake, account: out, to: [duty@example.com]}}\n"
            )
        self.sends(operators="acme, globetrot")
        self.store = Sql(SqlOptions(url=None), place=Folders(config=self.house.folder, state=self.house.state))
        self.house.state.mkdir()
        self.store.open()
        self.hand = Custodian.of(self.store)
        self.numbers = iter(range(1, 1000))
        self.server = FakeForwarder.servers["out"] = FakeServer()
        self._capfd = capfd

    def sends(self, name: str = "out", operators: str = "acme") -> None:
        text = f"kind: fake\noperators: [{operators}]\nsend: {{from: {{address: {name}@acme.example}}}}\n"
        self.house.write(f"accounts/{name}.yaml", text)

    def run(self, *words: str) -> Done:
        self._capfd.readouterr()
        code = cli.run(["--config", str(self.house.folder), *words])
        return Done(code, *self._capfd.readouterr())

    def mail(self, operator: str = "acme", subject: str = "Rome") -> int:
        number = next(self.numbers)
        return self.hand.file(str(number), make_raw(number, subject=subject), make_filing(operator))

    def enter(
        self, *to: str, operator: str = "acme", target: str = "", mail: int = 0, withheld: str = "", account: str = "out"
    ) -> int:
        number = next(self.numbers)
        made = Delivery(
            forwarder="fake",
            account=account,
            target=target,
            to=to or ("duty@example.com",),
            cause=f"person:{number}",
            message_id=f"<gw.f.{number}@acme.example>",
            withheld=withheld,
        )
        return self.store.deliver(Viewer(operator=operator), mail or self.mail(operator), [made])[0]

    def bounce(self, delivery: str) -> None:
        """Import a hard bounce of the delivery with that Message-ID."""
        number = str(next(self.numbers))
        self.hand.enter(number)
        bounced = Bounced(address="duty@example.com", hard=True, words="5.1.1 no such user")
        outcome = self.hand.outcome(number, make_raw(int(number)))
        self.hand.commit(replace(outcome, bounce=Bounce(message_id=delivery, recipients=(bounced,))))

    def outbox(self, *words: str) -> Done:
        return self.run("outbox", *words)

    def states(self, *ids: int) -> list[str]:
        found = {row["id"]: row["state"] for row in self.outbox("list", "--all-operators", "--json").rows}
        return [found[one] for one in ids]


@pytest.fixture
def place(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(FakeForwarder, "servers", {})
    made = Desk(tmp_path, capfd)
    yield made
    made.store.close()


# --- list -------------------------------------------------------------------------------------------------------------


def test_deliveries_are_listed_with_what_is_known_of_them(place: Desk) -> None:
    one = place.enter("a@example.com", "b@example.com")
    place.server.says = {one: (("delivered", ""), ("refused", "550 no"))}
    place.outbox("deliver")
    (row,) = place.outbox("list", "--operator", "acme", "--json").rows
    assert row.pop("entered_at")
    assert row.pop("ended_at")
    assert row == {
        "id": one,
        "operator": "acme",
        "mail": 1,
        "subject": "Rome",
        "forwarder": "fake",
        "account": "out",
        "target": None,
        "mode": "attached",
        "cause": "person:1",
        "message_id": "<gw.f.1@acme.example>",
        "state": "parked",
        "words": "b@example.com: 550 no",
        "tries": 1,
        "recipients": [
            {"address": "a@example.com", "state": "delivered", "words": ""},
            {"address": "b@example.com", "state": "refused", "words": "550 no"},
        ],
        "due_at": None,
        "suspended": None,
    }
    listed = place.outbox("list", "--operator", "acme").out
    assert "a@example.com, b@example.com" in listed
    assert "b@example.com: 550 no" in listed


def test_the_list_can_be_narrowed_and_pages_go_on(place: Desk) -> None:
    mail = place.mail()
    first, second = place.enter(mail=mail), place.enter(mail=mail)
    third = place.enter(target="duty", withheld="it answers a forward of ours")
    other = place.enter(operator="globetrot")

    def ids(*words: str) -> list[int]:
        return [row["id"] for row in place.outbox("list", "--json", *words).rows]

    acme = ("--operator", "acme")
    assert ids("--all-operators") == [other, third, second, first]
    assert ids("--all-operators", "--limit", "2") == [other, third]
    assert ids("--all-operators", "--before", str(third)) == [second, first]
    assert ids(*acme, "--mail", str(mail)) == [second, first]
    assert ids(*acme, "--state", "withheld") == [third]
    assert ids(*acme, "--target", "duty") == [third]
    assert place.outbox("list").code == 2
    done = place.outbox("list", *acme, "--state", "bounced")
    assert (done.code, done.out, done.err) == (0, "", "No deliveries.\n")


def test_a_mail_shows_its_deliveries(place: Desk) -> None:
    mail = place.mail()
    one = place.enter(mail=mail)
    place.server.says = {one: (("refused", "550 no such user"),)}
    place.outbox("deliver")
    shown = place.run("mail", "show", str(mail), "--operator", "acme").out
    assert f"Delivery:   {one}. to duty@example.com, by person:1: parked, 550 no such user\n" in shown.replace(
        "person:2", "person:1"
    )
    (row,) = place.run("mail", "show", str(mail), "--operator", "acme", "--json").rows
    assert [(each["id"], each["state"]) for each in row["deliveries"]] == [(one, "parked")]


# --- deliver ----------------------------------------------------------------------------------------------------------


def test_P7_deliver_delivers_all_that_is_due_here_and_now(place: Desk) -> None:
    ids = [place.enter(mail=place.mail()) for _ in range(3)]
    done = place.outbox("deliver", "--json")
    row = {
        "destination": "account out",
        "lane": "account out",
        "delivered": 3,
        "put_off": 0,
        "parked": 0,
        "error": None,
        "advice": None,
    }
    assert (done.code, done.rows) == (0, [row])
    assert place.states(*ids) == ["delivered"] * 3
    done = place.outbox("deliver")
    assert (done.code, done.out, done.err) == (0, "", "Nothing is due.\n")


def test_deliver_says_what_waits_and_for_how_long_where_nothing_is_due_now(place: Desk) -> None:
    place.sends("other")
    place.server.says, place.server.retry_after = {place.enter(): (("waiting", "451 later"),)}, 3590.0
    assert place.outbox("deliver").code == 1
    done = place.outbox("deliver")
    waits = "account out: waits, and is due in 59m; see `gatewayd outbox list`, `outbox retry ID` hurries it.\n"
    assert (done.code, done.out, done.err) == (0, "", f"Nothing is due now.\n{waits}")
    assert place.outbox("deliver", "--json").out == ""
    place.enter(account="other")
    done = place.outbox("deliver")
    assert done.out.splitlines()[-1].split()[:3] == ["account", "other", "1"]
    assert done.err == waits, "what is due was delivered, and what is not is named still"


def test_a_destination_with_more_than_a_round_is_emptied(place: Desk) -> None:
    mail = place.mail()
    for _ in range(101):
        place.enter(mail=mail)
    (row,) = place.outbox("deliver", "--json").rows
    assert row["delivered"] == 101
    assert place.server.opened == 2


def test_P4_what_is_wrong_with_one_destination_is_said_and_the_others_go_on(place: Desk) -> None:
    place.sends("other")
    bad, good = place.enter(account="other"), place.enter()
    FakeForwarder.servers["other"] = FakeServer(shut=TransientError("other: connection refused", advice="Start it."))
    done = place.outbox("deliver")
    assert done.code == 1
    assert "other: connection refused. Start it." in done.out
    assert place.states(bad, good) == ["waiting", "delivered"]


@pytest.mark.parametrize(("state", "words"), [("waiting", "451 later"), ("refused", "550 no")])
def test_deliver_fails_where_something_was_put_off_or_parked(place: Desk, state: Any, words: str) -> None:
    place.server.says = {place.enter(): ((state, words),)}
    done = place.outbox("deliver")
    assert done.code == 1
    assert "See `gatewayd outbox list`." in done.out


def test_a_store_that_fails_is_a_destinations_error(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place.enter()

    def take(*_: object, **__: object) -> None:
        raise TransientError("the database is locked")

    monkeypatch.setattr(Sql, "take", take)
    done = place.outbox("deliver", "--json")
    assert (done.code, done.rows[0]["error"]) == (1, "the database is locked")


# --- retry, cancel, resume --------------------------------------------------------------------------------------------


def test_P7_what_is_parked_is_tried_again_and_who_has_it_gets_it_no_second_time(place: Desk) -> None:
    one = place.enter("a@example.com", "b@example.com")
    place.server.says = {one: (("delivered", ""), ("refused", "550 no"))}
    place.outbox("deliver")
    done = place.outbox("retry", str(one), "--operator", "acme")
    assert (done.code, done.err) == (
        0,
        "1 delivery due now; `gatewayd outbox deliver` tries without waiting for a daemon.\n",
    )
    place.server.says = {}
    assert place.outbox("deliver").code == 0
    assert place.server.begun[-1].to == ("b@example.com",)


def test_all_that_is_parked_or_withheld_is_tried_again_for_one_target_if_wanted(place: Desk) -> None:
    parked, withheld = place.enter(), [place.enter(withheld="a circle") for _ in range(2)]
    aimed = place.enter(target="duty", withheld="a circle")
    place.server.says = {parked: (("refused", "550 no"),)}
    place.outbox("deliver")
    acme = ("--operator", "acme")
    assert place.outbox("retry", "--withheld", "--target", "duty", *acme).code == 0
    assert place.states(parked, *withheld, aimed) == ["parked", "withheld", "withheld", "waiting"]
    assert place.outbox("retry", "--withheld", "--parked", *acme).err.startswith("3 deliveries due now")
    assert place.states(parked, *withheld) == ["waiting"] * 3
    assert place.outbox("retry", "--parked", *acme).code == 0


def test_retry_wants_ids_or_a_state(place: Desk) -> None:
    acme = ("--operator", "acme")
    for words in ([], ["1", "--parked"], ["1", "--target", "duty"], ["--target", "duty"]):
        assert place.outbox("retry", *words, *acme).code == 2
    assert place.outbox("retry", "99", *acme).code == 1


SEE = "  See `gatewayd outbox list`.\n"


def test_retry_and_cancel_name_what_is_not_there_or_another_operators_and_do_the_rest(place: Desk) -> None:
    theirs, withheld = place.enter(operator="globetrot"), place.enter(withheld="a circle")
    acme = ("--operator", "acme")
    missing = f"gatewayd: operator acme has no delivery 99\ngatewayd: operator acme has no delivery {theirs}\n{SEE}"
    said = place.outbox("retry", "99", str(theirs), "99", *acme)
    assert (said.code, said.err) == (1, missing)
    said = place.outbox("retry", "99", str(theirs), str(withheld), *acme)
    tries = "; `gatewayd outbox deliver` tries without waiting for a daemon"
    assert (said.code, said.err) == (1, f"1 delivery due now{tries}.\n{missing}")
    said = place.outbox("cancel", "99", str(theirs), str(withheld), *acme)
    assert (said.code, said.err) == (1, f"1 delivery cancelled.\n{missing}")
    said = place.outbox("cancel", "99", "--all-operators")
    assert (said.code, said.err) == (1, f"0 deliveries cancelled.\ngatewayd: there is no delivery 99\n{SEE}")


def test_what_is_delivered_is_neither_tried_again_nor_cancelled_and_what_is_cancelled_is_tried_again(place: Desk) -> None:
    done, gone = place.enter(), place.enter()
    acme = ("--operator", "acme")
    place.outbox("cancel", str(gone), *acme)
    place.outbox("deliver")
    said = place.outbox("cancel", str(done), str(gone), *acme)
    ended = f"gatewayd: delivery {done} is delivered already\ngatewayd: delivery {gone} is cancelled already\n{SEE}"
    assert (said.code, said.err) == (1, f"0 deliveries cancelled.\n{ended}")
    said = place.outbox("retry", str(done), *acme)
    assert (said.code, said.err) == (1, f"gatewayd: delivery {done} is delivered already\n{SEE}")
    said = place.outbox("retry", str(gone), *acme)
    assert (said.code, said.err.partition(";")[0]) == (0, "1 delivery due now")
    assert place.states(done, gone) == ["delivered", "waiting"]


def test_what_came_back_is_not_cancelled_and_said_to_have_ended(place: Desk) -> None:
    back = place.enter(target="duty")
    place.outbox("deliver")
    place.bounce("<gw.f.1@acme.example>")
    said = place.outbox("cancel", str(back), "--operator", "acme")
    assert (said.code, said.err) == (1, f"0 deliveries cancelled.\ngatewayd: delivery {back} is bounced already\n{SEE}")


def test_retry_says_that_a_suspended_target_gets_nothing(place: Desk) -> None:
    place.enter(target="duty")
    place.outbox("deliver")
    place.bounce("<gw.f.1@acme.example>")
    waits, withheld = place.enter(target="duty"), place.enter(target="duty", withheld="a circle")
    left = "What is being tried just now is left alone, and a suspended target gets nothing; see `gatewayd outbox list`.\n"
    for words in ([str(waits)], ["--withheld"]):
        said = place.outbox("retry", *words, "--operator", "acme")
        assert (said.code, said.err) == (1, f"0 deliveries due now.\n{left}")
    said = place.outbox("retry", "--parked", "--operator", "acme")
    assert (said.code, said.err) == (0, "0 deliveries due now: nothing is parked.\n")
    assert place.states(waits, withheld) == ["waiting", "waiting"]


def test_P6_another_operators_delivery_is_neither_tried_nor_cancelled(place: Desk) -> None:
    one = place.enter(operator="globetrot", withheld="a circle")
    assert place.outbox("retry", str(one), "--operator", "acme").code == 1
    assert place.outbox("cancel", str(one), "--operator", "acme").code == 1
    assert place.states(one) == ["withheld"]


def test_what_waits_is_cancelled_and_says_by_whom(place: Desk) -> None:
    one = place.enter()
    done = place.outbox("cancel", str(one), "--operator", "acme")
    assert (done.code, done.err) == (0, "1 delivery cancelled.\n")
    (row,) = place.outbox("list", "--operator", "acme", "--json").rows
    assert row["state"] == "cancelled"
    assert row["words"].startswith("cancelled by ")
    assert place.outbox("cancel", str(one), "--operator", "acme").code == 1


def test_a_suspended_target_gets_nothing_until_it_is_resumed(place: Desk) -> None:
    place.enter(target="duty")
    place.outbox("deliver")
    place.bounce("<gw.f.1@acme.example>")
    waits = place.enter(target="duty")
    assert place.outbox("deliver").err == "Nothing is due.\n"
    row = place.outbox("list", "--operator", "acme", "--json").rows[0]
    assert (row["id"], row["state"]) == (waits, "waiting")
    assert "5.1.1 no such user" in row["suspended"]
    listed = place.outbox("list", "--operator", "acme").out
    assert "suspended" in listed
    assert "target suspended: " in listed
    status = place.run("status")
    assert status.code == 1
    (line,) = [line for line in status.out.splitlines() if line.startswith("Target")]
    assert line.startswith("Target acme/duty gets nothing since ")
    assert "5.1.1 no such user" in line
    assert line.endswith("Once that is mended: `gatewayd outbox resume duty --operator acme`.")
    (row,) = [row for row in place.run("status", "--json").rows if row["type"] == "suspension"]
    assert (row["operator"], row["target"]) == ("acme", "duty")
    done = place.outbox("resume", "duty", "--operator", "acme")
    assert (done.code, done.err) == (0, "Target duty of operator acme gets deliveries again.\n")
    assert place.outbox("deliver").code == 0
    assert place.states(waits) == ["delivered"]
    assert place.outbox("resume", "duty", "--operator", "acme").code == 1


# --- status -----------------------------------------------------------------------------------------------------------


def test_P10_status_says_what_waits_and_what_needs_a_person(place: Desk) -> None:
    place.enter(withheld="a circle")
    assert "Outbox" not in place.run("status").out, "what is withheld needs nobody"
    place.server.says = {place.enter(operator="globetrot"): (("refused", "550 no"),)}
    place.outbox("deliver")
    place.enter()
    place.enter(operator="globetrot")
    place.enter(operator="globetrot")
    lines = [line for line in place.run("status").out.splitlines() if line.startswith("Outbox")]
    assert lines == [
        "Outbox: 1 delivery of acme waits.",
        "Outbox: 2 deliveries of globetrot wait, 1 need a person; see `gatewayd outbox list --operator globetrot`.",
    ]
    assert [row for row in place.run("status", "--json").rows if row["type"] == "outbox"] == [
        {"type": "outbox", "operator": "acme", "waiting": 1, "stuck": 0},
        {"type": "outbox", "operator": "globetrot", "waiting": 2, "stuck": 1},
    ]


def test_P10_status_names_targets_that_rules_send_too_much_to(place: Desk) -> None:
    assert isinstance(DAEMON, DaemonHealth)
    place.store.beat(DaemonHealth(holder="me", version="1", started_at=DAEMON.started_at, open_targets=("acme/duty",)))
    assert "  Rules send more to acme/duty than limits.forwards_per_hour" in place.run("status").out
    (row,) = [row for row in place.run("status", "--json").rows if row["type"] == "daemon"]
    assert row["open_targets"] == ["acme/duty"]
