"""Tests of every store: what is found by words, by whom, and from when to when."""

# ruff: noqa: N802  tests are named after promises

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Query, Viewer
from gatewayd.message.mail import parse
from gatewayd.message.words import mail_words
from gatewayd.testing.contracts.custodian import ACME, GLOBETROT, Custodian, make_filing, make_raw, rename
from gatewayd.testing.contracts.posting import post

if TYPE_CHECKING:
    from gatewayd import Store

__all__ = ["SearchContract", "indexed"]


def indexed(store: Store) -> int:
    """Index all mail that waits for it, and return how many did."""
    number = 0
    while waiting := store.unindexed(1000, size=1 << 30):
        number += store.index({one.mail_id: mail_words(parse(one.source)) for one in waiting})
    return number


def found(store: Store, words: str, viewer: Viewer = ACME, before: int | None = None, limit: int = 50) -> list[int]:
    """Return the ids of what a viewer finds."""
    return [one.id for one in store.filings(viewer, Query(words=words, before=before, limit=limit))]


class SearchContract:
    """Part of ``StoreContract``."""

    @pytest.mark.parametrize(
        ("typed", "fits"),
        [
            ("invoice", True),
            ("INVOICE Müller", True),
            ("mueller", True),
            ("muller", True),
            ("invo", True),
            ("invo mueller", False),
            ("invo* mueller", True),
            ("r-2311", True),
            ("2311", True),
            ("311", False),
            ('"for mr mueller"', True),
            ('"mr for mueller"', False),
            ('"mueller hello"', False),
            ("example.com", True),
            ("hauptstrasse", True),
            ("Hauptstraße", True),
            ("cafe", True),
            ("invoice nothing", False),
            ("???", False),
            ("", True),
            ('"', False),
            ("' OR 1=1; --", False),
            ("NOT", False),
            ("a AND (", False),
            ("invoice*", True),
            ("*", False),
            ("\0", False),
            ("\ud800", False),
        ],
    )
    def test_words_are_found_however_they_are_written_and_nothing_typed_is_an_error(
        self, store: Store, typed: str, *, fits: bool
    ) -> None:
        raw = make_raw(subject="Invoice R-2311 for Mr Müller", text="Hello from the café in Hauptstraße 5.")
        mail_id = Custodian.of(store).file("1", raw)
        assert indexed(store) == 1
        assert found(store, typed) == ([mail_id] if fits else [])

    def test_a_conversation_is_found_by_its_message_ids_and_by_what_refers_to_them(self, store: Store) -> None:
        def raw(number: int, references: str) -> bytes:
            return b"References: %s\r\n" % references.encode() + make_raw(number)

        hand = Custodian.of(store)
        first, second = hand.file("1", make_raw(1)), hand.file("2", raw(2, "<1@example.com>"))
        third = hand.file("3", raw(3, "<1@example.com> <2@example.com>"))
        other = hand.file("4", raw(4, "<elsewhere@example.com>"))
        theirs = hand.file("5", raw(5, "<1@example.com>"), make_filing("globetrot"))
        indexed(store)

        def of(*message_ids: str, viewer: Viewer = ACME, words: str | None = None) -> list[int]:
            return [one.id for one in store.filings(viewer, Query(thread=message_ids, words=words))]

        assert of("<1@example.com>") == [third, second, first]
        assert of("<2@example.com>", "<elsewhere@example.com>") == [other, third, second]
        assert of("<1@example.com>", viewer=GLOBETROT) == [theirs]
        assert of("<1@example.com>", words="hello") == [third, second, first]
        assert of() == of("") == of("<nobody@example.com>") == of("<1@example.com>", words="???") == []

    def test_what_waits_for_the_index_is_counted_and_given_newest_first_within_bounds(self, store: Store) -> None:
        hand = Custodian.of(store)
        ids = [hand.file(str(number), make_raw(number)) for number in range(1, 5)]
        assert store.lengths().unindexed == len(ids)
        assert [one.mail_id for one in store.unindexed(3, size=1 << 20)] == ids[:0:-1]
        assert [one.mail_id for one in store.unindexed(3, size=1)] == ids[3:]
        assert found(store, "hello") == []
        (last,) = store.unindexed(1, size=1 << 20)
        assert last.source.read(0, 1 << 20) == make_raw(4)
        assert store.index({ids[3]: [["hello"]], 999_999: [["hello"]]}) == 1
        assert (found(store, "hello"), store.lengths().unindexed) == (ids[3:], len(ids) - 1)
        # Words of before are gone, and nothing waited.
        assert store.index({ids[3]: [["other"]]}) == 0
        assert (found(store, "hello"), found(store, "other")) == ([], ids[3:])

    def test_a_list_goes_on_behind_each_page_newest_first(self, store: Store) -> None:
        hand = Custodian.of(store)
        ids = [hand.file(str(number), make_raw(number, text="odd" if number % 2 else "even")) for number in range(1, 8)]
        indexed(store)
        odd = ids[::2][::-1]
        assert found(store, "odd", limit=3) == odd[:3]
        assert found(store, "odd", before=odd[2]) == odd[3:]
        assert found(store, " ", before=ids[2]) == ids[1::-1]
        some = store.filings(ACME, Query(words="odd", ids=tuple(ids[:4])))
        assert [one.id for one in some] == odd[2:]
        store.mark(ACME, ids[:3], unread=False)
        assert [one.id for one in store.filings(ACME, Query(words="odd", unread=True))] == odd[:2]

    def test_filters_go_with_words_and_alone_and_filings_are_counted_up_to_a_limit(self, store: Store) -> None:
        hand = Custodian.of(store)
        file = b"Content-Disposition: attachment; filename=a.pdf\r\n"
        ids = [hand.file(str(number), make_raw(number, sender=f"P{number}@example.com")) for number in range(1, 4)]
        ids.append(hand.file("4", b"From: p1@example.com\r\n" + file + b"\r\nrome"))
        ids.append(post(store).mail_id)
        indexed(store)
        (one,) = store.filings(ACME, Query(ids=(ids[1],)))
        for query, expected in (
            (Query(), ids),
            (Query(sender="p1@EXAMPLE.com"), [ids[0], ids[3]]),
            (Query(sender="p1@example.com", words="hello"), [ids[0]]),
            (Query(direction="out"), ids[4:]),
            (Query(direction="in", words="example"), ids[:4]),
            (Query(attachments=True), ids[3:4]),
            (Query(attachments=False, direction="in"), ids[:3]),
            (Query(since=one.received_at, direction="in"), ids[1:4]),
            (Query(until=one.received_at), ids[:1]),
        ):
            assert [each.id for each in store.filings(ACME, query)] == expected[::-1], query
            assert store.count_filings(ACME, query) == len(expected), query
        assert store.count_filings(ACME, Query(limit=2)) == store.count_filings(ACME, Query(words="hello", limit=2)) == len(ids[:2])
        assert store.count_filings(GLOBETROT, Query()) == 0

    def test_P6_an_operator_finds_its_own_mail_and_what_is_filed_for_it_later(self, store: Store) -> None:
        hand = Custodian.of(store)
        mine = hand.file("1", make_raw(1))
        both = hand.file("2", make_raw(2), make_filing("acme"), make_filing("globetrot"))
        indexed(store)
        assert (found(store, "hello"), found(store, "hello", GLOBETROT)) == ([both, mine], [both])
        store.add_filings(hand.lease, [(mine, make_filing("globetrot"))])
        assert indexed(store) == 1
        assert (found(store, "hello"), found(store, "hello", GLOBETROT)) == ([both, mine], [both, mine])
        assert found(store, "hello", Viewer(operator="nobody")) == []

    def test_what_is_forgotten_is_found_no_more_and_leaves_the_index(self, store: Store) -> None:
        hand, other = Custodian.of(store), Custodian.of(store, "other")
        hand.file("1", make_raw(1))
        stays = other.file("1", make_raw(2))
        indexed(store)
        hand.file("2", make_raw(3))
        assert store.forget_account(hand.lease, limit=100) is False
        assert (found(store, "hello"), store.lengths().unindexed) == ([stays], 0)

    def test_an_operator_that_is_renamed_finds_its_mail_and_a_new_one_of_the_old_name_does_not(self, store: Store) -> None:
        hand = Custodian.of(store)
        mail_id = hand.file("1", make_raw(1))
        indexed(store)
        waits = hand.file("2", make_raw(2))
        rename(store, "acme", "zenith", kind="operator")
        zenith = Viewer(operator="zenith")
        assert (found(store, "hello", zenith), found(store, "hello")) == ([mail_id], [])
        assert indexed(store) == 1
        store.free_name("operator", "acme")
        newer = hand.file("3", make_raw(3))
        indexed(store)
        assert (found(store, "hello", zenith), found(store, "hello")) == ([waits, mail_id], [newer])
