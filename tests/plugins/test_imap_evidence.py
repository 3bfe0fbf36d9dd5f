"""What an IMAP server says at one time is held against what it says at another, played by a small scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Came, Listed, Spool, TransientError
from tests.plugins.imap_script import OPENED, Script, session

if TYPE_CHECKING:
    from pathlib import Path


def test_P3_messages_of_a_folder_that_was_renumbered_since_are_not_taken_for_gone(tmp_path: Path) -> None:
    """What is gone counts as settled. Courier numbers a folder anew at each opening until it was opened for writing."""
    sizes = b"".join(b"* %d FETCH (UID %d RFC822.SIZE 9)\r\n" % (n, n) for n in (1, 2, 3))
    with session(script := Script({"UID FETCH": sizes}), tmp_path) as opened:
        (page,) = opened.listing("INBOX", None)
        keys = [one.key for one in page.keys]
        assert list(opened.look_up("INBOX", keys)) == [Listed(key, 9) for key in keys]
        script.replies["EXAMINE"] = OPENED.replace(b"VALIDITY 7", b"VALIDITY 8")
        with pytest.raises(TransientError, match="folder 'INBOX' was renumbered"):
            list(opened.look_up("INBOX", keys))


@pytest.mark.parametrize("size", [(4 << 20) + 100, 5 << 20, (5 << 20) + 700_000, 6 << 20])
def test_P1_a_large_message_of_short_pieces_comes_whole_also_where_its_size_is_listed_too_small(tmp_path: Path, size: int) -> None:
    raw = bytes(range(256)) * 4 * 5500

    class Short(Script):
        """A server that sends at most 300,000 bytes at a time, whatever it is asked for."""

        def reply(self, tag: bytes, command: str) -> bytes:
            if "BODY" not in command:
                return super().reply(tag, command)
            offset = int(command.partition("<")[2].partition(".")[0])
            piece = raw[offset : offset + 300_000]
            return b"* 1 FETCH (UID 1 BODY[]<%d> {%d}\r\n%b)\r\n%b OK done\r\n" % (offset, len(piece), piece, tag)

    listed = [Listed("7:1", size)]
    with session(Short(), tmp_path) as opened, Spool(tmp_path / "spool") as spool:
        spool.expect(listed, 64 << 20)
        (one,) = opened.fetch("INBOX", listed, spool)
    assert isinstance(one, Came)
    assert one.source.size == len(raw)


@pytest.mark.parametrize(
    ("search", "refusal", "found"),
    [
        (b"* SEARCH\r\n", b"[NONEXISTENT] No matching messages", []),
        (b"* SEARCH 1\r\n", b"[NONEXISTENT] No matching messages", [Listed("7:1", None)]),
        (b"* SEARCH\r\n", b"[UNAVAILABLE] later", [Listed("7:1", None), Listed("7:2", None)]),
    ],
)
def test_what_a_server_says_does_not_exist_is_gone_and_what_it_merely_refuses_is_not(
    tmp_path: Path, search: bytes, refusal: bytes, found: list[Listed]
) -> None:
    """Yahoo refuses to fetch where nothing of what is asked for is there."""
    replies = {"UID FETCH": b"TAG NO " + refusal + b"\r\n", "UID SEARCH": search}
    with session(Script(replies), tmp_path) as opened:
        assert list(opened.look_up("INBOX", ["7:1", "7:2"])) == found


def test_P4_a_message_whose_size_is_refused_keeps_no_others_from_being_looked_up(tmp_path: Path) -> None:
    replies = {
        "UID FETCH 1:3": b"* 1 FETCH (UID 1 RFC822.SIZE 9)\r\nTAG NO some messages could not be fetched\r\n",
        "UID FETCH 2:3": b"TAG NO some messages could not be fetched\r\n",
        "UID FETCH 2 ": b"TAG NO [SERVERBUG] it is broken\r\n",
        "UID FETCH 3 ": b"* 3 FETCH (UID 3 RFC822.SIZE 11)\r\n",
    }
    with session(Script(replies), tmp_path) as opened:
        found = list(opened.look_up("INBOX", ["7:1", "7:2", "7:3"]))
    assert found == [Listed("7:1", 9), Listed("7:2", None), Listed("7:3", 11)]


def test_P8_a_server_that_refuses_all_is_not_asked_for_each(tmp_path: Path) -> None:
    with session(script := Script({"UID FETCH": b"TAG NO [LIMIT] Rate limit hit\r\n"}), tmp_path) as opened:
        found = list(opened.look_up("INBOX", [f"7:{uid}" for uid in range(1, 201)]))
    assert [one.size for one in found] == [None] * 200
    assert len(script.asked("UID FETCH")) < 15


@pytest.mark.parametrize("size", [9, 5 << 20])
@pytest.mark.parametrize("refusal", [b"[LIMIT] UID FETCH Rate limit hit.", b"Server Unavailable. 15", b"[UNAVAILABLE] no mailbox"])
def test_a_server_that_refuses_whatever_is_asked_for_puts_no_message_off(tmp_path: Path, refusal: bytes, size: int) -> None:
    """Yahoo and Exchange do. Each message would be asked for, and put off for ever longer."""
    listed = [Listed(f"7:{uid}", size) for uid in (1, 2, 3)]
    with (
        session(script := Script({"UID FETCH": b"TAG NO " + refusal + b"\r\n"}), tmp_path) as opened,
        Spool(tmp_path / "s") as spool,
    ):
        spool.expect(listed, 64 << 20)
        with pytest.raises(TransientError, match="the server answered"):
            list(opened.fetch("INBOX", listed, spool))
    assert len(script.asked("UID FETCH")) <= 2
