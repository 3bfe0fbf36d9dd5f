"""Numbers for Prometheus: right, bounded in their labels, and served without ever being held up for long."""

from __future__ import annotations

import socket
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gatewayd import AccountHealth, AuthError, ConfigError, GatewaydError, LeaseLost, Lengths, Tally, TransientError
from gatewayd.runtime import metrics
from gatewayd.runtime.metrics import Metrics
from tests.patience import AT_ONCE, LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd import Condition
    from gatewayd.runtime.metrics import MetricsServer

Labels = tuple[tuple[str, str], ...]
NONE = Lengths(waiting={}, queued={}, undelivered={}, stuck={})


def read(text: str) -> dict[tuple[str, Labels], float]:
    """Every sample by name and labels, as Prometheus reads them."""
    return {
        (sample.name.removeprefix("gatewayd_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(made: Metrics, name: str, **labels: str) -> float:
    return read(made.text())[name, tuple(sorted(labels.items()))]


def labelled(made: Metrics, name: str) -> dict[str, float]:
    """The samples of a family with one label, by that label's value."""
    return {labels[0][1]: number for (found, labels), number in read(made.text()).items() if found == name}


def health(account: str, condition: Condition = "watching", *, age: float | None = 0) -> AccountHealth:
    checked = None if age is None else datetime.now(UTC) - timedelta(seconds=age)
    return AccountHealth(account=account, holder="me", condition=condition, checked_at=checked)


@pytest.fixture
def made() -> Metrics:
    return Metrics(version="1.2.3")


def test_mails_are_counted_by_what_became_of_them(made: Metrics) -> None:
    made.filed(5000, lag=None)
    made.filed(100, lag=1)
    made.ended(Tally(filed=3, duplicate=1, deferred=2))
    made.ended(Tally(filed=1, not_admitted=4, vanished=5))
    assert labelled(made, "mails_total") == {"filed": 2, "duplicate": 1, "not admitted": 4, "vanished": 5, "deferred": 2}
    assert value(made, "bytes_total") == 5100


def test_visits_are_counted_and_timed(made: Metrics) -> None:
    made.visited("done", seconds=0.2)
    made.visited("failed", seconds=70)
    assert labelled(made, "visits_total") == {"done": 1, "failed": 1}
    assert value(made, "visit_seconds_sum") == pytest.approx(70.2)


def test_faults_are_counted_by_class_and_no_plugin_can_add_labels(made: Metrics) -> None:
    class Own(TransientError):
        pass

    for error in (
        AuthError("a"),
        LeaseLost("b"),
        TransientError("c"),
        TransientError("d"),
        Own("e"),
        GatewaydError("f"),
        KeyError(),
    ):
        made.fault(error)
    expected = {"AuthError": 1, "LeaseLost": 1, "TransientError": 3, "GatewaydError": 1, "other": 1}
    assert labelled(made, "faults_total") == expected
    made.filing_fault("vouchers")
    assert value(made, "filing_faults_total", by="vouchers") == 1


def test_lag_has_buckets_from_50_ms_to_an_hour(made: Metrics) -> None:
    for seconds in (0.01, 0.3, 4000, -5, None):
        made.filed(1, lag=seconds)
    assert value(made, "lag_seconds_bucket", le="0.05") == 2
    assert value(made, "lag_seconds_bucket", le="0.4") == 3
    assert value(made, "lag_seconds_bucket", le="3600.0") == 3
    assert value(made, "lag_seconds_count") == 4


def test_accounts_are_counted_by_condition(made: Metrics) -> None:
    made.told([health("a"), health("b"), health("c", "paused")], NONE)
    assert labelled(made, "accounts") == {"watching": 2, "paused": 1}
    made.told([health("a")], NONE)
    assert labelled(made, "accounts") == {"watching": 1}


def test_P10_the_oldest_check_grows_by_itself_and_does_not_count_what_is_disabled(made: Metrics) -> None:
    assert value(made, "oldest_check_seconds") == 0
    made.told([health("a", age=5), health("b", age=60), health("c", "disabled", age=9999)], NONE)
    first = value(made, "oldest_check_seconds")
    assert 60 <= first < 70
    time.sleep(0.02)
    assert value(made, "oldest_check_seconds") > first


def test_P10_an_account_that_was_never_checked_is_as_old_as_the_daemon(made: Metrics) -> None:
    made._since -= timedelta(seconds=300)
    made.told([health("a", age=5), health("b", "paused", age=None)], NONE)
    assert value(made, "oldest_check_seconds") >= 300


def test_P10_a_visit_that_does_not_end_grows_ever_older(made: Metrics) -> None:
    made.told([replace(health("a"), due_at=datetime.now(UTC) - timedelta(hours=9))], NONE)
    assert value(made, "oldest_visit_seconds") == 0
    began = [datetime.now(UTC) - timedelta(seconds=seconds) for seconds in (5, 60)]
    made.told([replace(health(str(when), "working"), working_since=when) for when in began], NONE)
    first = value(made, "oldest_visit_seconds")
    assert 60 <= first < 70
    time.sleep(0.02)
    assert value(made, "oldest_visit_seconds") > first
    # By the clock of another machine it begins only in a minute.
    made.told([replace(health("a", "working"), working_since=datetime.now(UTC) + timedelta(minutes=1))], NONE)
    assert value(made, "oldest_visit_seconds") == 0


def test_the_day_on_which_the_first_secret_ends_comes_nearer(made: Metrics) -> None:
    assert not any(family.name == "gatewayd_secret_days" for family in made.collect())
    today = datetime.now(UTC).date()
    made.secret(today + timedelta(days=12))
    # It may be midnight just now.
    assert value(made, "secret_days") in (11, 12)
    made.secret(today - timedelta(days=2))
    assert value(made, "secret_days") in (-3, -2)


def test_what_waits_has_a_sum_the_worst_and_the_oldest(made: Metrics) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=90)
    waiting = {"a": (3, datetime.now(UTC)), "b": (7, long_ago)}
    made.told([health("a"), health("b")], Lengths(waiting=waiting, queued={"acme": 2}, undelivered={"acme": 5}, stuck={"acme": 1}))
    assert value(made, "waiting") == 10
    assert value(made, "waiting_worst") == 7
    assert value(made, "oldest_waiting_seconds") >= 90
    assert labelled(made, "account_waiting") == {"a": 3, "b": 7}
    assert labelled(made, "queue_length") == {"acme": 2}
    assert labelled(made, "outbox_waiting") == {"acme": 5}
    assert labelled(made, "outbox_stuck") == {"acme": 1}


@pytest.mark.parametrize(("accounts", "waiting"), [(101, 1), (1, 101)])
def test_P8_labels_are_bounded(made: Metrics, accounts: int, waiting: int) -> None:
    now = datetime.now(UTC)
    many = {f"o{number}": 2 for number in range(101)}
    lengths = Lengths(
        waiting={f"a{number}": (1, now) for number in range(waiting)},
        queued=many,
        undelivered=many,
        stuck=dict(list(many.items())[1:]),
    )
    made.told([health(f"a{number}") for number in range(accounts)], lengths)
    assert labelled(made, "account_waiting") == {}
    assert value(made, "waiting") == waiting
    assert labelled(made, "queue_length") == labelled(made, "outbox_waiting") == {"": 202}
    assert labelled(made, "outbox_stuck") == dict.fromkeys(lengths.stuck, 2), "100 have a label each"


def test_workers_events_and_version(made: Metrics) -> None:
    made.workers(2)
    made.worker_died()
    made.dropped(7)
    assert value(made, "workers") == 2
    assert value(made, "worker_deaths_total") == 1
    assert value(made, "events_dropped_total") == 7
    assert value(made, "build_info", version="1.2.3") == 1


def test_two_daemons_in_one_process_share_nothing() -> None:
    one, other = Metrics(version="1"), Metrics(version="2")
    one.workers(5)
    assert value(other, "workers") == 0


# --- serving ----------------------------------------------------------------------------------------------------------


def run(server: MetricsServer) -> Thread:
    thread = Thread(target=server.run)
    thread.start()
    return thread


@pytest.fixture
def server(made: Metrics) -> Iterator[MetricsServer]:
    listening = made.serve("127.0.0.1", 0)
    thread = run(listening)
    yield listening
    listening.close()
    thread.join(AT_ONCE)
    assert not thread.is_alive()


def got(port: int, host: str = "127.0.0.1") -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=LONG) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return str(answer.read().decode())


def test_it_answers_with_all_numbers_and_says_nothing(
    made: Metrics, server: MetricsServer, capfd: pytest.CaptureFixture[str]
) -> None:
    made.workers(3)
    assert read(got(server.port))["workers", ()] == 3
    made.workers(4)
    assert read(got(server.port)) == read(made.text())
    assert capfd.readouterr() == ("", "")


def test_it_answers_on_ipv6_too(made: Metrics) -> None:
    listening = made.serve("::1", 0)
    thread = run(listening)
    assert "gatewayd_workers" in got(listening.port, "[::1]")
    listening.close()
    thread.join(AT_ONCE)


def test_P8_one_who_asks_too_slowly_is_left_and_the_next_is_answered(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 0 < metrics._Handler.timeout <= 2
    monkeypatch.setattr(metrics._Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET /met")
        # It is waited for no longer than that, and never for good.
        assert "gatewayd_workers" in got(server.port)
    assert capfd.readouterr() == ("", "")


def test_one_who_goes_away_is_no_matter(server: MetricsServer) -> None:
    for _ in range(3):
        socket.create_connection(("127.0.0.1", server.port)).close()
    assert "gatewayd_workers" in got(server.port)


def test_it_ends_at_once_also_when_nobody_asks(made: Metrics) -> None:
    listening = made.serve("127.0.0.1", 0)
    thread = run(listening)
    time.sleep(0.05)
    listening.close()
    thread.join(AT_ONCE)
    assert not thread.is_alive()
    listening.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", listening.port)).close()


def test_closed_before_it_ran_it_leaves_nothing_open(made: Metrics) -> None:
    listening = made.serve("127.0.0.1", 0)
    listening.close()
    listening.run()
    again = made.serve("127.0.0.1", listening.port)
    again.close()


def test_a_port_that_is_taken_is_a_fault_of_the_config(made: Metrics, server: MetricsServer) -> None:
    with pytest.raises(ConfigError, match=rf"metrics can't be served on 127.0.0.1:{server.port}: Address already in use"):
        made.serve("127.0.0.1", server.port)


def test_a_host_that_does_not_exist_is_a_fault_of_the_config(made: Metrics) -> None:
    with pytest.raises(ConfigError, match=r"metrics can't be served on no\.such\.host\.invalid:0: "):
        made.serve("no.such.host.invalid", 0)
