"""A daemon's house for the tests of its pool and of visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.supervised import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made
