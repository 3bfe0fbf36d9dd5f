"""What ``gatewayd.yaml`` says of the whole daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from gatewayd.config import LimitsConfig, LogConfig, MetricsConfig, WorkersConfig
from gatewayd.config.models.main import processes
from gatewayd.errors import ConfigError
from gatewayd.registry import loading

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(Path(__file__).parent / "config_plugins")


@pytest.fixture
def load(tmp_path: Path, registry: loading.Registry) -> Callable[[str], config.Config]:
    def loaded(text: str) -> config.Config:
        (tmp_path / "gatewayd.yaml").write_text(f"state: state\nstore: {{kind: paper}}\n{text}")
        return config.load(tmp_path, registry)

    return loaded


@pytest.mark.parametrize("text", ["", "workers: {}\nlimits: {}\nlog: {}\n"])
def test_without_blocks_the_defaults_count(load: Callable[[str], config.Config], text: str) -> None:
    loaded = load(text)
    assert (loaded.workers, loaded.limits, loaded.log) == (WorkersConfig(), LimitsConfig(), LogConfig())
    assert loaded.metrics is None
    assert load("metrics: {}\n").metrics == MetricsConfig()


def test_P8_each_bound_has_a_name(load: Callable[[str], config.Config]) -> None:
    loaded = load("""\
workers: {processes: 3, deadline: 2s, budget: 1m, memory_mib: 128}
limits:
  {visits: 5, visits_per_host: 4, batch_messages: 7, batch_bytes: 4096, message_bytes: 1048576, backoff: 1m, auth_pause: 2h,
   deliveries: 3, give_up: 2d, warn: 1h, forwards_per_hour: 9}
log: {format: json, level: debug}
metrics: {port: 9999, host: "::1"}
""")
    assert loaded.workers == WorkersConfig(processes=3, deadline=2.0, budget=60.0, memory_mib=128)
    assert loaded.limits == LimitsConfig(
        visits=5,
        visits_per_host=4,
        batch_messages=7,
        batch_bytes=4096,
        message_bytes=1048576,
        backoff=60.0,
        auth_pause=7200.0,
        deliveries=3,
        give_up=172800.0,
        warn=3600.0,
        forwards_per_hour=9,
    )
    assert loaded.log == LogConfig(format="json", level="debug")
    assert loaded.metrics == MetricsConfig(port=9999, host="::1")


def test_P8_each_limit_is_the_one_that_was_set(load: Callable[[str], config.Config]) -> None:
    # All of them, and no two the same.
    defaults = dict(LimitsConfig())
    wanted = {name: (value or 0) + number for number, (name, value) in enumerate(defaults.items(), 1)}
    lines = [f"  {name}: {value if isinstance(value, int) else f'{value:g}s'}\n" for name, value in wanted.items()]
    assert load("limits:\n" + "".join(lines)).limits == LimitsConfig(**wanted)


@pytest.mark.parametrize(("cpus", "expected"), [(1, 2), (2, 2), (5, 5), (64, 8)])
def test_there_are_as_many_workers_as_cpus_within_reason(cpus: int, expected: int) -> None:
    assert processes(cpus) == expected
    assert WorkersConfig().processes == processes(len(os.sched_getaffinity(0)))


def test_no_worker_processes_are_no_default(load: Callable[[str], config.Config]) -> None:
    assert load("workers: {processes: 0}\n").workers.processes == 0


def test_every_field_of_the_blocks_is_described(load: Callable[[str], config.Config]) -> None:
    loaded = load("")
    for block in (loaded.workers, loaded.limits, loaded.log, MetricsConfig()):
        assert all(field.description for field in type(block).model_fields.values())


def test_a_budget_below_the_default_deadline_is_a_fault_of_the_block(load: Callable[[str], config.Config]) -> None:
    with pytest.raises(ConfigError) as caught:
        load("workers: {deadline: 5m}\n")
    assert [str(fault) for fault in caught.value.faults] == [
        "gatewayd.yaml:3:10: workers: budget: expected at least the deadline of one matcher"
    ]
