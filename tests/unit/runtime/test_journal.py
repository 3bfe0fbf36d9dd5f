"""The log: one line for each event, in two layouts, that nothing from outside can forge, and without anything of the mail."""

from __future__ import annotations

import inspect
import io
import json
import logging
import os
import re
import threading
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    from pathlib import Path


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
    owner=None,
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
    owner=None,
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
    "notice_sent": (
        lambda: journal.notice_sent(begun=2, over=0, missed=1),
        ["warning administrators told begun=2 over=0 missed=1"],
    ),
    "notice_failed": (
        lambda: journal.notice_failed(TransientError("mx: connection refused", advice="Check `port`."), retry_in=60.0),
        ['error administrators not told retry_in=60.0 error=TransientError cause="mx: connection refused" advice="Check `port`."'],
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


# --- what comes from outside ------------------------------------------------------------------------------------------

HOSTILE = '\x00\x07\x1b[31m\x7f\x85\x9b\u200b\u200e\u202e\u2028\u2029\ufeff\ud800\udfff\ue000\U000e0001 ="\\\r\n<3>'
anything = (
    st.text(st.characters(categories=None)) | st.text(st.sampled_from(HOSTILE + "ab é中")) | st.just("x\n<0>forged account=a")
)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def joined(text: str) -> str:
    """JSON knows no two halves of a pair that are not that pair's character (RFC 8259 section 8.2)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def fields_of(line: str) -> list[tuple[str, str]]:
    """Read a plain line's fields back, as a person's script would."""
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return [(name, json.loads(value) if value.startswith('"') else value) for name, value in found]


@given(anything, anything)
def test_P9_a_value_from_outside_stays_one_field_of_one_line(folder: str, key: str) -> None:
    with logged() as log:
        journal.mail_filed("main", 1, folder=folder, key=key, size=1, operators=["a"], links=0, faults=0)
    text = log.getvalue()
    assert text.endswith("\n")
    line = text[:-1]
    assert not {char for char in line if unicodedata.category(char) in HIDDEN}
    expected = [("account", "main"), ("mail", "1"), ("folder", joined(folder)), ("key", joined(key)), ("size", "1")]
    expected = [one for one in expected if one[1]]
    assert fields_of(line)[: len(expected)] == expected
    assert len(fields_of(line)) == len(expected) + 3


@given(anything)
def test_P9_json_is_one_object_a_line_of_ascii_and_gives_the_value_back(folder: str) -> None:
    with logged("json") as log:
        journal.watch_started("main", folder=folder)
    text = log.getvalue()
    assert text.count("\n") == 1
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    assert json.loads(text).get("folder", "") == joined(folder)


def test_long_values_are_cut_and_long_lists_too() -> None:
    with logged("json") as log:
        journal.lease_lost("main", cause="x" * 5000)
        journal.mail_filed("main", 1, folder="I", key="1", size=1, operators=["o" * 2000] * 200, links=0, faults=0)
    first, second = map(json.loads, log.getvalue().splitlines())
    assert first["cause"] == "x" * 1000 + "…"
    assert len(second["operators"]) == 100
    assert len(second["operators"][0]) == 1000


def test_what_the_stream_can_not_encode_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as stream, logged(stream=stream):
        journal.watch_started("main", folder="Über")
    assert 'folder="' not in path.read_text()
    assert r"folder=\xdcber" in path.read_text()


# --- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["plain", "json"])
def test_lines_for_journald_have_a_priority_and_no_time(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    with os.fdopen(reading) as log, os.fdopen(writing, "w") as stream, logged(layout, stream=stream):
        journal.account_taken("main", epoch=1)
        journal.watch_started("main", folder="INBOX")
        journal.lease_lost("main", cause="gone")
        journal.breaker_opened(operator="acme", by="b")
        lines = [log.readline() for _ in range(4)]
    assert [line[:3] for line in lines] == ["<6>", "<7>", "<4>", "<3>"]
    if layout == "plain":
        assert lines[0] == "<6>account taken account=main epoch=1\n"
    else:
        assert json.loads(lines[0][3:])["event"] == "account taken"


def test_a_file_beside_journald_has_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with (tmp_path / "log").open("w") as stream, logged(stream=stream):
        journal.account_taken("main", epoch=1)
    assert (tmp_path / "log").read_text().startswith("20")


def test_without_being_configured_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    journal.breaker_opened(operator="acme", by="b")
    assert capfd.readouterr() == ("", "")


def test_configured_again_it_goes_to_the_new_stream_only() -> None:
    with logged() as first, logged() as second:
        journal.account_released("main")
    assert not first.getvalue()
    assert second.getvalue().count("\n") == 1


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


def test_what_others_log_to_our_own_logger_is_an_event_without_fields() -> None:
    with logged() as log:
        logging.getLogger("gatewayd").warning("plain words")
    assert log.getvalue().endswith("warning plain words\n")


def test_a_log_that_can_not_be_written_stops_nothing() -> None:
    stream = io.StringIO()
    with logged(stream=stream):
        stream.close()
        journal.breaker_opened(operator="acme", by="b")


def test_lines_of_many_threads_stay_whole() -> None:
    def speak(name: str) -> None:
        for number in range(200):
            journal.account_taken(name, epoch=number)

    with logged("json") as log:
        threads = [threading.Thread(target=speak, args=(name,)) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    for name in "abcdefgh":
        assert [one["epoch"] for one in lines if one["account"] == name] == list(range(200))
