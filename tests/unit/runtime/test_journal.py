"""The events of the log: one line for each, in two layouts, without anything of the mail."""

from __future__ import annotations

import inspect
import json
import logging
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import (
    Answer,
    AuthError,
    ConfigError,
    Delivery,
    DeliveryView,
    Fault,
    Recipient,
    Settled,
    Suspension,
    Taken,
    Tally,
    Task,
    TransientError,
)
from gatewayd.message.mail import BytesSource
from gatewayd.runtime import journal
from tests.unit.log import logged

if TYPE_CHECKING:
    from collections.abc import Callable


class Odd(Exception):
    """What a plugin raises, quoting the mail."""


def fail() -> None:
    raise Odd("Re: my secret journey")


def raised() -> Odd:
    try:
        fail()
    except Odd as caught:
        return caught
    raise AssertionError


AWAY = TransientError("mail.example:993: connection refused", advice="Check `port`, and that the server runs.")

REFUSED = AuthError("anna was refused", advice="Correct the password.")

BUG = raised()

AT = f"test_journal.py:{fail.__code__.co_firstlineno + 1}"

FAULT = Fault(file="accounts/a.yaml", line=3, column=7, what="unknown key 'hots', did you mean 'host'?")

QUIET = Answer(account="main")

BUSY = Answer(
    account="main", listed=4, tally=Tally(filed=3, duplicate=1), settled=2, problems=("Inbx: no such folder",), notes=("row 7",)
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

DELIVERY = Delivery(forwarder="smtp", account="out", target="duty", to=("secret@example.com",), cause="rule 1", message_id="<1@x>")

RECIPIENTS = (Recipient(address="secret@example.com"),)

TAKEN = Taken(
    id=7,
    operator="acme",
    user=None,
    mail_id=17,
    delivery=DELIVERY,
    recipients=RECIPIENTS,
    source=BytesSource(b""),
    entered_at=NOON,
    tries=2,
)

SETTLED = (
    Settled(id=7, tries=2, state="delivered"),
    Settled(id=7, tries=2, state="waiting", words="451 secret@example.com is busy", due_in=240.0),
    Settled(id=7, tries=2, state="parked", words="550 no secret@example.com here"),
)

WAITS = DeliveryView(
    id=7,
    operator="acme",
    user=None,
    mail_id=17,
    subject="Re: secret",
    delivery=DELIVERY,
    recipients=RECIPIENTS,
    state="waiting",
    words="451 secret@example.com is busy",
    tries=2,
    entered_at=NOON,
    due_at=NOON,
    ended_at=None,
)

OF = 'destination="account out" delivery=7 mail=17 operator=acme'

LIST = 'advice="See `gatewayd outbox list`."'

RESUME = 'advice="See `gatewayd status`, then `gatewayd outbox resume duty --operator acme`."'

BECAUSE = 'error=TransientError cause="mail.example:993: connection refused" advice="Check `port`, and that the server runs."'


def _settled() -> None:
    for one in SETTLED:
        journal.delivery_settled("account out", TAKEN, one)


#: Every event: what says it, with its lines as level and text.
EVENTS: dict[str, tuple[Callable[[], None], list[str]]] = {
    "daemon_started": (
        lambda: journal.daemon_started(owner="me", version="1.0", accounts=3, workers=2),
        ["info daemon started owner=me version=1.0 accounts=3 workers=2"],
    ),
    "daemon_stopping": (lambda: journal.daemon_stopping(why="SIGTERM"), ["info daemon stopping why=SIGTERM"]),
    "daemon_stopped": (lambda: journal.daemon_stopped(seconds=1.23456), ["info daemon stopped seconds=1.235"]),
    "config_loaded": (
        lambda: journal.config_loaded(accounts=3, operators=2, faults=[FAULT], last_accepted=["accounts/a.yaml"]),
        [
            "info config loaded accounts=3 operators=2 faults=1",
            "error config fault place=accounts/a.yaml:3:7 what=\"unknown key 'hots', did you mean 'host'?\" runs=\"as last accepted\"",
        ],
    ),
    "config_refused": (
        lambda: journal.config_refused(ConfigError("gatewayd.yaml is faulty"), [FAULT] * 22),
        ['error config refused faults=22 cause="gatewayd.yaml is faulty"']
        + ["error config fault place=accounts/a.yaml:3:7 what=\"unknown key 'hots', did you mean 'host'?\""] * 20
        + ['error config has further faults faults=2 advice="See `gatewayd check`."'],
    ),
    "config_exposed": (
        lambda: journal.config_exposed((Fault(file="plugins", what="everybody may change it"),)),
        ['warning config exposed place=plugins what="everybody may change it"'],
    ),
    "config_waits_for_restart": (
        lambda: journal.config_waits_for_restart(("state", "limits")),
        ['warning config waits for a restart keys="state, limits"'],
    ),
    "plugin_tried": (
        lambda: journal.plugin_tried("vouchers", "plugins/v.py"),
        ["info plugin tried plugin=vouchers source=plugins/v.py"],
    ),
    "plugin_imported": (
        lambda: journal.plugin_imported("vouchers", "plugins/v.py"),
        ["info plugin imported plugin=vouchers source=plugins/v.py"],
    ),
    "plugin_refused": (
        lambda: journal.plugin_refused("vouchers", TransientError("it says so", advice="Ask it.")),
        ['error plugin refused plugin=vouchers cause="it says so" advice="Ask it."'],
    ),
    "user_left": (lambda: journal.user_left("acme", "irina"), ["warning user left operator=acme user=irina"]),
    "renamed": (
        lambda: journal.renamed("account", old="sales", new="bookings", kept=17),
        ["info renamed kind=account old=sales new=bookings kept=17"],
    ),
    "notice_sent": (
        lambda: journal.notice_sent(begun=2, over=0, missed=1),
        ["warning administrators told begun=2 over=0 missed=1"],
    ),
    "notice_failed": (
        lambda: journal.notice_failed(TransientError("mx: connection refused", advice="Check `port`."), retry_in=60.0),
        ['error administrators not told retry_in=60.0 error=TransientError cause="mx: connection refused" advice="Check `port`."'],
    ),
    "credential_ends": (
        lambda: journal.credential_ends("acme365", day=date(2027, 3, 1), advice="Make a new one."),
        ['warning credential ends credential=acme365 day=2027-03-01 advice="Make a new one."'],
    ),
    "credentials_changed": (
        lambda: journal.credentials_changed("!credential sales", files=["accounts/a.yaml", "accounts/b.yaml"]),
        ['info credentials changed what="!credential sales" files=accounts/a.yaml,accounts/b.yaml'],
    ),
    "rematched": (
        lambda: journal.rematched("acme", by="vouchers", done=5, mended=3),
        ["info matched again operator=acme by=vouchers done=5 mended=3"],
    ),
    "rematch_failed": (
        lambda: journal.rematch_failed("acme", AWAY, by="vouchers"),
        [f"warning could not match again operator=acme by=vouchers {BECAUSE}"],
    ),
    "account_taken": (lambda: journal.account_taken("main", epoch=7), ["info account taken account=main epoch=7"]),
    "account_released": (lambda: journal.account_released("main"), ["info account released account=main"]),
    "account_changed": (lambda: journal.account_changed("main"), ["info account changed account=main"]),
    "account_condition": (
        lambda: journal.account_condition("main", before="working", condition="watching"),
        ["debug account condition account=main before=working condition=watching"],
    ),
    "account_healed": (
        lambda: journal.account_healed("main", failures=3),
        ["info account well again account=main failures=3"],
    ),
    "account_backs_off": (
        lambda: journal.account_backs_off("main", AWAY, retry_in=7.0, failures=2),
        [f"warning account backs off account=main retry_in=7.0 failures=2 {BECAUSE}"],
    ),
    "account_paused": (
        lambda: journal.account_paused("main", REFUSED, retry_in=900),
        ['error account paused account=main retry_in=900 error=AuthError cause="anna was refused" advice="Correct the password."'],
    ),
    "watch_started": (
        lambda: journal.watch_started("main", folder="Über uns"),
        ['debug watch started account=main folder="Über uns"'],
    ),
    "watch_lost": (
        lambda: journal.watch_lost("main", BUG, folder="INBOX"),
        [f"info watch lost account=main folder=INBOX error=Odd at={AT}"],
    ),
    "lease_lost": (
        lambda: journal.lease_lost("main", cause="another has it"),
        ['warning lease lost account=main cause="another has it"'],
    ),
    "visit_done": (
        lambda: journal.visit_done(BUSY, seconds=0.5),
        [
            "info visit done account=main listed=4 settled=2 filed=3 duplicate=1 not_admitted=0 vanished=0 deferred=0 seconds=0.5",
            'warning visit problem account=main text="Inbx: no such folder"',
            'warning visit note account=main text="row 7"',
        ],
    ),
    "mail_filed": (
        lambda: journal.mail_filed("main", 17, folder="INBOX", key="7:12", size=2048, operators=["a", "b"], links=2, faults=0),
        ["info mail filed account=main mail=17 folder=INBOX key=7:12 size=2048 operators=a,b links=2 faults=0"],
    ),
    "mail_failed": (
        lambda: journal.mail_failed("main", 17, operator="a", by="vouchers", error="KeyError: 'Re: secret' (vouchers.py:12)"),
        ["warning mail failed account=main mail=17 operator=a by=vouchers error=KeyError at=vouchers.py:12"],
    ),
    "worker_replaced": (
        lambda: journal.worker_replaced(operator="a", by="vouchers", cause="it took longer than 10 s"),
        ['error worker replaced operator=a by=vouchers cause="it took longer than 10 s"'],
    ),
    "directory_loaded": (
        lambda: journal.directory_loaded("a", rows=812, faults=2, warnings=0),
        ["info directory loaded operator=a rows=812 faults=2 warnings=0"],
    ),
    "directory_failed": (
        lambda: journal.directory_failed("a", cause="it is gone", answers=True),
        [
            'error directory failed operator=a cause="it is gone" uses="what was there before" advice="See `gatewayd status` and `gatewayd check`."'
        ],
    ),
    "directory_healed": (lambda: journal.directory_healed("a"), ["info directory well again operator=a"]),
    "directory_fault": (
        lambda: journal.directory_fault("a", [f"persons.csv:{line}:faulty" for line in range(22)]),
        [
            *(f"warning directory fault operator=a text=persons.csv:{line}:faulty" for line in range(20)),
            "warning directory has further faults operator=a faults=2",
        ],
    ),
    "breaker_opened": (
        lambda: journal.breaker_opened(operator="a", by="b"),
        ['error breaker opened operator=a by=b advice="See `gatewayd queue causes`."'],
    ),
    "breaker_closed": (lambda: journal.breaker_closed(operator="a", by="b"), ["info breaker closed operator=a by=b"]),
    "observer_failed": (
        lambda: journal.observer_failed("p", KeyError("never raised"), hook="h"),
        ["warning observer failed plugin=p hook=h error=KeyError"],
    ),
    "observer_hangs": (
        lambda: journal.observer_hangs("p", hook="h", seconds=30, given_up=True),
        ["error observer hangs plugin=p hook=h seconds=30"],
    ),
    "observer_returned": (
        lambda: journal.observer_returned("p", hook="h", seconds=31),
        ["info observer returned plugin=p hook=h seconds=31"],
    ),
    "events_dropped": (lambda: journal.events_dropped(9), ["warning events dropped events=9"]),
    "request_taken": (
        lambda: journal.request_taken(4, "main", Task(from_beginning=True, operator="a", keys=("1", "2"))),
        ["info request taken account=main request=4 from_beginning=True operator=a keys=2"],
    ),
    "request_answered": (
        lambda: journal.request_answered(4, Answer(account="main", error="connection lost"), seconds=2),
        ['warning request answered account=main request=4 seconds=2 cause="connection lost"'],
    ),
    "store_away": (lambda: journal.store_away(AWAY), [f"error store away {BECAUSE}"]),
    "store_back": (lambda: journal.store_back(seconds=3.0), ["info store back seconds=3.0"]),
    "store_new": (
        lambda: journal.store_new(state="/var/lib/gatewayd"),
        [
            'warning store new state=/var/lib/gatewayd advice="If there was mail in a database, stop gatewayd, and restore its backup first."'
        ],
    ),
    "metrics_failed": (lambda: journal.metrics_failed(AWAY), [f"error metrics not served {BECAUSE}"]),
    "web_calls_failed": (lambda: journal.web_calls_failed(AWAY), [f"error web calls not answered {BECAUSE}"]),
    "delivery_settled": (
        _settled,
        [
            f"info delivered {OF} target=duty recipients=1 tries=3",
            f"info delivery later {OF} target=duty tries=3 retry_in=240.0",
            f"warning delivery parked {OF} target=duty tries=3 {LIST}",
        ],
    ),
    "delivery_withheld": (
        lambda: journal.delivery_withheld("main", 17, operator="acme", target="duty"),
        [
            'info delivery withheld account=main mail=17 operator=acme target=duty advice="See `gatewayd outbox list --state withheld`."'
        ],
    ),
    "delivery_overdue": (
        lambda: journal.delivery_overdue(WAITS),
        ['warning delivery overdue delivery=7 mail=17 operator=acme target=duty tries=2 advice="See `gatewayd outbox list`."'],
    ),
    "destination_failed": (
        lambda: journal.destination_failed("account out", AWAY, retry_in=7.0, failures=2),
        [f'warning destination failed destination="account out" retry_in=7.0 failures=2 {BECAUSE}'],
    ),
    "destination_healed": (
        lambda: journal.destination_healed("account out", failures=3),
        ['info destination well again destination="account out" failures=3'],
    ),
    "outbox_waits": (lambda: journal.outbox_waits(AWAY), [f"warning outbox waits for the store {BECAUSE}"]),
    "target_suspended": (
        lambda: journal.target_suspended(
            Suspension(operator="acme", target="duty", since=NOON, cause="secret@example.com: 5.1.1 unknown")
        ),
        [
            f"error target suspended operator=acme target=duty {RESUME}",
        ],
    ),
    "own_fault": (
        lambda: journal.own_fault("clock", BUG, account="main"),
        [f"error own fault room=clock account=main error=Odd at={AT}"],
    ),
}


def test_every_event_is_tried_below() -> None:
    said = {name for name, one in vars(journal).items() if inspect.isfunction(one) and not name.startswith("_")}
    assert said - {"configure", "place", "write", "cause_of"} == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_event_in_plain_words(name: str) -> None:
    say, expected = EVENTS[name]
    with logged() as log:
        say()
    lines = log.getvalue().splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) ", line) for line in lines)
    assert [re.sub(" +", " ", line.partition(" ")[2]) for line in lines] == expected


@pytest.mark.parametrize("name", EVENTS)
def test_event_as_json_says_the_same(name: str) -> None:
    say, expected = EVENTS[name]
    with logged("json") as log:
        say()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) == len(expected)
    for line, plain in zip(lines, expected, strict=True):
        level, rest = plain.split(" ", 1)
        assert line.pop("level") == level
        assert re.fullmatch(r"20\d\d-.*Z", line.pop("ts"))
        event = line.pop("event")
        assert rest.startswith(event)
        assert [re.escape(key) for key in line] == re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", rest.removeprefix(event)))


@pytest.mark.parametrize("layout", ["plain", "json"])
def test_P9_nothing_of_a_mail_and_no_password_is_in_any_line(layout: Any) -> None:
    with logged(layout) as log:
        for say, _ in EVENTS.values():
            say()
    assert log.getvalue().count("\n") > len(EVENTS)
    assert "secret" not in log.getvalue()


def test_a_visit_in_which_nothing_happened_is_for_debug_only() -> None:
    with logged(level="info") as log:
        journal.visit_done(QUIET, seconds=0.1)
    assert not log.getvalue()
    with logged() as log:
        journal.visit_done(QUIET, seconds=0.1)
    assert "debug   visit done account=main" in log.getvalue()


def test_what_a_visit_finds_wrong_again_is_for_debug_only() -> None:
    wrong = Answer(account="main", problems=("there is no folder Archiv",))
    with logged(level="info") as log:
        journal.visit_done(wrong, seconds=0.1)
        journal.visit_done(wrong, seconds=0.1, again=True)
    assert log.getvalue().count("there is no folder Archiv") == 1


def test_a_stop_that_abandoned_visits_is_a_warning() -> None:
    with logged() as log:
        journal.daemon_stopped(seconds=5, abandoned=2)
    assert "warning daemon stopped seconds=5 abandoned=2" in log.getvalue()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("ValueError: my subject (file.py:3)", "error=ValueError at=file.py:3"),
        ("StopIteration", "error=StopIteration"),
        ("re.error: bad (x.py:1)", "at=x.py:1"),
        ("Anna Smith: hello", ""),
        ("Error of Anna: hello (at 7:30)", ""),
        ("no answer (anna@example.com:3) at all", ""),
        ("", ""),
    ],
)
def test_P9_of_a_failed_mail_only_class_and_place_are_told(error: str, told: str) -> None:
    with logged() as log:
        journal.mail_failed("main", 1, operator="acme", by="vouchers", error=error)
    assert log.getvalue().rstrip().partition("by=vouchers")[2].strip() == told


def test_warnings_of_libraries_are_lines_of_ours() -> None:
    with logged("json") as log:
        logging.getLogger("some.library").info("not shown")
        logging.getLogger("some.library").warning("two\nlines of %s", "text")
        try:
            fail()
        except Odd:
            logging.getLogger("some.library").exception("it failed")
    first, second = map(json.loads, log.getvalue().splitlines())
    assert first | {"ts": ""} == {
        "ts": "",
        "level": "warning",
        "event": "library speaks",
        "logger": "some.library",
        "text": "two\nlines of text",
    }
    assert second["error"] == "Odd"
    assert second["at"].startswith("test_journal.py:")
    assert "secret" not in log.getvalue()
