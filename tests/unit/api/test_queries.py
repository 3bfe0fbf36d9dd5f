"""When an audit proves custody."""

from __future__ import annotations

from gatewayd import Audit


def test_P1_custody_is_proven_only_where_nothing_is_unknown_or_damaged() -> None:
    def audit(*, unknown: tuple[str, ...] = (), damaged: tuple[str, ...] = ()) -> Audit:
        return Audit(folder="INBOX", states={"filed": 1}, unknown=unknown, gone=5, damaged=damaged)

    assert audit().proven
    assert not audit(unknown=("7:1",)).proven
    assert not audit(damaged=("7:1",)).proven
