"""A house with a config and a store, for commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.status_house import DAEMON, WELL, Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("COLUMNS", "250")
    made = Desk(tmp_path, capfd)
    yield made
    made.store.close()


@pytest.fixture
def two(place: Desk) -> Desk:
    place.house.account("sales", "imap", 1, "bert")
    place.store.beat(DAEMON)
    place.store.tell([WELL, replace(WELL, account="sales", condition="polling")])
    return place
