"""The transport ``imap`` on Gmail, which calls a message the same in the folder of each label (X-GM-MSGID)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Action
from gatewayd.testing.contracts.transport import TransportContract, message
from gatewayd_imap.uids import gmail_id
from tests.plugins.gmail_server import ALL_MAIL, Gmail, GmailSite
from tests.plugins.imap_script import Script, session
from tests.plugins.imap_site import DovecotSite, keys
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


@pytest.fixture
def gmail(dovecot: Dovecot) -> Iterator[Gmail]:
    with serving(Gmail(dovecot.ports["imap"])) as gmail:
        yield gmail


@pytest.fixture
def site(dovecot: Dovecot, gmail: Gmail) -> GmailSite:
    site = GmailSite(dovecot, gmail)
    dovecot.deliver(site.user, (), "Imported")
    return site


class TestImapOnGmail(TransportContract):
    can_watch = True
    actions: ClassVar[Sequence[Action]] = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    @pytest.fixture
    def site(self, site: GmailSite) -> GmailSite:
        return site


def test_a_message_has_the_same_id_in_the_folder_of_each_label(site: GmailSite) -> None:
    site.dovecot.deliver(site.user, [message(1), message(2)], ALL_MAIL)
    site.label(0, "INBOX", "Imported")
    site.label(1, "Imported")
    with closing(site.transport().open()) as session:
        every = keys(session, ALL_MAIL)
        inbox, labelled = keys(session), keys(session, "Imported")
        found = list(session.look_up("Imported", [one.key for one in labelled]))
    first, second = (one.spanning_id for one in every)
    assert {first, second} & {None, ""} == set()
    assert first != second
    assert [one.spanning_id for one in inbox] == [first]
    assert [one.spanning_id for one in labelled] == [first, second]
    assert found == labelled
    assert {(one.size, one.arrival) for one in inbox} == {(every[0].size, every[0].arrival)}


def test_a_server_without_the_extension_is_not_asked_for_it(dovecot: Dovecot) -> None:
    site = DovecotSite(dovecot)
    site.deliver([message(1)])
    with closing(site.transport().open()) as session:
        assert [one.spanning_id for one in keys(session)] == [None]


@pytest.mark.parametrize("said", ["", " X-GM-MSGID 0", " X-GM-MSGID NIL", " X-GM-MSGID 18446744073709551616", ' X-GM-MSGID "x"'])
def test_what_is_no_id_is_none(said: str, tmp_path: Path) -> None:
    capability = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN X-GM-EXT-1\r\n"
    fetched = f'* 1 FETCH (UID 1 RFC822.SIZE 9 INTERNALDATE "22-Nov-2026 05:00:00 +0000"{said})\r\n'.encode()
    replies = {
        "CAPABILITY": capability,
        "EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n",
        "UID SEARCH": b"* SEARCH 1\r\n",
    }
    with session(Script(replies={**replies, "UID FETCH": fetched}), tmp_path) as opened:
        assert [(one.key, one.size, one.spanning_id) for one in keys(opened)] == [("7:1", 9, None)]


@given(st.integers(1, (1 << 64) - 1), st.integers(0, 3))
def test_an_id_is_written_in_one_way(number: int, zeros: int) -> None:
    written = b"0" * zeros + b"%d" % number
    assert gmail_id(written) == (str(number) if len(written) <= 20 else None)


@given(st.binary(max_size=30))
def test_any_bytes_are_an_id_of_64_bits_or_none(said: bytes) -> None:
    found = gmail_id(said)
    assert found is None or 0 < int(found) < 1 << 64
