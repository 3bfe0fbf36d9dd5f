"""Which known mail is recognised under new keys after a server has renumbered a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Anchor, Listed
from gatewayd.importing.anchoring import AnchorHeaders, same

if TYPE_CHECKING:
    import random


def test_P8_of_a_head_without_end_the_first_lines_are_read() -> None:
    known = b"Message-ID: <1@x.example>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\n"
    assert AnchorHeaders.of(b"X: y\r\n" * 400 + known).mark
    assert AnchorHeaders.of(b"X: y\r\n" * 500 + known) == AnchorHeaders()
    assert AnchorHeaders.of(b"\r" * 500 + known) == AnchorHeaders()


ARRIVALS = (None, datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))

arrival = st.sampled_from(ARRIVALS)

mark = st.sampled_from(["", "a", "b", "c"])

#: (anchor, arrival) of fresh keys and of gone entries.
messages = st.lists(st.tuples(mark, arrival), max_size=8)


def alike(one: tuple[str, datetime | None], other: tuple[str, datetime | None]) -> bool:
    """The rule, in other words than the code's: the same known anchor, and no two different arrivals."""
    return one[0] != "" and one[0] == other[0] and len({one[1], other[1]} - {None}) < 2


@given(messages, messages, st.randoms(use_true_random=False))
def test_a_key_is_known_again_only_if_it_and_one_entry_fit_each_other_alone(
    fresh: list[tuple[str, datetime | None]], gone: list[tuple[str, datetime | None]], rng: random.Random
) -> None:
    listed = [Listed(f"new:{number}", 9, when) for number, (_, when) in enumerate(fresh)]
    anchors = {f"new:{number}": text for number, (text, _) in enumerate(fresh)}
    entries = [Anchor(entry_id=number, anchor=text, arrival=when, size=9) for number, (text, when) in enumerate(gone) if text]
    found = same(listed, anchors, entries)

    expected = {}
    for number, key in enumerate(fresh):
        fitting = [entry for entry, other in enumerate(gone) if alike(key, other)]
        if len(fitting) == 1 and sum(alike(other, gone[fitting[0]]) for other in fresh) == 1:
            expected[f"new:{number}"] = fitting[0]
    unsure = [key for key, entry in expected.items() if None in {fresh[int(key[4:])][1], gone[entry][1]}]
    if len(unsure) == 1:
        del expected[unsure[0]]
    assert found == expected
    assert len(set(found.values())) == len(found), "two keys are one entry"

    rng.shuffle(listed)
    rng.shuffle(entries)
    assert same(listed, dict(sorted(anchors.items(), reverse=True)), entries) == found, "the order decides"


def test_a_key_without_headers_is_fetched() -> None:
    assert same([Listed("1"), Listed("2")], {"1": ""}, [Anchor(entry_id=1, anchor="a", arrival=None)]) == {}


def sized(*pairs: tuple[int | None, int | None], when: datetime | None = None) -> list[int]:
    """Entries known again by their headers, with these sizes before and after."""
    gone = [Anchor(entry_id=n, anchor=str(n), arrival=when, size=old) for n, (old, _) in enumerate(pairs)]
    fresh = [Listed(str(n), new, when) for n, (_, new) in enumerate(pairs)]
    return sorted(same(fresh, {one.key: one.key for one in fresh}, gone).values())


def test_where_arrivals_are_not_known_sizes_must_be_alike() -> None:
    assert sized((9, 9), (8, 8), (7, 7), (9, 10), (None, 9)) == [0, 1, 2]
    assert sized((9, 9), (8, 8), (9, 10), (None, 9), (9, None)) == [], "most are not alike"
    assert sized((9, 9)) == [], "one message proves nothing"
    assert sized((9, 12), (20, 23), (40, 43), (50, 53), (7, 9)) == [0, 1, 2, 3], "a header was added to all"
    assert sized((9, 12), (20, 23), (40, 41), (50, 51)) == [], "half of them are not most of them"
    assert sized((9, 12), (20, 23), (40, 43), (50, 51)) == [0, 1, 2]


def test_P1_a_key_with_the_arrival_and_the_headers_of_an_entry_and_another_size_is_fetched() -> None:
    assert sized((9, 10), (9, None), (None, 7), (8, 8), when=ARRIVALS[1]) == [1, 2, 3]
    assert sized((9, 10), (20, 23), (8, 9), when=ARRIVALS[1]) == [0, 2], "a header was added to most"


def test_an_entry_that_several_keys_fit_is_nobodys_even_if_one_of_them_fits_others_too() -> None:
    first, second = ARRIVALS[1:]
    gone = [Anchor(entry_id=1, anchor="a", arrival=first), Anchor(entry_id=2, anchor="a", arrival=second)]
    fresh = [Listed("fits both", None, None), Listed("fits one", None, first)]
    assert same(fresh, {"fits both": "a", "fits one": "a"}, gone) == {}
