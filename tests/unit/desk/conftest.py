"""A desk for the tests of writing and of the rules of sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.desk.desks import World
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Gateway(tmp_path) as gateway:
        yield World(gateway)
