"""What is read off the wire without a wire: answers to FETCH, cursors, keys and sets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd_imap.answers import BODY, ORIGIN, Piece, arrival, fields, folders, named, number
from gatewayd_imap.uids import MAX_UID, Cursor, chunks, key, uid_of, uid_set

UIDS = st.integers(1, MAX_UID)
TEXT = st.text('abc (){}"\\[]<>0123', max_size=8).map(str.encode)


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@given(st.binary(max_size=20), TEXT, UIDS, st.permutations(range(4)), st.booleans())
def test_items_are_found_in_any_order_and_form(body: bytes, other: bytes, uid: int, order: list[int], as_literal: bool) -> None:  # noqa: FBT001
    items: list[list[Piece]] = [
        [b"UID %d" % uid],
        [(b"BODY[HEADER.FIELDS (DATE FROM)]<0> {%d}" % len(body), body), b""],
        [b"FLAGS (\\Seen (UID 1) " + quoted(other) + b") MODSEQ (12)"],
        [(b"INTERNALDATE {%d}" % len(other), other), b""] if as_literal else [b"INTERNALDATE " + quoted(other)],
    ]
    pieces: list[Piece] = []
    line = b"1 ("
    for part in (part for index in order for part in items[index]):
        if isinstance(part, tuple):
            pieces.append((line + b" " + part[0], part[1]))
            line = b""
        else:
            line += b" " + part
    (found,) = fields([*pieces, line + b")", None])
    assert found["UID"] == b"%d" % uid
    assert found[BODY] == body
    assert found["INTERNALDATE"] == other
    assert "FLAGS" not in found


@given(st.lists(st.binary(max_size=30) | st.tuples(st.binary(max_size=30), st.binary(max_size=5)), max_size=6))
def test_garbage_is_read_without_an_error(pieces: list[Piece]) -> None:
    for found in fields(pieces):
        number(found.get("UID"))
        arrival(found.get("INTERNALDATE"))
    list(folders(pieces))
    named(pieces, 1, 100)


@pytest.mark.parametrize("cut", [b"1 (UID 5 BODY[]", b"1 (UID 5 BODY[] (", b"1", b"", b"1 (", b"1 ()"])
def test_an_answer_that_is_cut_off_says_nothing(cut: bytes) -> None:
    assert list(fields([cut])) == []
    assert list(fields([(b"1 (UID 5 BODY[] {3}", b"abc")])) == []


@pytest.mark.parametrize("body", [b"NIL", b"nil", b"1048576", b"(a b)", b"x[y]", b"<0.1048576>"])
def test_a_body_is_a_string_or_a_literal_and_nothing_else(body: bytes) -> None:
    assert list(fields([b"1 (UID 5 BODY[] " + body + b" RFC822.SIZE 9)"])) == [{"UID": b"5", "RFC822.SIZE": b"9"}]
    assert list(fields([b'1 (UID 5 BODY[] "NIL")'])) == [{"UID": b"5", BODY: b"NIL"}]


@pytest.mark.parametrize("name", [b"BODY[]<7>", b"BODY[]<7.1048576>", b"body[HEADER]<7>"])
def test_a_partial_body_says_where_it_begins(name: bytes) -> None:
    assert list(fields([(b"1 (UID 5 " + name + b" {3}", b"abc"), b")"])) == [{"UID": b"5", BODY: b"abc", ORIGIN: b"7"}]


@pytest.mark.parametrize(
    ("lines", "found", "others"),
    [
        ([b"1 2 3", b"9 (MODSEQ 917)"], {1, 2, 3, 9}, set()),
        ([b"", None], set(), set()),
        ([b"5 10 11"], {5, 10}, {11}),
        ([b"9" * 5000], set(), {0}),
        ([b"0 4294967296 4294967297 7"], {7}, {0, 4294967296}),
        ([(b"1 {3}", b"abc")], set(), {0}),
        ([b"-3 +4 x5 \xb2"], {3, 4, 5}, set()),
    ],
)
def test_search_names_numbers_and_what_is_none_shows(lines: list[Piece | None], found: set[int], others: set[int]) -> None:
    assert tuple(map(set, named(lines, 1, 10))) == (found, others)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b'(\\HasNoChildren \\Marked) "/" INBOX'], [(b"INBOX", {b"\\hasnochildren", b"\\marked"})]),
        ([b'() "/" "a\\\\b\\"c "'], [(b'a\\b"c ', set())]),
        ([(b'(\\Noselect) "/" {3}', b'x"y'), b"", b"() NIL flat"], [(b'x"y', {b"\\noselect"}), (b"flat", set())]),
        ([b'(\\A "/" x', b') "/" x', b'() "/" "x', b"()", b"", None], []),
    ],
)
def test_folders_are_read_as_they_stand_on_the_wire(pieces: list[Piece | None], expected: list[tuple[bytes, set[bytes]]]) -> None:
    assert [(folder.name, set(folder.flags)) for folder in folders(pieces)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"22-Nov-2026 08:47:31 +0000", datetime(2026, 11, 22, 8, 47, 31, tzinfo=UTC)),
        (b" 1-JAN-2026 00:30:00 +0100", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
        (b"31-Dec-2025 23:59:60 -0200", datetime(2026, 1, 1, 1, 59, 59, tzinfo=UTC)),
        (b"31-Feb-2026 00:00:00 +0000", None),
        (b"01-Foo-2026 00:00:00 +0000", None),
        (b"01-Jan-2026 00:00:00 +9900", None),
        (b"31-Dec-9999 23:59:59 -0100", None),
        (b"01-Jan-0001 00:00:00 +0100", None),
        (b"01-Jan-2026 00:00:00", None),
        (b"", None),
        (None, None),
    ],
)
def test_arrival_is_aware_or_none(text: bytes | None, expected: datetime | None) -> None:
    assert arrival(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"%d" % ((1 << 63) - 1), (1 << 63) - 1), (b"%d" % (1 << 63), None), (b"9" * 5000, None), (b"-1", None), (b"", None)],
)
def test_a_number_is_one_that_a_store_can_keep_or_none(text: bytes, expected: int | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    "pieces",
    [
        [b"1 (UID 5 UID 6 RFC822.SIZE 10)"],
        [b"1 (UID 5 RFC822.SIZE 10 RFC822.SIZE 11)"],
        [(b"1 (UID 5 BODY[] {3}", b"abc"), b" UID 6)"],
        [(b"1 (UID 5 BODY[] {3}", b"abc"), (b" BODY[] {3}", b"xyz"), b")"],
        [b'1 (UID 5 BODY[] "abc" BODY[] "xyz")'],
    ],
)
def test_an_answer_that_contradicts_itself_is_of_no_message(pieces: list[Piece | None]) -> None:
    assert list(fields(pieces)) == []


def test_an_answer_may_say_a_thing_twice() -> None:
    assert list(fields([(b"1 (UID 5 BODY[] {3}", b"abc"), b" UID 5)"])) == [{"UID": b"5", "BODY[]": b"abc"}]


@given(UIDS, st.integers(0, MAX_UID), st.integers(0, MAX_UID))
def test_a_cursor_says_what_was_put_into_it(uidvalidity: int, last: int, backlog_until: int) -> None:
    cursor = Cursor(uidvalidity=uidvalidity, last=last, backlog_until=backlog_until)
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=20) | st.from_regex(r"\d+ \d+ \d+", fullmatch=True) | st.none())
def test_a_cursor_is_read_back_as_it_was_written_or_not_at_all(text: str | None) -> None:
    cursor = Cursor.parse(text)
    assert cursor is None or (0 < cursor.uidvalidity <= MAX_UID and cursor.last <= MAX_UID and cursor.backlog_until <= MAX_UID)


@pytest.mark.parametrize(
    "text", ["", "listed", "0 1 1", "1 2", "1 2 3 4", "1 -2 3", "4294967296 1 1", "1 4294967296 1", "1 2 3\n", "\u0661 2 3"]
)
def test_a_garbled_cursor_is_none(text: str) -> None:
    assert Cursor.parse(text) is None


@given(UIDS, UIDS)
def test_a_key_gives_its_uid_back_under_its_own_numbers_only(uidvalidity: int, uid: int) -> None:
    assert uid_of(key(uidvalidity, uid), uidvalidity) == uid
    assert uid_of(key(uidvalidity, uid), uidvalidity - 1) is None


@pytest.mark.parametrize("text", ["", "7", "7:", "7:0", "7:x", "7:4294967296", "7:1 ", "7:-1", "u12"])
def test_what_is_no_key_has_no_uid(text: str) -> None:
    assert uid_of(text, 7) is None


@given(st.lists(st.integers(1, 60), max_size=40))
def test_a_set_names_exactly_its_uids(uids: list[int]) -> None:
    text = uid_set(uids)
    named = [range(int(run.split(":")[0]), int(run.split(":")[-1]) + 1) for run in text.split(",") if run]
    assert [uid for run in named for uid in run] == sorted(set(uids))


@given(st.lists(UIDS, max_size=20), st.integers(1, 5))
def test_chunks_are_all_in_order_and_small(uids: list[int], size: int) -> None:
    parts = list(chunks(uids, size))
    assert [uid for part in parts for uid in part] == uids
    assert all(1 <= len(part) <= size for part in parts)


VALUES = st.from_regex(rb"[0-9]{1,20}", fullmatch=True) | st.from_regex(rb'"[^"\\\r\n]{0,20}"', fullmatch=True)
NAMES = st.sampled_from([b"UID", b"RFC822.SIZE", b"INTERNALDATE", b"MODSEQ", b"X1"])


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=5))
def test_a_plain_answer_says_the_same_as_one_with_a_list_in_it(pairs: list[tuple[bytes, bytes]]) -> None:
    said = b" ".join(name + b" " + value for name, value in pairs)
    plain = list(fields([b"12 (" + said + b")"]))
    # What is read word by word.
    nested = b" X-Y ((a b)))"
    assert plain == list(fields([b"12 (" + said + b" X-Y (a b))"])) == list(fields([b"12 (" + said + nested]))
    body = b" BODY[] {3}"
    assert list(fields([(b"12 (" + said + body, b"abc"), b")"])) == list(fields([(b"12 (" + said + body, b"abc"), nested]))
    first = b"12 (FLAGS () BODY[HEADER.FIELDS (DATE)]<7> {3}"
    assert list(fields([(first, b"abc"), b" " + said + b")"])) == list(fields([(first, b"abc"), b" " + said + nested]))
    said_of = {(name.decode(), value.strip(b'"')) for name, value in pairs if name not in (b"MODSEQ", b"X1")}
    kept = dict(said_of)
    assert plain == ([kept] if kept and len(kept) == len(said_of) else [])
