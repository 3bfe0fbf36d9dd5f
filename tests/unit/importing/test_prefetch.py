"""What a visit does ahead: the next batches are fetched and matched while one is filed, and nothing behind a fault."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gatewayd import PluginError, TransientError
from gatewayd.matching import Matching, MatchRun
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.patience import LONG
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatewayd.importing.values import Progress
    from gatewayd.matching import MatchRequest, MatchResult, OperatorSpec

LOST = TransientError("connection lost")


class Watched(Matching):
    """Examines as another does, and lets each begin be seen."""

    def __init__(self, inner: Matching, began: Callable[[int], object]) -> None:
        self.inner = inner
        self.began = began
        self.dropped = 0

    def refresh(self, spec: OperatorSpec) -> list[str]:
        return self.inner.refresh(spec)

    def begin(self, request: MatchRequest) -> MatchRun:
        self.began(len(request.raw_mails))
        return _Watched(self, self.inner.begin(request))


class _Watched(MatchRun):
    def __init__(self, by: Watched, inner: MatchRun) -> None:
        self.by = by
        self.inner = inner

    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        return self.inner.result(keep_alive)

    def drop(self) -> None:
        self.by.dropped += 1
        self.inner.drop()


def filled(count: int) -> FakeTransport:
    transport = FakeTransport(account="main")
    for number in range(1, count + 1):
        transport.deliver(make_raw(number))
    return transport


def watched(gateway: Gateway, began: Callable[[int], object]) -> Watched:
    matching = Watched(gateway.matching, began)
    gateway.matching = matching  # type: ignore[assignment]  # the visit knows it as any Matching
    return matching


def test_the_next_batches_are_examined_while_one_is_filed(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(9)) as gateway:
        begun = threading.Semaphore(0)
        matching = watched(gateway, lambda _: begun.release())

        def filed(progress: Progress) -> None:
            if progress.done == 3:
                for _ in range(3):
                    assert begun.acquire(timeout=LONG), "the batches behind the first wait until it is filed"

        gateway.progress = filed
        assert gateway.good().tally.filed == 9
        # Once each: a batch that is filed is let go like one that is not.
        assert matching.dropped == 3


def test_P1_a_session_that_broke_is_asked_for_nothing_more(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(10)) as gateway:
        gateway.transport.on("message", LOST, after=4)
        report = gateway.visit()
        assert report.error is LOST
        assert [len(asked.keys) for asked in gateway.transport.steps("fetch")] == [3, 3]
        assert report.tally.filed == 4
        assert gateway.good().tally.filed == 6


def test_P1_a_batch_whose_examination_does_not_begin_keeps_waiting(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(10)) as gateway:

        def began(letters: int) -> None:
            raise RuntimeError(f"no thread for {letters}")

        inner = watched(gateway, began).inner
        report = gateway.visit()
        assert isinstance(report.error, PluginError)
        assert "no thread for 3" in report.error.message
        assert len(gateway.transport.steps("fetch")) == 1
        gateway.matching = inner  # type: ignore[assignment]  # as it was
        assert gateway.good().tally.filed == 10
