from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Outside, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with Outside() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def browser(outside: Outside) -> Iterator[Browser]:
    """Debian's Chromium. It ends with the file that asks for it: while it runs, no other test may use asyncio."""
    with chromium(outside) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests wait until other processes are done with their browsers."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(1800))
