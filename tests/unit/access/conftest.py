from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.unit.access.people import house, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd import Store
    from gatewayd.config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return house(tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with closing(opened(config)) as found:
        yield found
