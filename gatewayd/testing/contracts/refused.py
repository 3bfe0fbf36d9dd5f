"""Tests of every store: mail that one operator of its account refused and another admitted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import LeaseLost, Provisional, Query, Viewer
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_listing, make_raw, rename

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["RefusedFilingContract"]

_NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def _file(shared: Custodian, key: str, *senders: str, by: tuple[str, ...] = ("nord",), verdict: Provisional | None = None) -> int:
    """File a mail for ``acme`` that others refused; return its id."""
    shared.enter(key)
    filed = shared.outcome(key, make_raw(int(key)))
    shared.commit(replace(filed, refused_by=by, senders=senders, provisional=(verdict,) if verdict else ()))
    return filed.entry_id


def _mails(store: Store, *senders: str, operator: str = "nord", account: str = "shared") -> list[int]:
    return list(store.refused_mails(account, operator, senders=senders or None, after=0, limit=100))


def _senders(store: Store, *, operator: str = "nord", account: str = "shared") -> list[str]:
    return list(store.refused_senders(account, operator, limit=100))


class RefusedFilingContract:
    """Part of ``StoreContract``."""

    def test_which_operators_refused_a_mail_that_is_filed_is_kept_with_who_sent_it(self, store: Store, shared: Custodian) -> None:
        first = _file(shared, "1", "b@x.example", "a@x.example", by=("nord", "west"))
        second = _file(shared, "2", "a@x.example")
        _file(shared, "3", "c@x.example", by=())
        assert _senders(store) == ["a@x.example", "b@x.example"]
        assert _mails(store) == [first, second]
        assert _mails(store, "a@x.example") == [first, second]
        assert _mails(store, "b@x.example") == [first]
        assert _mails(store, "c@x.example", "d@x.example") == []
        assert _mails(store, operator="west") == [first]
        assert _mails(store, operator="acme") == []
        assert (_mails(store, account="other"), _senders(store, account="other")) == ([], [])
        assert store.with_refused(["shared", "other"]) == {"shared"}

    def test_senders_and_mails_come_in_pages_and_only_those_that_are_asked_for(self, store: Store, shared: Custodian) -> None:
        ids = [_file(shared, str(number), f"{name}@x.example") for number, name in enumerate("dacba", 1)]
        assert store.refused_senders("shared", "nord", limit=2) == ["a@x.example", "b@x.example"]
        assert store.refused_senders("shared", "nord", after="b@x.example", limit=9) == ["c@x.example", "d@x.example"]
        among = ["d@x.example", "b@x.example", "z@x.example"]
        assert store.refused_senders("shared", "nord", limit=9, among=among) == ["b@x.example", "d@x.example"]
        assert store.refused_mails("shared", "nord", senders=["a@x.example"], after=0, limit=1) == [ids[1]]
        assert store.refused_mails("shared", "nord", senders=["a@x.example"], after=ids[1], limit=9) == [ids[4]]
        assert store.refused_mails("shared", "nord", senders=None, after=ids[1], limit=2) == ids[2:4]

    def test_mail_from_nobody_is_there_where_all_is_asked_for(self, store: Store) -> None:
        mail_id = _file(Custodian.of(store), "1")
        assert _senders(store) == []
        assert _mails(store) == [mail_id]

    def test_a_duplicate_is_refused_by_nobody(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1))
        shared.enter("2")
        same = shared.outcome("2", make_raw(1))
        assert shared.commit(replace(same, refused_by=("nord",), senders=("a@x.example",))).duplicate == 1
        assert _mails(store) == []
        assert store.with_refused(["shared"]) == frozenset()

    def test_what_is_filed_later_is_refused_no_more_and_the_audit_proves_it(self, store: Store, shared: Custodian) -> None:
        first = _file(shared, "1", "a@x.example", "b@x.example", by=("nord", "west"))
        second = _file(shared, "2", "a@x.example")
        assert store.add_filings(Custodian.of(store, "other").lease, [(first, make_filing("nord"))]) == [], "of another account"
        assert _mails(store) == [first, second]
        filing = make_filing("nord")
        assert store.add_filings(shared.lease, [(first, filing)]) == [(first, filing)]
        assert (_mails(store), _mails(store, operator="west")) == ([second], [first])
        assert store.add_filings(shared.lease, [(first, filing)]) == []
        assert [each.id for each in store.filings(Viewer(operator="nord"), Query())] == [first]
        assert all(each.proven for each in store.audit("shared", {"INBOX": make_listing("1", "2")}))
        store.add_filings(shared.lease, [(first, make_filing("west")), (second, make_filing("nord"))])
        assert store.with_refused(["shared"]) == frozenset()

    def test_what_an_operator_never_gets_is_forgotten_by_whoever_has_the_account(
        self, store: Store, shared: Custodian, other: Custodian
    ) -> None:
        first, second = _file(shared, "1", "a@x.example", by=("nord", "west")), _file(shared, "2", "a@x.example")
        store.forget_refused(other.lease, "nord", [first])
        assert _mails(store) == [first, second]
        store.forget_refused(shared.lease, "nord", [first, 4711])
        assert (_mails(store), _mails(store, operator="west")) == ([second], [first])
        store.take_lease("shared", "two", dead=lambda _: True)
        with pytest.raises(LeaseLost):
            store.forget_refused(shared.lease, "nord", [second])
        assert _mails(store) == [second]

    def test_a_refusal_that_is_provisional_is_told_until_it_is_confirmed_and_stays_then(
        self, store: Store, shared: Custodian
    ) -> None:
        lately = datetime.now(UTC) - timedelta(minutes=1)
        doubted = _file(shared, "1", "a@x.example", verdict=Provisional(operator="nord", since=lately))
        undecided = _file(shared, "2", "a@x.example", verdict=Provisional(operator="nord", since=lately, undecided=True))
        final = _file(shared, "3", "a@x.example", verdict=Provisional(operator="acme", since=lately))
        every = [doubted, undecided, final]
        assert store.doubted("nord", every) == {doubted, undecided}
        assert store.doubted("acme", every) == {final}
        store.confirm("nord", [doubted])
        assert store.doubted("nord", every) == {undecided}
        assert _mails(store) == every

    def test_a_refusal_that_is_corrected_is_none_any_more_and_nothing_is_filed_twice(self, store: Store, shared: Custodian) -> None:
        verdict = Provisional(operator="nord", since=_NOW)
        first = _file(shared, "1", "a@x.example", by=("nord", "west"), verdict=verdict)
        second = _file(shared, "2", "a@x.example", verdict=verdict)
        assert store.correct("nord", [(first, make_filing("nord"))]) == 1
        assert (_mails(store), _mails(store, operator="west")) == ([second], [first])
        added = store.add_filings(shared.lease, [(first, make_filing("nord")), (second, make_filing("nord"))])
        assert [mail_id for mail_id, _ in added] == [second]
        # It was filed meanwhile, in whatever way: the correction says what is said now, and files nothing.
        assert store.correct("nord", [(second, make_filing("nord"))]) == 1
        assert [each.id for each in store.filings(Viewer(operator="nord"), Query())] == [second, first]
        assert _mails(store) == []

    def test_filings_that_are_added_at_once_are_all_written_down(self, open_store: Callable[[], Store]) -> None:
        store, other = open_store(), open_store()
        one = Custodian.of(store)
        verdict = Provisional(operator="west", since=_NOW)
        keys = [str(number) for number in range(1, 41)]
        ids = [_file(one, key, "a@x.example", by=("nord", "west"), verdict=verdict) for key in keys]
        with ThreadPoolExecutor(2) as threads:
            for start in range(0, len(ids), 4):
                some = ids[start : start + 4]
                added = threads.submit(store.add_filings, one.lease, [(each, make_filing("nord")) for each in some])
                corrected = threads.submit(other.correct, "west", [(each, make_filing("west")) for each in reversed(some)])
                assert (len(added.result()), corrected.result()) == (len(some), len(some))
        assert all(each.proven for each in store.audit("shared", {"INBOX": make_listing(*keys)}))

    def test_a_renamed_account_takes_along_what_its_operators_refused(self, store: Store, shared: Custodian) -> None:
        mail_id = _file(shared, "1", "a@x.example")
        store.release(shared.lease)
        rename(store, "shared", "renamed")
        assert _mails(store, account="shared") == []
        assert _mails(store, "a@x.example", account="renamed") == [mail_id]
        assert store.with_refused(["shared", "renamed"]) == {"renamed"}
