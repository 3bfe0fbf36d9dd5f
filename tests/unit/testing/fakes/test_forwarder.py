"""The fake forwarder keeps the contract that real ones keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Forwarder, TransientError
from gatewayd.testing import FakeForwarder, FakeServer
from gatewayd.testing.contracts.forwarder import ForwarderContract, Goal

if TYPE_CHECKING:
    from collections.abc import Sequence


class Memory(Goal):
    """A server in memory."""

    def __init__(self) -> None:
        self.server = FakeServer()

    def forwarder(self) -> Forwarder:
        return FakeForwarder.on({"out": self.server})(Forwarder.Options(), name="out")

    def taken(self) -> Sequence[str]:
        return [one.message_id for one in self.server.delivered]

    def fall_silent(self) -> None:
        self.server.hangs = set(range(100))

    def go_away(self) -> None:
        self.server.shut = TransientError("away")
        self.server.says = dict.fromkeys(range(100), self.server.shut)


class TestFakeForwarder(ForwarderContract):
    @pytest.fixture
    def goal(self) -> Goal:
        return Memory()
