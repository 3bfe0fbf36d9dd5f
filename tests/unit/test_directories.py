"""Operators' directories: who waits for the first look, and for how long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gatewayd.config import WorkersConfig
from gatewayd.supervisor.workers import Workers
from tests.unit.matchers import recipe, registry

if TYPE_CHECKING:
    from pathlib import Path


def test_all_visits_wait_for_the_first_look_at_a_directory(tmp_path: Path) -> None:
    found = registry(tmp_path / "plugins")
    acme = recipe(found, "acme", "good", folder=tmp_path, known=True)
    workers = Workers(found, WorkersConfig(processes=1))

    def visit(_: int) -> tuple[list[str], bool]:
        return workers.refresh(acme), workers.directories._known["acme"].looked.is_set()

    try:
        with ThreadPoolExecutor(3) as visits:
            assert list(visits.map(visit, range(3))) == [([], True)] * 3
    finally:
        workers.close()
