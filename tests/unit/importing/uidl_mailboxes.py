"""Mailboxes of servers whose keys may name other messages, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw

if TYPE_CHECKING:
    from tests.unit.kernel import Gateway


def filled(count: int, **more: Any) -> FakeTransport:
    transport = FakeTransport(account="main", **{"overlap": 50, **more})
    for number in range(1, count + 1):
        transport.deliver(make_raw(number))
    return transport


def uidls(count: int) -> FakeTransport:
    """Like POP3: each listing is the whole folder, and no arrival is told."""
    transport = FakeTransport(account="main", has_cursor=False)
    for number in range(1, count + 1):
        transport.message(transport.deliver(make_raw(number))).arrival = None
    return transport


def dated(number: int, when: datetime) -> bytes:
    return make_raw(number).replace(b"Sun, 22 Nov 2026 09:00:00 +0100", format_datetime(when).encode())


def late(seconds: float = 1) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def backlog(gateway: Gateway) -> dict[str, bool]:
    """Which of what waits is backlog."""
    keys = gateway.transport.keys()
    return {one.listed.key: one.backlog for one in gateway.store.waiting("main", "INBOX", after=0, limit=99, keys=keys)}
