"""What is measured once in a while, from what daemons said to the store."""

from __future__ import annotations

import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import AccountHealth, DaemonHealth, Day, Forwarder
from gatewayd.daemon.alarms import Alarms
from gatewayd.daemon.status_summary import StatusMeter
from gatewayd.daemon.systemd import Notifier
from gatewayd.errors import Fault
from gatewayd.runtime.metrics import Metrics
from tests.unit.log import logged
from tests.unit.outbound import Post
from tests.unit.supervised import until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("owner", "least"), [("living", 3600.0), ("killed", 0.0)])
def test_P10_a_daemon_that_was_killed_visits_nothing_any_more(tmp_path: Path, owner: str, least: float) -> None:
    with Post(tmp_path) as post:
        post.account()
        post.store.beat(DaemonHealth(holder="living", version="1", started_at=datetime.now(UTC), accounts=1, workers=0))
        began = datetime.now(UTC) - timedelta(hours=1)
        post.store.tell([AccountHealth(account="out", holder=owner, condition="working", working_since=began)])
        metrics = Metrics(version="1")
        measuring = StatusMeter(post.store, metrics, Notifier({}), Alarms())
        measuring.apply(post.config(), (), frozenset())
        measuring.look()
        until(lambda: _value(metrics, "gatewayd_oldest_visit_seconds") >= least and _value(metrics, "gatewayd_accounts") == 1)
        assert _value(metrics, "gatewayd_oldest_visit_seconds") < least + 600
        measuring.close()


def test_an_account_whose_file_is_faulty_is_named_once(tmp_path: Path) -> None:
    """The daemon says so of the account, too; the file was named, and the account was counted beside it."""
    with Post(tmp_path) as post, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        post.account()
        post.store.tell([AccountHealth(account="new", holder="living", condition="faulty", error="its file is faulty")])
        metrics = Metrics(version="1")
        measuring = StatusMeter(post.store, metrics, Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}), Alarms())
        measuring.apply(post.config(), [Fault(file="accounts/new.yaml", what="missing key 'kind'")], frozenset())
        said = [systemd.recv(1000)]
        systemd.setblocking(False)

        def measured() -> bool:
            measuring.look()
            with suppress(BlockingIOError):
                said.append(systemd.recv(1000))
            return len(said) > 1

        until(measured)
        measuring.close()
        assert set(said) == {b"STATUS=1 account, faulty: accounts/new.yaml"}


class _Fields(Forwarder.Options):
    secret_expires: Day | None = None


def test_a_secret_that_ends_soon_is_logged_once_a_day_and_counted(tmp_path: Path) -> None:
    with Post(tmp_path) as post, logged() as log:
        today = datetime.now(UTC).date()
        for name, days in (("out", 20), ("later", 40), ("never", None)):
            post.account(name, options=_Fields(secret_expires=None if days is None else today + timedelta(days=days)))
        metrics = Metrics(version="1")
        measuring = StatusMeter(post.store, metrics, Notifier({}), Alarms())

        def told() -> list[str]:
            return [line for line in log.getvalue().splitlines() if "credential ends" in line]

        def measure() -> None:
            measuring.apply(post.config(), (), frozenset())
            measuring._at = 0.0
            measuring.look()
            until(lambda: measuring._measuring is None or measuring._measuring.done())
            measuring.look()

        for _ in range(2):
            measure()
            (line,) = told()
            assert "accounts/out.yaml" in line
            assert "Make a new one" in line
        assert 19 <= _value(metrics, "gatewayd_secret_days") <= 20
        post.account("later", options=_Fields(secret_expires=today + timedelta(days=5)))
        measure()
        assert len(told()) == 3
        assert 4 <= _value(metrics, "gatewayd_secret_days") <= 5
        measuring.close()


def _value(metrics: Metrics, name: str) -> float:
    return sum(sample.value for family in metrics.collect() for sample in family.samples if sample.name == name)
