"""By which records a verdict is given, and when it is given again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatewayd import FilingFault, Provisional
from gatewayd.api.directory import Basis
from gatewayd.matching import OperatorResult, provisional, since

LOADED = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SOUND = Basis(loaded_at=LOADED, version="7")


@pytest.mark.parametrize(
    ("basis", "arrival", "expected"),
    [
        (None, 0, False),
        (SOUND, -3600, False),
        (SOUND, -2, False),
        # Servers cut the seconds off.
        (SOUND, 0, True),
        (SOUND, 60, True),
        (SOUND, None, True),
        (Basis(), -3600, True),
        (replace(SOUND, fault="it is gone"), -3600, True),
    ],
)
def test_a_verdict_is_provisional_only_by_records_older_than_the_mail_or_a_directory_at_fault(
    basis: Basis | None, arrival: float | None, *, expected: bool
) -> None:
    now = LOADED + timedelta(hours=1)
    came = None if arrival is None else LOADED + timedelta(seconds=arrival)
    found = since(basis, came, now)
    assert (found is not None) is expected
    assert found is None or found <= now
    if basis and basis.fault:
        assert found == now, "only a load that begins from now on can tell"


def test_a_server_whose_clock_is_ahead_keeps_no_verdict_provisional_for_long() -> None:
    now = LOADED + timedelta(hours=1)
    assert since(SOUND, now + timedelta(days=300), now) == now


def test_what_is_provisional_says_for_whom_and_by_which_records() -> None:
    fault = FilingFault("directory", "away")
    now = LOADED + timedelta(hours=1)
    found = OperatorResult(operator="acme", basis=SOUND, faults=((2, fault),), pending=frozenset({3}))
    stale = Provisional(operator="acme", since=LOADED + timedelta(seconds=61), version="7", fire=True)
    assert provisional(found, 1, LOADED + timedelta(seconds=60), now, fire=True) == stale
    assert provisional(found, 1, LOADED - timedelta(seconds=60), now, fire=True) is None
    assert provisional(found, 2, LOADED - timedelta(seconds=60), now, fire=False) == Provisional(operator="acme", since=now)
    assert provisional(found, 3, LOADED, now, fire=True) == Provisional(operator="acme", since=now, fire=True, undecided=True)
    untold = replace(found, basis=replace(SOUND, version="~1"))
    assert provisional(untold, 1, now, now, fire=True) == replace(stale, since=now, version="")
