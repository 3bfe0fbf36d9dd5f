"""What is measured once in a while, from what daemons said to the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import AccountHealth, DaemonHealth
from gatewayd.daemon.alarms import Alarms
from gatewayd.daemon.status_summary import StatusMeter
from gatewayd.daemon.systemd import Notifier
from gatewayd.runtime.metrics import Metrics
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


def _value(metrics: Metrics, name: str) -> float:
    return sum(sample.value for family in metrics.collect() for sample in family.samples if sample.name == name)
