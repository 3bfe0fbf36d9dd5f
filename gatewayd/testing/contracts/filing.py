"""Tests of every store: filing batches, raw bytes, and the audit."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import CHUNK, NotAdmitted, PermanentError, Query, Retry, Source, Tally, TransientError, Vanished
from gatewayd.testing.contracts.custodian import ACME, GLOBETROT, Custodian, make_filing, make_listing, make_raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["FilingContract"]


@dataclass(frozen=True, slots=True)
class _Broken:
    """A source that lost its end, or can't be read at all."""

    source: Source
    whole: bool

    @property
    def size(self) -> int:
        return self.source.size + 1

    def read(self, offset: int, size: int) -> bytes:
        if self.whole:
            raise OSError(5, "Input/output error")
        return self.source.read(offset, size)


def _whole(source: Source | None) -> bytes:
    assert source is not None
    return b"".join(source.read(offset, CHUNK) for offset in range(0, source.size, CHUNK))


class FilingContract:
    """Filing: a batch commits whole or not at all, and raw bytes are the truth."""

    def test_P1_every_key_of_a_batch_comes_to_its_end(self, store: Store, shared: Custodian) -> None:
        shared.enter("1", "2", "3", "4", "5")
        tally = shared.commit(
            shared.outcome("1", make_raw(1)),
            shared.outcome("2", make_raw(1)),
            NotAdmitted(entry_id=shared.entry("3"), anchor="", cause="no agent"),
            Vanished(entry_id=shared.entry("4"), cause="gone"),
            Retry(entry_id=shared.entry("5"), cause="garbled", retry_after=60),
        )
        assert tally == Tally(filed=1, duplicate=1, not_admitted=1, vanished=1, deferred=1)
        assert shared.states() == {"1": "filed", "2": "duplicate", "3": "not admitted", "4": "vanished", "5": "waiting"}
        assert shared.commit() == Tally()
        # What has no anchor can't be known again: each that is gone would be taken for another.
        anchors = [each.anchor for each in store.anchors("shared", "INBOX", standing=["5"])]
        assert len(anchors) == 2
        assert all(anchors)

    def test_what_no_longer_waits_is_left_alone(self, shared: Custodian, other: Custodian) -> None:
        shared.enter("1", "2")
        late = shared.outcome("1", make_raw(1))
        assert shared.commit(late) == Tally(filed=1)
        assert shared.commit(late, replace(late, digest=b"2" * 32)) == Tally()
        assert shared.commit(Vanished(entry_id=late.entry_id, cause="gone")) == Tally()
        assert other.commit(shared.outcome("2", make_raw(2))) == Tally(), "another account's lease files nothing here"
        assert shared.states() == {"1": "filed", "2": "waiting"}

    def test_the_same_bytes_are_filed_once_an_account(self, store: Store, shared: Custodian, other: Custodian) -> None:
        raw = make_raw()
        mail_id = shared.file("1", raw)
        again = shared.file("2", raw, make_filing("globetrot"))
        shared.file("1", raw, folder="Sent")
        assert shared.states() == {"1": "filed", "2": "duplicate"}
        assert shared.states(folder="Sent") == {"1": "duplicate"}
        assert store.source(ACME, again) is None
        assert not store.filings(GLOBETROT, Query()), "a duplicate files nothing"
        elsewhere = other.file("1", raw, make_filing("globetrot"))
        assert other.states() == {"1": "filed"}
        assert [view.id for view in store.filings(ACME, Query())] == [mail_id]
        assert [view.id for view in store.filings(GLOBETROT, Query())] == [elsewhere]
        assert _whole(store.source(GLOBETROT, elsewhere)) == _whole(store.source(ACME, mail_id)) == raw

    @pytest.mark.parametrize("whole", [False, True])
    def test_P2_a_batch_with_a_broken_source_leaves_nothing(self, store: Store, shared: Custodian, *, whole: bool) -> None:
        shared.enter("1", "2")
        good, bad = shared.outcome("1", make_raw(1)), shared.outcome("2", make_raw(2))
        bad = replace(bad, mail=replace(bad.mail, source=_Broken(bad.mail.source, whole)))
        with pytest.raises(OSError if whole else TransientError):
            shared.commit(good, bad)
        assert shared.states() == {"1": "waiting", "2": "waiting"}
        assert not store.filings(ACME, Query())
        assert shared.commit(good) == Tally(filed=1)
        assert [audit.waiting for audit in store.audit("shared", {"INBOX": make_listing("1", "2")})] == [("2",)]

    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK + 7])
    def test_P5_raw_bytes_come_back_byte_for_byte(self, store: Store, size: int) -> None:
        raw = (make_raw() + bytes(range(256)) * (size // 256 + 1))[:size]
        mail_id = Custodian.of(store).file("1", raw)
        source = store.source(ACME, mail_id)
        assert source is not None
        assert source.size == size
        assert _whole(source) == raw
        for offset, length in ((0, 10), (CHUNK - 5, 10), (size - 3, 10), (size, 1), (size + 5, 1), (1, 0), (3, 2 * CHUNK)):
            if offset >= 0:
                assert source.read(offset, length) == raw[offset : offset + length]
        copied = pickle.dumps(source)
        assert len(copied) < 1000
        assert _whole(pickle.loads(copied)) == raw  # noqa: S301  our own bytes
        assert _whole(store.stored_source(mail_id)) == raw

    def test_P2_what_is_committed_is_there_when_the_store_is_opened_again(self, open_store: Callable[[], Store]) -> None:
        first = open_store()
        one = Custodian.of(first)
        mail_id = one.file("1", make_raw())
        one.enter("2", cursor="next")
        first.close()
        second = open_store()
        assert _whole(second.source(ACME, mail_id)) == make_raw()
        again = Custodian(second, one.lease)
        assert again.states() == {"1": "filed", "2": "waiting"}
        assert again.folder_state().cursor == "next"

    def test_a_mail_that_is_not_there_has_no_source(self, store: Store) -> None:
        assert store.source(ACME, 7) is None
        with pytest.raises(PermanentError, match="7"):
            store.stored_source(7)

    def test_stored_mail_can_be_filed_for_a_further_operator(self, store: Store, shared: Custodian, other: Custodian) -> None:
        ids = [shared.file(str(number), make_raw(number)) for number in range(3)]
        foreign = other.file("1", make_raw(9))
        assert store.unfiled("shared", "globetrot", after=0, limit=2) == ids[:2]
        assert store.unfiled("shared", "globetrot", after=ids[0], limit=9) == ids[1:]
        assert not store.unfiled("shared", "acme", after=0, limit=9)
        new = [(mail_id, make_filing("globetrot")) for mail_id in (ids[0], ids[1], ids[0], foreign, 999)]
        assert len(store.add_filings(shared.lease, new)) == 2
        assert len(store.add_filings(shared.lease, [(ids[0], make_filing("acme")), *new])) == 0
        assert len(store.add_filings(shared.lease, [*reversed(new), (ids[0], make_filing("acme"))])) == 0
        assert [view.id for view in store.filings(GLOBETROT, Query())] == [ids[1], ids[0]]
        assert store.unfiled("shared", "globetrot", after=0, limit=9) == ids[2:]

    def test_P6_personal_mail_is_for_no_further_operator(self, store: Store, shared: Custodian) -> None:
        # Also where the account is of another operator's user by now, who has the same name.
        shared.file("9", make_raw(10), make_filing(user="irina"))
        assert store.unfiled("shared", "globetrot", after=0, limit=9) == []

    def test_P1_the_audit_accounts_for_every_key(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1))
        shared.file("2", make_raw(1))
        shared.enter("3", "4")
        shared.file("1", make_raw(5), folder="Old")
        inbox, sent, old = store.audit("shared", {"INBOX": make_listing("1", "2", "4", "7", "5"), "Sent": make_listing()})
        assert (inbox.folder, inbox.states) == ("INBOX", {"filed": 1, "duplicate": 1, "waiting": 2})
        assert (inbox.unknown, inbox.gone, inbox.damaged, inbox.proven) == (("5", "7"), 1, (), False)
        assert (sent.folder, sent.states, sent.proven) == ("Sent", {}, True)
        assert (old.folder, old.states, old.unknown, old.gone) == ("Old", {"filed": 1}, (), 0)
        assert old.proven, "a folder that was not listed is accounted for by the ledger"
