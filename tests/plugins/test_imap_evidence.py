"""What an IMAP server says at one time is held against what it says at another, played by a small scripted server."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from gatewayd import Came, Listed, PermanentError, Spool, TransientError
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


@pytest.mark.parametrize(("search", "error"), [(b"* SEARCH\r\n", None), (b"* SEARCH 1\r\n", PermanentError)])
def test_what_a_server_says_does_not_exist_is_gone_unless_it_names_it(
    tmp_path: Path, search: bytes, error: type[Exception] | None
) -> None:
    """Yahoo refuses to fetch where nothing of what is asked for is there."""
    replies = {"UID FETCH": b"TAG NO [NONEXISTENT] No matching messages\r\n", "UID SEARCH": search}
    with session(Script(replies), tmp_path) as opened, pytest.raises(error, match="NONEXISTENT") if error else nullcontext():
        assert list(opened.look_up("INBOX", ["7:1", "7:2"])) == []
