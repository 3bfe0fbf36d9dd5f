"""What the daemon says of its work, at once to the log, the metrics and the observers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import (
    AccountHealth,
    Answer,
    Contents,
    Delivery,
    FilingFault,
    LeaseLost,
    Recipient,
    Settled,
    Suspension,
    Taken,
    Tally,
    TransientError,
    config,
)
from gatewayd.api.events import AccountChanged, ConfigLoaded, DeliverySettled, Event, MailFailed, MailFiled
from gatewayd.api.ledger import Filed
from gatewayd.daemon.alarms import Alarms
from gatewayd.daemon.event_reporting import EventReporter
from gatewayd.daemon.observers import Observers
from gatewayd.matching.directory_looks import directory_look
from gatewayd.matching.values import DirectoryCheck
from gatewayd.message.mail import BytesSource, parse
from gatewayd.registry import loading
from gatewayd.runtime.metrics import Metrics
from gatewayd.testing import make_record
from gatewayd.testing.contracts.custodian import make_filing, make_raw
from tests.e2e.house import House
from tests.unit.log import logged

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.api.directory import DirectoryLook

RAW = make_raw(1, subject="My secret journey")
NOON = datetime.now(UTC)


class Ears(Observers):
    """Observers that only remember."""

    def __init__(self) -> None:
        super().__init__(loading.Registry(plugins=(), _classes={}))
        self.heard: list[Event] = []

    def tell(self, event: Event) -> None:
        self.heard.append(event)


class Hall:
    """A reporter, and all that hear it."""

    def __init__(self, log: io.StringIO) -> None:
        self.log = log
        self.metrics = Metrics(version="1")
        self.ears = Ears()
        self.alarms = Alarms()
        self.reporter = EventReporter(self.metrics, self.ears, self.alarms)

    @property
    def lines(self) -> list[str]:
        return [line.split(maxsplit=2)[2] for line in self.log.getvalue().splitlines()]

    def number(self, beginning: str) -> float:
        """The value of the one sample that begins so."""
        (line,) = [line for line in self.metrics.text().splitlines() if line.startswith(f"gatewayd_{beginning} ")]
        return float(line.split()[-1])


@pytest.fixture
def hall() -> Iterator[Hall]:
    with logged() as log:
        yield Hall(log)


def mail(*faults: FilingFault, backlog: bool = False, arrival: datetime | None = NOON) -> Filed:
    filings = (make_filing("acme", links=[make_record("customer", "C1")], faults=faults), make_filing("globetrot"))
    view = parse(BytesSource(RAW), mail_id=17, received_at=arrival)
    return Filed(entry_id=17, mail=view, digest=b"", filings=filings, key="7:12", backlog=backlog)


def test_a_filed_mail_is_a_line_a_number_and_an_event(hall: Hall) -> None:
    one = mail()
    hall.reporter.mails_filed("main", "INBOX", [one])
    size = len(RAW)
    assert hall.lines == [
        f"mail filed account=main mail=17 folder=INBOX key=7:12 size={size} operators=acme,globetrot links=1 faults=0"
    ]
    assert hall.number("bytes_total") == size
    assert hall.number("lag_seconds_count") == 1
    (event,) = hall.ears.heard
    expected = MailFiled(
        account="main",
        folder="INBOX",
        key="7:12",
        mail_id=17,
        size=size,
        received_at=NOON,
        backlog=False,
        filings=one.filings,
    )
    assert event == expected
    assert isinstance(event, MailFiled)
    assert (event.operators, event.user) == (("acme", "globetrot"), None)


@pytest.mark.parametrize(("backlog", "arrival"), [(True, NOON - timedelta(days=900)), (False, None)])
def test_backlog_and_mail_without_arrival_have_no_lag(hall: Hall, backlog: bool, arrival: datetime | None) -> None:  # noqa: FBT001  a parameter
    hall.reporter.mails_filed("main", "INBOX", [mail(backlog=backlog, arrival=arrival)])
    assert hall.number("lag_seconds_count") == 0
    assert hall.number('mails_total{outcome="filed"}') == 1


def test_P9_a_fault_is_a_line_without_its_text_a_number_and_an_event(hall: Hall) -> None:
    error = "ValueError: My secret journey (vouchers.py:12)"
    hall.reporter.mails_filed("main", "INBOX", [mail(FilingFault("vouchers", error))])
    assert hall.lines[1] == "mail failed account=main mail=17 operator=acme by=vouchers error=ValueError at=vouchers.py:12"
    assert "secret" not in hall.log.getvalue()
    assert hall.number('filing_faults_total{by="vouchers"}') == 1
    assert hall.ears.heard[1] == MailFailed(account="main", mail_id=17, operator="acme", by="vouchers", error=error)


@pytest.mark.parametrize(
    ("error", "result", "kind"),
    [(None, "done", ""), (TransientError("away"), "failed", "TransientError"), (LeaseLost("gone"), "held", "LeaseLost")],
)
def test_a_visit_is_counted_by_its_result(hall: Hall, error: TransientError | None, result: str, kind: str) -> None:
    hall.reporter.visit_ended(Answer(account="main", tally=Tally(filed=3, duplicate=2)), error, seconds=1.5, again=False)
    assert hall.number(f'visits_total{{result="{result}"}}') == 1
    assert hall.number("visit_seconds_sum") == 1.5
    assert hall.number('mails_total{outcome="duplicate"}') == 2
    assert 'outcome="filed"' not in hall.metrics.text()
    assert not kind or hall.number(f'faults_total{{class="{kind}"}}') == 1


def test_a_changed_account_is_an_event(hall: Hall) -> None:
    health = AccountHealth(account="main", holder="me", condition="paused")
    hall.reporter.account_changed(health, "watching")
    assert hall.ears.heard == [AccountChanged(health=health, before="watching")]


def test_a_worker_that_ended_is_a_line_and_a_number_and_breakers_are_lines(hall: Hall) -> None:
    events = hall.reporter
    events.worker_replaced("acme", "vouchers", "it took longer than 10 s")
    events.breaker_changed("acme", "vouchers", "opened")
    events.breaker_changed("acme", "vouchers", "closed")
    assert [line.partition(" operator=acme by=vouchers")[0] for line in hall.lines] == [
        "worker replaced",
        "breaker opened",
        "breaker closed",
    ]
    assert hall.number("worker_deaths_total") == 1


def test_a_config_that_was_taken_over_is_lines_and_an_event(hall: Hall, tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme", matchers="[contacts]")
    house.account("sales", "imap", 1, "anna")
    house.write("accounts/bad.yaml", "kind: imap\nhots: x\n")
    loaded = config.load(house.folder)
    hall.reporter.config_loaded(loaded)
    assert hall.lines[0] == f"config loaded accounts=1 operators=1 faults={len(loaded.faults)}"
    assert hall.lines[1].startswith("config fault place=accounts/bad.yaml:")
    assert hall.ears.heard == [ConfigLoaded(accounts=("sales",), operators=("acme",), faults=loaded.faults)]


def taken() -> Taken:
    delivery = Delivery(forwarder="smtp", account="out", to=("duty@example.com",), cause="rule 2", message_id="<1@example.com>")
    return Taken(
        id=7,
        operator="acme",
        user=None,
        mail_id=17,
        delivery=delivery,
        recipients=(Recipient(address="duty@example.com"),),
        source=BytesSource(RAW),
        entered_at=NOON,
        tries=0,
    )


def test_P7_a_delivery_that_came_to_its_end_is_a_line_a_number_and_an_event(hall: Hall) -> None:
    settled = hall.reporter.delivery_settled
    settled("account out", taken(), Settled(id=7, tries=0, state="waiting", words="451 busy", due_in=60))
    assert hall.ears.heard == []
    settled("account out", taken(), Settled(id=7, tries=1, state="parked", words="550 no such user"))
    settled("account out", taken(), Settled(id=7, tries=1, state="delivered"))
    about = {"delivery_id": 7, "operator": "acme", "mail_id": 17, "goal": "duty@example.com", "cause": "rule 2"}
    assert hall.ears.heard == [
        DeliverySettled(**about, state="parked", words="550 no such user"),  # type: ignore[arg-type]
        DeliverySettled(**about, state="delivered"),  # type: ignore[arg-type]
    ]
    assert [hall.number(f'deliveries_total{{state="{state}"}}') for state in ("waiting", "parked", "delivered")] == [1, 1, 1]
    assert [line.partition(" destination=")[0] for line in hall.lines] == ["delivery later", "delivery parked", "delivered"]


def test_a_suspended_target_is_a_line(hall: Hall) -> None:
    hall.reporter.targets_suspended([Suspension(operator="acme", target="duty", since=NOON, cause="5.1.1 no such user")])
    (line,) = hall.lines
    assert line.startswith("target suspended operator=acme target=duty")


def test_a_directory_is_told_when_it_is_loaded_fails_and_is_well_again(hall: Hall) -> None:
    def look(version: str, outdated: str = "", *faults: str) -> None:
        contents = Contents(version=version, outdated=outdated, rows=(("persons.csv", 12),), faults=faults)
        check = DirectoryCheck(faults=(*faults, outdated) if outdated else faults, contents=contents)
        looks.append(directory_look("acme", check, NOON, looks[-1] if looks else None))
        hall.reporter.directory_looked_at(looks[-1])

    looks: list[DirectoryLook] = []
    fault = "persons.csv:3: the id is missing"
    look("1", "", fault)
    look("1", "", fault)
    look("1", "contacts.csv: the file is gone", fault)
    look("1", "contacts.csv: the file is gone", fault)
    assert [one.alarm.error for one in hall.alarms.standing()] == ["contacts.csv: the file is gone"]
    look("1", "", fault)
    assert hall.alarms.standing() == []
    look("2")
    advice = 'advice="See `gatewayd status` and `gatewayd check`."'
    assert hall.lines == [
        "directory loaded operator=acme rows=12 faults=1 warnings=0",
        f'directory fault operator=acme text="{fault}"',
        f'directory failed operator=acme cause="contacts.csv: the file is gone" uses="what was there before" {advice}',
        "directory well again operator=acme",
        "directory loaded operator=acme rows=12 faults=0 warnings=0",
    ]


def test_a_directory_that_is_gone_from_the_config_is_no_alarm_any_more(hall: Hall, tmp_path: Path) -> None:
    hall.reporter.directory_looked_at(directory_look("acme", DirectoryCheck(faults=("away",), failed=True), NOON, None))
    assert [one.alarm.name for one in hall.alarms.standing()] == ["acme"]
    house = House(tmp_path)
    house.operator("nord")
    hall.reporter.config_loaded(config.load(house.folder))
    assert hall.alarms.standing() == []


def test_a_directory_that_is_gone_from_its_operators_file_is_no_alarm_any_more(hall: Hall, tmp_path: Path) -> None:
    hall.reporter.directory_looked_at(directory_look("acme", DirectoryCheck(faults=("away",), failed=True), NOON, None))
    house = House(tmp_path)
    house.operator("acme")
    (house.folder / "operators/acme.yaml").write_text("title: Acme\n")
    hall.reporter.config_loaded(config.load(house.folder))
    assert hall.alarms.standing() == []
