"""What no time was left for goes back in line: it is matched again until it is matched, or one more round is in vain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import Query, Viewer
from gatewayd.api.ledger import AGAIN, FilingFault
from gatewayd.config import ImportConfig
from gatewayd.importing.rematch import retry_put_off, was_put_off
from gatewayd.matching import LocalMatching, MatchResult, MatchRun
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, links_all, matcher, registry, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.matching import MatchRequest

ACME = Viewer(operator="acme")


class Tired(LocalMatching):
    """Has time for so many mails of an request; of those whose ids it is told it says that they are guilty."""

    can = 0
    guilty: frozenset[int] = frozenset()

    def begin(self, request: MatchRequest) -> MatchRun:
        return _Tired(super().begin(request), self)


class _Tired(MatchRun):
    def __init__(self, inner: MatchRun, tired: Tired) -> None:
        self._inner = inner
        self._tired = tired

    def result(self, keep_alive: Callable[[], None]) -> MatchResult:
        matched = self._inner.result(keep_alive)
        (found,) = matched.results
        innocent = [mail.id for mail in matched.mails if mail.id not in self._tired.guilty][: self._tired.can]
        faults = [
            (mail.id, FilingFault("calm", "it hangs" if mail.id in self._tired.guilty else f"it hangs; {AGAIN}"))
            for mail in matched.mails
            if mail.id not in innocent
        ]
        links = tuple(one for one in found.links if one[1].mail_id in innocent)
        return replace(matched, results=(replace(found, links=links, faults=tuple(faults)),))

    def drop(self) -> None:
        self._inner.drop()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    transport = FakeTransport(account="main")
    for number in range(1, 8):
        transport.deliver(make_raw(number, subject=f"Booking {number}"))
    with Gateway(tmp_path, transport, specs=[spec("acme", "calm")], imports=ImportConfig(error_queue="front")) as gateway:
        gateway.matching.close()
        gateway.matching = Tired(registry(matcher("calm", links_all)))
        gateway.good()
        yield gateway


def again(gateway: Gateway) -> int:
    """How many rounds there were."""
    found = retry_put_off(gateway.store, gateway.matching, gateway.specs[0], ACME, Query(), router=None)
    return sum(1 for _ in found)


def faulty(gateway: Gateway) -> list[int]:
    return sorted(one.id for one in gateway.store.filings(ACME, Query(faulty=True)))


def test_it_is_matched_again_until_nothing_is_put_off(gateway: Gateway) -> None:
    assert len(faulty(gateway)) == 7
    assert all(map(was_put_off, gateway.store.filings(ACME, Query(faulty=True))))
    assert isinstance(gateway.matching, Tired)
    gateway.matching.can = 3
    assert again(gateway) == 3
    assert faulty(gateway) == []
    assert all(len(one.links) == 1 for one in gateway.store.filings(ACME, Query()))


def test_it_ends_where_one_more_round_is_in_vain_and_leaves_the_guilty_alone(gateway: Gateway) -> None:
    assert isinstance(gateway.matching, Tired)
    gateway.matching.can, gateway.matching.guilty = 2, frozenset({faulty(gateway)[3]})
    again(gateway)
    assert faulty(gateway) == sorted(gateway.matching.guilty)
    assert again(gateway) == 0
    gateway.matching.can = 0
    for one in gateway.store.filings(ACME, Query(faulty=True)):
        assert not was_put_off(one)


def test_where_nothing_can_be_done_it_is_tried_twice(gateway: Gateway) -> None:
    assert again(gateway) == 2
    assert len(faulty(gateway)) == 7


def test_a_person_who_asks_for_another_try_gets_all_of_it(gateway: Gateway) -> None:
    assert isinstance(gateway.matching, Tired)
    gateway.matching.can = 4
    desk = replace(gateway.desk, matching=lambda: gateway.matching)
    last = {one.id: bool(one.faults) for batch in desk.retry(ACME, None) for one in batch}
    assert len(last) == 7
    assert not any(last.values())
