"""Metrics are served as soon as their address is free, and are no reason for anything else to fail."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.request import urlopen

from gatewayd.config.models.main import MetricsConfig
from gatewayd.daemon.metrics_serving import MetricsServing
from gatewayd.runtime.metrics import Metrics
from tests.unit.log import logged


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


def test_metrics_are_served_from_the_first_look_on() -> None:
    port = _free_port()
    made = MetricsServing(Metrics(version="1"), MetricsConfig(port=port))
    made.look()
    made.look()
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert b"gatewayd_" in answer.read()
    made.close()


def test_an_address_that_is_taken_is_told_once_and_stops_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        made = MetricsServing(Metrics(version="1"), MetricsConfig(port=taken.getsockname()[1]))
        with logged() as log:
            made.look()
            made.look()
        made.close()
    assert log.getvalue().count("metrics not served") == 1
    assert "can't be served on 127.0.0.1" in log.getvalue()


def test_without_a_config_nothing_is_served() -> None:
    made = MetricsServing(Metrics(version="1"), None)
    made.look()
    made.close()
