"""What an IMAP server says at one time is held against what it says at another, played by a small scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Listed, TransientError
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
