"""A mailbox with mail in it for tests."""

from __future__ import annotations

from typing import Any

from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw


def filled(count: int, *folders: str, **more: Any) -> FakeTransport:
    transport = FakeTransport(folders or ("INBOX",), account="main", **more)
    for number in range(1, count + 1):
        transport.deliver(make_raw(number))
    return transport
