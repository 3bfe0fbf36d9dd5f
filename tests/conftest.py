from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers import Dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server
