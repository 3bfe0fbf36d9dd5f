"""Tests of every transport: what a person chooses a message by."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.testing.contracts.transport import Site

__all__ = ["SummaryContract"]

#: More than are asked for one by one.
_MANY = 12


def _offered(number: int) -> bytes:
    return (
        f"Message-ID: <{number}@example.com>\r\nDate: Mon, 5 Jan 2026 10:00:{number:02} +0100\r\n"
        "From: =?utf-8?q?Anna_M=C3=BCller?= <Anna@example.com>\r\nTo: desk@example.com, Otto <otto@example.com>\r\n"
        f'Subject: Booking\r\n {number}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/pdf\r\n"
        'Content-Disposition: attachment; filename="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n'
    ).encode()


class SummaryContract:
    """Summaries of what is offered."""

    def test_a_summary_says_what_a_person_chooses_by_and_changes_nothing(self, site: Site) -> None:
        """Few are asked for, many are, and one that is gone is left out."""
        site.deliver([_offered(number) for number in range(_MANY)])
        before = site.state()
        with closing(site.transport().open()) as session:
            keys = [one.key for page in session.listing(site.folder, None) for one in page.keys]
            few = {one.key: one for one in session.summaries(site.folder, keys[:2])}
            many = {one.key: one for one in session.summaries(site.folder, keys)}
        assert site.state() == before
        assert list(few.values()) == [many[key] for key in few]
        assert sorted(many) == sorted(keys)
        one = next(each for each in many.values() if each.subject.split() == ["Booking", "7"])
        assert (one.sender.lower(), one.sender_name, one.senders) == ("anna@example.com", "Anna Müller", ("anna@example.com",))
        assert one.to == ("desk@example.com", "otto@example.com")
        assert one.sent_at == datetime(2026, 1, 5, 9, 0, 7, tzinfo=UTC)
        assert one.attachments is True
        site.remove(1)
        with closing(site.transport().open()) as session:
            left = {each.key for each in session.summaries(site.folder, keys)}
            assert left == {each.key for page in session.listing(site.folder, None) for each in page.keys}
            assert len(left) == _MANY - 1
