"""A gateway that visits a mailbox with ten mails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path, filled(10)) as gateway:
        yield gateway
