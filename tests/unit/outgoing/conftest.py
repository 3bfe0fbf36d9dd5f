"""A store with deliveries, and the servers that they go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.outbound import Post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as made:
        yield made
