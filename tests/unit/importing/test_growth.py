"""Mail that grows on its server, by fields that programs write into its header, is the mail that it was (P2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Action, TransientError
from gatewayd.config import ImportConfig
from gatewayd.importing.growth import has_grown
from gatewayd.message.mail import BytesSource
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from pathlib import Path

#: As GNU mailutils, c-client and mbox files have them; folded, too.
FIELDS = (
    b"Status: RO\r\n",
    b"Status: O\r\nX-UID: 7\r\nX-Status: F\r\n",
    b"X-Keywords: one\r\n two\r\n",
    b"Content-Length: 120\r\n",
)


def with_fields(raw: bytes, fields: bytes, *, first: bool = False) -> bytes:
    head, end, body = raw.partition(b"\r\n\r\n")
    return fields + raw if first else head + b"\r\n" + fields + end[2:] + body


def grew(before: bytes, now: bytes) -> bool:
    return has_grown(BytesSource(before), BytesSource(now))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_what_is_longer_by_fields_that_servers_write_has_grown(fields: bytes, end: bytes, *, first: bool) -> None:
    raw = make_raw(1) + b"x" * (1 << 20)
    now = with_fields(raw, fields, first=first)
    assert grew(raw.replace(b"\r\n", end), now.replace(b"\r\n", end))
    assert grew(now.replace(b"\r\n", end), raw.replace(b"\r\n", end)), "such fields go, too"
    assert not grew(raw.replace(b"\r\n", end), now.replace(b"\r\n", end)[:-1] + b"y"), "its last byte is another one"


@pytest.mark.parametrize(
    "now",
    [
        make_raw(1),
        make_raw(2),
        with_fields(make_raw(2), FIELDS[0]),
        with_fields(make_raw(1), b"X-Spam: yes\r\n"),
        with_fields(make_raw(1), b"Status: RO\r\nX-Spam: yes\r\n"),
        with_fields(make_raw(1), FIELDS[0]) + b"more",
        with_fields(make_raw(1), FIELDS[0])[:-3] + b"?\r\n",
        with_fields(make_raw(1), FIELDS[0]).replace(b"Subject: ", b"Subject:  "),
        with_fields(make_raw(1), b"X-Keywords: " + b"x" * 5000 + b"\r\n"),
        make_raw(1) + b"Status: RO\r\n",
        b"Status: RO\r\n",
        b"",
    ],
)
def test_what_differs_in_anything_else_has_not(now: bytes) -> None:
    assert not grew(make_raw(1), now)
    assert not grew(make_raw(1).replace(b"\r\n\r\n", b"\r\n"), now), "no header ends there"


def mailbox(*, has_cursor: bool) -> FakeTransport:
    transport = FakeTransport(account="main", overlap=50, has_cursor=has_cursor)
    for number in (1, 2, 3):
        message = transport.message(transport.deliver(make_raw(number)))
        message.arrival = message.arrival if has_cursor else None
    return transport


def grow(transport: FakeTransport, fields: bytes) -> None:
    for message in transport.folders["INBOX"].messages:
        message.raw = with_fields(message.raw, fields)
        message.listed_size = len(message.raw)


@pytest.mark.parametrize("has_cursor", [True, False])
def test_P2_mail_that_grows_on_its_server_is_filed_once(tmp_path: Path, *, has_cursor: bool) -> None:
    transport = mailbox(has_cursor=has_cursor)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        for fields in (b"Status: O\r\n", b"X-UID: 7\r\n"):
            grow(transport, fields)
            report = gateway.visit()
            assert (report.error, report.tally.filed, report.tally.duplicate) == (None, 0, 3)
        assert len(gateway.filings()) == 3
        assert set(gateway.states().values()) == {"duplicate"}
        (entry, *_) = gateway.store.entries("main", "duplicate", after=0, limit=99)
        assert entry.cause.startswith("mail 1, but for fields that its server has written")
        audit = gateway.audit()
        assert (len(set(audit.grown)), audit.unlike, audit.proven) == (3, (), True)
        assert gateway.good().listed == 0


@pytest.mark.parametrize("has_cursor", [True, False])
def test_P3_mail_that_has_grown_before_it_was_settled_is_settled_all_the_same(tmp_path: Path, *, has_cursor: bool) -> None:
    transport = mailbox(has_cursor=has_cursor)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=Action(do="delete"))) as gateway:
        transport.on("settle", TransientError("lost"))
        gateway.visit()
        grow(transport, b"Status: RO\r\n")
        gateway.visit()
        assert gateway.good().settled == 3
        assert (transport.keys(), len(gateway.filings())) == ([], 3)


@pytest.mark.parametrize("change", [lambda raw: raw + b"more\r\n", lambda raw: raw.replace(b"From: ", b"From: x")])
def test_P1_another_message_under_the_key_is_filed_though_it_has_such_fields(tmp_path: Path, change: Any) -> None:
    transport = mailbox(has_cursor=True)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        grow(transport, b"Status: RO\r\n")
        message = transport.message("1:2")
        message.raw = change(message.raw)
        message.listed_size = len(message.raw)
        gateway.visit()
        assert len(gateway.filings()) == 4


@pytest.mark.parametrize("has_cursor", [True, False])
def test_P2_mail_that_was_gone_for_a_while_and_is_back_grown_is_filed_once(tmp_path: Path, *, has_cursor: bool) -> None:
    """A program that rewrites a mailbox of the kind mbox empties it for a moment, and writes such fields."""
    transport = mailbox(has_cursor=has_cursor)
    inbox = transport.folders["INBOX"]
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        there, inbox.messages = inbox.messages, []
        gateway.good(compare=True)
        inbox.messages = there
        grow(transport, b"Status: RO\r\n")
        report = gateway.visit(compare=True)
        assert (report.error, report.tally.filed, report.tally.duplicate) == (None, 0, 3)
        assert len(gateway.filings()) == 3
        assert gateway.audit().proven


@pytest.mark.parametrize("has_cursor", [True, False])
def test_P2_mail_that_grew_each_by_fields_of_its_own_while_its_folder_was_renumbered_is_filed_once(
    tmp_path: Path, *, has_cursor: bool
) -> None:
    transport = mailbox(has_cursor=has_cursor)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        transport.renumber()
        for place, message in enumerate(transport.folders["INBOX"].messages):
            message.raw = with_fields(message.raw, f"X-UID: {10**place}\r\n".encode())
            message.listed_size = len(message.raw)
        # One that only looks like one of them is mail of its own.
        message.raw += b"more\r\n"
        message.listed_size = len(message.raw)
        report = gateway.good()
        assert (report.tally.filed, report.tally.duplicate) == (1, 2)
        assert len(gateway.filings()) == 4
        assert gateway.audit().proven
