"""What IMAP servers get wrong or leave out, played by a small scripted server over a real socket."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from gatewayd import (
    Came,
    Failed,
    Gone,
    Listed,
    PermanentError,
    Spool,
    TransientError,
)
from tests.plugins.imap_script import OPENED, Script, session

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd import Fetched
    from gatewayd_imap.transport import ImapSession

KEYS = [Listed(f"7:{uid}", 100) for uid in (1, 2, 3)]


def fetched(opened: ImapSession, path: Path, what: list[Listed]) -> dict[str, Fetched | bytes]:
    """Return what came by key, the bytes where it came."""
    with Spool(path / "spool") as spool:
        spool.expect(what, 64 << 20)
        found = list(opened.fetch("INBOX", what, spool))
        spool.seal()
        bodies = {one.key: one.source.read(0, one.source.size) for one in found if isinstance(one, Came)}
        for one in found:
            assert not isinstance(one, Came) or one.digest == hashlib.sha256(bodies[one.key]).digest()
    return {one.key: bodies.get(one.key, one) for one in found}


# --- listing ----------------------------------------------------------------------------------------------------------


def test_a_search_that_is_answered_in_several_lines_is_taken_whole(tmp_path: Path) -> None:
    replies = {
        "UID SEARCH": b"* SEARCH 3 1\r\n* SEARCH 2\r\n",
        "UID FETCH": b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (n, n) for n in (1, 2, 3)),
    }
    with session(Script(replies), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert [one.key for one in page.keys] == ["7:1", "7:2", "7:3"]


def test_what_a_server_does_not_say_of_a_message_is_none(tmp_path: Path) -> None:
    sizes = (
        b"* 3 FETCH (FLAGS (UID 9) UID 3)\r\n"
        b'* 1 FETCH (UID 1 INTERNALDATE "never" RFC822.SIZE many)\r\n'
        b'* 2 FETCH (INTERNALDATE " 5-Jan-2026 10:00:60 -0330" UID 2)\r\n'
        b"* 2 FETCH (RFC822.SIZE 17 UID 2)\r\n* 5 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen))\r\n"
    )
    with session(Script({"UID FETCH": sizes}), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert [(one.key, one.size, one.arrival and one.arrival.isoformat()) for one in page.keys] == [
        ("7:1", None, None),
        ("7:2", 17, "2026-01-05T10:00:59-03:30"),
        ("7:3", None, None),
    ]


@pytest.mark.parametrize("answer", [b"TAG NO [SERVERBUG] a broken message\r\n", b"TAG BAD what?\r\n"])
def test_P4_a_server_that_refuses_sizes_still_has_its_mail_listed(tmp_path: Path, answer: bytes) -> None:
    with session(Script({"UID FETCH": b"* 2 FETCH (UID 2 RFC822.SIZE 17)\r\n" + answer}), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert [(one.key, one.size) for one in page.keys] == [("7:1", None), ("7:2", 17), ("7:3", None)]


def test_a_connection_that_breaks_while_listing_is_transient(tmp_path: Path) -> None:
    script = Script({"UID FETCH": b"* 1 FETCH (UID 1 RFC822.SIZE 9)\r\n* BYE\r\nTAG HANG UP\r\n"})
    with session(script, tmp_path) as opened, pytest.raises(TransientError, match="the session ended"):
        list(opened.listing("INBOX", None))


def test_P1_what_search_names_and_fetch_does_not_answer_for_is_listed_without_a_size(tmp_path: Path) -> None:
    with session(Script({"UID FETCH": b"* 1 FETCH (UID 2 RFC822.SIZE 17)\r\n"}), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert ([(one.key, one.size) for one in page.keys], page.cursor) == ([("7:1", None), ("7:2", 17), ("7:3", None)], "7 3 3")


def test_without_uidnext_backlog_reaches_up_to_the_last_message(tmp_path: Path) -> None:
    replies = {"EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n", "UID FETCH": b"* 1 FETCH (UID 3)\r\n"}
    with session(Script(replies), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert (page.backlog, page.cursor) == (True, "7 3 3")


def test_mail_that_came_while_a_first_listing_began_is_no_backlog(tmp_path: Path) -> None:
    replies = {
        "UID SEARCH": b"* SEARCH 1 2 3 4 5\r\n",
        "UID FETCH 1": b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n",
        "UID FETCH 4": b"* 4 FETCH (UID 4)\r\n* 5 FETCH (UID 5)\r\n",
    }
    with session(Script(replies), tmp_path) as opened:
        pages = list(opened.listing("INBOX", None))
    assert [(len(page.keys), page.backlog, page.cursor) for page in pages] == [(3, True, "7 3 3"), (2, False, "7 5 3")]


class Forgetful(Script):
    """Like Courier: it numbers a folder anew each time that it is opened, until it is opened for writing."""

    def reply(self, tag: bytes, command: str) -> bytes:
        answer = super().reply(tag, command)
        opened = len(self.asked("EXAMINE|SELECT")) if not self.asked("SELECT") else 99
        return answer.replace(b"UIDVALIDITY 7", b"UIDVALIDITY %d" % opened)


def test_numbers_that_a_server_keeps_only_once_a_folder_was_opened_for_writing_are_kept_from_the_second_listing_on(
    tmp_path: Path,
) -> None:
    sizes = b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (n, n) for n in (1, 2, 3))
    with session(Forgetful({"UID FETCH": sizes}), tmp_path) as imap:
        cursors: list[str | None] = [None]
        for gone in (False, True, False):
            (page,) = imap.listing("INBOX", cursors[-1])
            assert page.others_gone == gone
            cursors.append(page.cursor)
    assert cursors[2] == cursors[3]


def test_P3_a_folder_that_is_not_renumbered_is_never_opened_for_writing_to_be_read(tmp_path: Path) -> None:
    script = Script({"UID FETCH": b"* 3 FETCH (UID 3 RFC822.SIZE 9)\r\n"})
    with session(script, tmp_path) as imap:
        (page,) = imap.listing("INBOX", None)
        list(imap.listing("INBOX", page.cursor))
    assert not script.asked("SELECT")


@pytest.mark.parametrize("opened", [b"* 3 EXISTS\r\n", b"* 3 EXISTS\r\n* OK [UIDVALIDITY 0] no\r\n"])
def test_a_folder_without_uidvalidity_can_not_be_read(tmp_path: Path, opened: bytes) -> None:
    with session(Script({"EXAMINE": opened}), tmp_path) as imap, pytest.raises(PermanentError, match="UIDVALIDITY"):
        list(imap.listing("INBOX", None))


def test_an_empty_folder_is_not_searched(tmp_path: Path) -> None:
    script = Script({"EXAMINE": OPENED.replace(b"3 EXISTS", b"0 EXISTS"), "UID SEARCH": b"TAG BAD empty folder\r\n"})
    with session(script, tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert (page.keys, page.cursor) == ((), "7 0 3")


def test_a_cursor_at_the_last_number_there_can_be_asks_for_nothing(tmp_path: Path) -> None:
    with session(script := Script(), tmp_path) as opened:
        assert [page.keys for page in opened.listing("INBOX", "7 4294967295 3")] == [()]
    assert script.asked("SEARCH") == ["UID SEARCH UID 4294966796:*"] * 2


def test_a_refused_search_is_transient(tmp_path: Path) -> None:
    with session(Script({"UID SEARCH": b"TAG NO later\r\n"}), tmp_path) as opened, pytest.raises(TransientError, match="later"):
        list(opened.listing("INBOX", None))


def test_a_folder_that_is_busy_is_transient_and_one_that_is_refused_is_not(tmp_path: Path) -> None:
    with session(Script({"EXAMINE": b"TAG NO [INUSE] locked\r\n"}), tmp_path) as opened, pytest.raises(TransientError):
        list(opened.listing("INBOX", None))
    with session(Script({"EXAMINE": b"TAG NO locked\r\n"}), tmp_path) as opened, pytest.raises(PermanentError, match="locked"):
        list(opened.listing("INBOX", None))


def test_a_listing_goes_on_in_its_own_folder_after_another_was_opened(tmp_path: Path) -> None:
    replies = {
        "UID SEARCH": b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 1002)) + b"\r\n",
        "UID FETCH": b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n* 2 FETCH (UID 1001 RFC822.SIZE 9)\r\n",
    }
    replies["EXAMINE"] = OPENED.replace(b"3 EXISTS", b"1001 EXISTS")
    with session(script := Script(replies), tmp_path) as opened:
        pages = opened.listing("INBOX", None)
        next(pages)
        assert list(opened.headers("Sent", ["7:1"])) == [("7:1", b"x")]
        script.replies["EXAMINE"] = OPENED.replace(b"VALIDITY 7", b"VALIDITY 8")
        with pytest.raises(TransientError, match="renumbered"):
            next(pages)
    assert script.asked("EXAMINE")[-2:] == ['EXAMINE "Sent"', 'EXAMINE "INBOX"']


# --- servers that do not search ----------------------------------------------------------------------------------------


def numbered(opened: bytes, *uids: int, search: bytes = b"* SEARCH\r\n", sizes: bool = True) -> Script:
    """Play GNU mailutils: ``UID SEARCH UID 1:*`` finds nothing, or numbers of the sequence, and FETCH by number is right."""
    named = dict(enumerate(uids, 1))
    replies = {
        "EXAMINE": opened,
        "UID SEARCH": search,
        "FETCH": b"".join(b"* %d FETCH (UID %d)\r\n" % pair for pair in named.items()),
        "UID FETCH": b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % pair for pair in named.items()) if sizes else b"",
    }
    return Script(replies)


OLD = OPENED.replace(b"UIDNEXT 4", b"UIDNEXT 16")


@pytest.mark.parametrize("search", [b"", b"* SEARCH\r\n", b"* SEARCH 1 2 3\r\n", b"* SEARCH 15\r\n"])
@pytest.mark.parametrize("cursor", [None, "7 12 12"])
def test_P1_what_a_search_does_not_name_is_listed_by_number(tmp_path: Path, search: bytes, cursor: str | None) -> None:
    script = numbered(OLD, 11, 12, 15, search=search)
    with session(script, tmp_path) as opened:
        pages = list(opened.listing("INBOX", cursor))
    assert [one for page in pages for one in page.keys] == [Listed("7:11", 9), Listed("7:12", 9), Listed("7:15", 9)]
    assert [(page.exists, page.doubts) for page in pages] == [(3, ())] * len(pages)
    assert script.asked("^FETCH") == ["FETCH 1:3 (UID)"]


def test_P1_what_neither_search_nor_a_range_of_uids_names_is_listed_without_a_size(tmp_path: Path) -> None:
    with session(numbered(OLD, 11, 12, 15, sizes=False), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert (page.keys, page.doubts) == ((Listed("7:11", None), Listed("7:12", None), Listed("7:15", None)), ())


@pytest.mark.parametrize(("uids", "named"), [((11, 12), 2), ((), 0), ((11, 12, 15, 16), 4)])
def test_P1_a_folder_of_which_the_server_lists_another_number_than_it_counts_is_in_doubt(
    tmp_path: Path, uids: tuple[int, ...], named: int
) -> None:
    with session(numbered(OLD, *uids), tmp_path) as opened:
        pages = list(opened.listing("INBOX", None))
    assert [one for page in pages for one in page.keys] == [Listed(f"7:{uid}", 9) for uid in uids]
    assert {page.doubts for page in pages} == {(f"the server counts 3 messages and lists {named}",)}


def test_P1_where_no_answer_names_all_what_any_of_them_names_is_listed(tmp_path: Path) -> None:
    with session(numbered(OLD, 11, 15, search=b"* SEARCH 12\r\n"), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
    assert page.keys == (Listed("7:11", 9), Listed("7:12", None), Listed("7:15", 9))
    assert page.doubts == ("the server counts 3 messages and lists 2",)


def test_P1_a_folder_whose_next_number_went_back_is_in_doubt(tmp_path: Path) -> None:
    with session(numbered(OLD, 11, 12, 15, search=b"* SEARCH 11 12 15\r\n"), tmp_path) as opened:
        sound, doubtful = [{page.doubts for page in opened.listing("INBOX", cursor)} for cursor in ("7 15 12", "7 16 12")]
    assert sound == {()}
    assert doubtful == {("UIDNEXT is 16, though message 16 was listed before",)}


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_answers_are_told_apart_by_uid_whatever_comes_between_them(tmp_path: Path) -> None:
    answer = (
        b"* 3 FETCH (BODY[] {5}\r\nthird UID 3)\r\n* 9 EXPUNGE\r\n* 12 EXISTS\r\n"
        b"* 4 FETCH (UID 44 BODY[] {3}\r\nnot)\r\n* 1 FETCH (FLAGS (\\Seen) UID 1)\r\n"
        b'* 2 FETCH (UID 2 MODSEQ (9) BODY[] "se\\"co\\\\nd" FLAGS ())\r\n* OK [ALERT] full\r\n'
        b"* 1 FETCH (UID 1 BODY[] {0}\r\n)\r\n"
    )
    with session(Script({"UID FETCH": answer}), tmp_path) as opened:
        assert fetched(opened, tmp_path, KEYS) == {"7:1": b"", "7:2": b'se"co\\nd', "7:3": b"third"}


def test_P4_one_message_that_can_not_be_had_costs_no_other(tmp_path: Path) -> None:
    replies = {
        "UID FETCH 1:3": b"* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\nTAG NO [SERVERBUG] some could not be had\r\n",
        "UID FETCH 2": b"TAG NO [SERVERBUG] it is broken\r\n",
        "UID FETCH 3": b"* 3 FETCH (UID 3 BODY[] {5}\r\nthree)\r\n",
    }
    with session(Script(replies), tmp_path) as opened:
        found = fetched(opened, tmp_path, KEYS)
    assert (found["7:1"], found["7:3"]) == (b"one", b"three")
    assert isinstance(found["7:2"], Failed)
    assert "it is broken" in found["7:2"].cause


CONTENTLESS = [b"* 1 FETCH (UID 1 BODY[] NIL)\r\n", b"* 1 FETCH (UID 1)\r\n", b"", b"TAG BAD what?\r\n"]


@pytest.mark.parametrize("answer", CONTENTLESS)
def test_P1_a_message_without_content_fails_as_long_as_the_server_lists_it(tmp_path: Path, answer: bytes) -> None:
    with session(Script({"UID FETCH": answer}), tmp_path) as opened:
        assert isinstance(fetched(opened, tmp_path, KEYS[:1])["7:1"], Failed)


@pytest.mark.parametrize("answer", CONTENTLESS)
def test_P1_only_what_neither_search_nor_fetch_knows_is_gone(tmp_path: Path, answer: bytes) -> None:
    with session(Script({"UID FETCH": answer, "UID SEARCH": b"* SEARCH\r\n"}), tmp_path) as opened:
        assert isinstance(fetched(opened, tmp_path, KEYS[:1])["7:1"], Failed if b"UID 1" in answer else Gone)


def test_P8_a_message_far_longer_than_it_was_listed_fails_and_the_others_come(tmp_path: Path) -> None:
    answer = (
        b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n* 2 FETCH (BODY[] {%d}\r\n%b UID 2)\r\n* 3 FETCH (UID 3 BODY[] {3}\r\nyes)\r\n"
    )
    body = b"x" * (2 << 20)
    with session(Script({"UID FETCH": answer % (len(body), body, len(body), body)}), tmp_path) as opened:
        listed = [KEYS[0], KEYS[1], Listed("7:3", None)]
        found = fetched(opened, tmp_path, listed)
    for key in ("7:1", "7:2"):
        failed = found[key]
        assert isinstance(failed, Failed)
        assert re.fullmatch(
            r"127\.0\.0\.1:\d+: the server (sends|sent) 2097152 bytes of it, and at most 1048776 may come", failed.cause
        )
    assert found["7:3"] == b"yes"


def test_P8_a_message_without_end_fails_and_ends_the_session(tmp_path: Path) -> None:
    answer = b"* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\n* 2 FETCH (UID 2 BODY[] {99999999999999}\r\n" + b"x" * 1000
    with session(Script({"UID FETCH": answer}), tmp_path) as opened, Spool(tmp_path / "spool") as spool:
        spool.expect(KEYS, 64 << 20)
        found = opened.fetch("INBOX", KEYS, spool)
        assert isinstance(next(found), Came)
        failed = next(found)
        assert isinstance(failed, Failed)
        assert "99999999999999" in failed.cause
        with pytest.raises(TransientError, match="99999999999999"):
            next(found)


@pytest.mark.parametrize("answer", [b"* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n* 1 FETCH (UID 1 BODY[] {1}\r\nb)\r\n"])
def test_a_message_that_comes_twice_in_one_answer_is_not_believed(tmp_path: Path, answer: bytes) -> None:
    with session(Script({"UID FETCH": answer}), tmp_path) as opened:
        found = fetched(opened, tmp_path, KEYS[:1])["7:1"]
    assert isinstance(found, Failed)
    assert "twice" in found.cause


def test_a_large_message_of_short_pieces_is_fetched_to_its_end(tmp_path: Path) -> None:
    replies = {
        "UID FETCH 1 (UID BODY.PEEK[]<0.": b"* 1 FETCH (UID 1 BODY[]<0> {3}\r\nabc)\r\n",
        "UID FETCH 1 (UID BODY.PEEK[]<3.": b"* 1 FETCH (UID 1 BODY[]<3> {3}\r\ndef)\r\n",
        "UID FETCH 1 (UID BODY.PEEK[]<6.": b'* 1 FETCH (UID 1 BODY[]<6> "")\r\n',
    }
    with session(Script(replies), tmp_path) as opened:
        assert fetched(opened, tmp_path, [Listed("7:1", 5 << 20)]) == {"7:1": b"abcdef"}


@pytest.mark.parametrize(
    ("answer", "there", "expected"),
    [
        (b"* 1 FETCH (UID 1 BODY[] {1048577}\r\n" + b"x" * 1048577 + b")\r\n", b"* SEARCH 1\r\n", Failed),
        (b"TAG NO it is broken\r\n", b"* SEARCH 1\r\n", Failed),
        (b"", b"* SEARCH\r\n", Gone),
    ],
)
def test_a_large_message_that_can_not_be_had(tmp_path: Path, answer: bytes, there: bytes, expected: type[Fetched]) -> None:
    with session(Script({"UID FETCH": answer, "UID SEARCH": there}), tmp_path) as opened:
        assert isinstance(fetched(opened, tmp_path, [Listed("7:1", 5 << 20)])["7:1"], expected)


@pytest.mark.parametrize("origin", [b"", b"<0>", b"<0.1048576>", b"<7>"])
def test_a_piece_from_elsewhere_than_was_asked_for_is_no_piece(tmp_path: Path, origin: bytes) -> None:
    replies = {"UID FETCH": b"* 1 FETCH (UID 1 BODY[]" + origin + b" {12}\r\nalways these)\r\n"}
    with session(script := Script(replies), tmp_path) as opened:
        found = fetched(opened, tmp_path, [Listed("7:1", 5 << 20)])["7:1"]
    assert isinstance(found, Failed)
    assert "from byte" in found.cause
    assert len(script.asked("UID FETCH")) <= 2


def test_P8_a_large_message_in_tiny_pieces_is_given_up_after_some_rounds(tmp_path: Path) -> None:
    class Tiny(Script):
        def reply(self, tag: bytes, command: str) -> bytes:
            if not command.startswith("UID FETCH"):
                return super().reply(tag, command)
            self.heard.append(command)
            offset = command.partition("<")[2].partition(".")[0].encode()
            return b"* 1 FETCH (UID 1 BODY[]<" + offset + b"> {1}\r\nx)\r\n" + tag + b" OK done\r\n"

    with session(script := Tiny(), tmp_path) as opened:
        found = fetched(opened, tmp_path, [Listed("7:1", 5 << 20)])["7:1"]
    assert isinstance(found, Failed)
    assert "pieces" in found.cause
    assert len(script.asked("UID FETCH")) < 200


def test_P8_headers_that_would_fill_the_memory_end_the_session(tmp_path: Path) -> None:
    replies = {"UID FETCH": b"* 1 FETCH (UID 1 BODY[HEADER] {99999999999}\r\nx)\r\n"}
    with session(Script(replies), tmp_path) as opened, pytest.raises(TransientError, match="99999999999"):
        list(opened.headers("INBOX", ["7:1"]))


def test_P4_headers_that_are_too_long_are_left_out_and_the_others_come(tmp_path: Path) -> None:
    long = b"* 1 FETCH (UID 1 BODY[HEADER] {100000}\r\n" + b"x" * 100_000 + b")\r\n"
    replies = {"UID FETCH": long + b"* 2 FETCH (UID 2 BODY[HEADER] {6}\r\nDate:x)\r\n"}
    with session(Script(replies), tmp_path) as opened:
        assert list(opened.headers("INBOX", ["7:1", "7:2"])) == [("7:2", b"Date:x")]


def test_what_came_before_a_goodbye_stands(tmp_path: Path) -> None:
    answer = b"* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\n* BYE going down\r\nTAG HANG UP\r\n"
    with session(Script({"UID FETCH": answer}), tmp_path) as opened, Spool(tmp_path / "spool") as spool:
        found = opened.fetch("INBOX", KEYS, spool)
        assert next(found).key == "7:1"
        with pytest.raises(TransientError, match="going down"):
            next(found)


def test_a_connection_that_breaks_when_a_message_is_asked_for_again_is_transient(tmp_path: Path) -> None:
    replies = {"UID FETCH 1:3": b"* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\n", "UID FETCH 2": b"* BYE\r\nTAG HANG UP\r\n"}
    with session(Script(replies), tmp_path) as opened, Spool(tmp_path / "spool") as spool:
        found = opened.fetch("INBOX", KEYS, spool)
        assert next(found).key == "7:1"
        with pytest.raises(TransientError, match="the session ended"):
            next(found)


def test_headers_that_can_not_be_had_are_left_out(tmp_path: Path) -> None:
    replies = {
        "UID FETCH 1:3": b"TAG NO one is broken\r\n",
        "UID FETCH 1": b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] {6}\r\nDate:x)\r\n",
        "UID FETCH 2": b"TAG NO broken\r\n",
    }
    with session(Script(replies), tmp_path) as opened:
        assert list(opened.headers("INBOX", ["7:1", "7:2", "7:3", "8:1", "nonsense"])) == [("7:1", b"Date:x")]
