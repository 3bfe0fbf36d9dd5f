"""Which known mail is recognised under new keys after a server has renumbered a folder."""

from __future__ import annotations

from gatewayd.importing.anchoring import AnchorHeaders


def test_P8_of_a_head_without_end_the_first_lines_are_read() -> None:
    known = b"Message-ID: <1@x.example>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\n"
    assert AnchorHeaders.of(b"X: y\r\n" * 400 + known).mark
    assert AnchorHeaders.of(b"X: y\r\n" * 500 + known) == AnchorHeaders()
    assert AnchorHeaders.of(b"\r" * 500 + known) == AnchorHeaders()
