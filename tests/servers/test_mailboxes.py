"""Foreign mailbox servers: by gatewayd's commands, on a real store, everything is filed once and nothing else is done.

Where a server can't be sound in something, ``expected.py`` says what gatewayd must tell of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import until
from tests.servers.place import digests, marker, new_mail

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.place import Place

pytestmark = pytest.mark.campaign

_SECONDS = 60.0
_TOP = b"From: Eve <eve@example.com>\r\nTo: me@example.com\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\nMessage-ID: <%s@odd.example>\r\n"
#: What is seldom, and legal or nearly so; what the server makes of it is filed.
ODD = [
    _TOP % b"8bit" + "Subject: Grüße\r\n\r\nGrüße\r\n".encode(),
    _TOP % b"dots" + b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n",
    _TOP % b"from" + b"Subject: from\r\n\r\nx\r\n\r\nFrom here on\r\n>From there\r\n",
    _TOP % b"long" + b"Subject: long\r\n\r\n" + b"x" * 1500 + b"\r\n",
    _TOP % b"open" + b"Subject: no line end\r\n\r\nno line end",
    _TOP % b"none" + b"Subject: no body\r\n\r\n",
    _TOP % b"large" + b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000,
]
#: What fetches a message, in either protocol.
_FETCH = rb"(?i)BODY\.PEEK\[\]|\bRETR\b"


@pytest.mark.scenario("listing")
def test_a_dry_run_lists_what_is_there_and_changes_nothing(place: Place) -> None:
    place.deliver(*new_mail(7, 1))
    before = place.raws()
    assert len(before) == 7
    assert len(place.house.good("import", "main", "--dry-run", "--json").rows) == 7
    assert place.raws() == before


@pytest.mark.scenario("import")
def test_what_is_filed_is_byte_for_byte_what_the_server_gives_anybody(place: Place) -> None:
    place.deliver(*new_mail(30, 2), *ODD)
    row = place.imports()
    assert (row["listed"], row["filed"], row["deferred"]) == (30 + len(ODD), 30 + len(ODD), 0), row
    assert place.house.stored_digests() == digests(place.raws())
    if place.kind == "imap":
        assert not any("Seen" in flags for flags in place.server.flags(place.user))
    place.sound("import")


@pytest.mark.scenario("again")
def test_a_second_import_finds_nothing_new(place: Place) -> None:
    place.deliver(*new_mail(5, 3))
    place.imports()
    # Courier numbers a new mailbox anew at the second visit, and keeps its numbers from then on.
    row = place.imports()
    assert (row["filed"], row["duplicate"], row["said"]) == (0, 0, "")
    row = place.imports()
    assert (row["listed"], row["filed"], row["duplicate"], row["said"]) == (0, 0, 0, "")
    place.deliver(*new_mail(2, 4))
    row = place.imports()
    assert (row["listed"], row["filed"], row["duplicate"]) == (2, 2, 0)
    place.sound("again")


@pytest.mark.scenario("audit")
def test_an_audit_proves_what_is_here_and_names_what_is_not(place: Place) -> None:
    place.deliver(*new_mail(3, 5))
    place.sound("audit")
    place.deliver(*new_mail(1, 6))
    assert "1 key, such as" in place.proven()
    place.sound("audit")


@pytest.mark.scenario("seen")
def test_what_is_filed_is_marked_seen(place: Place) -> None:
    if refused(place, "seen"):
        place.known("seen")
        return
    already = settled(place, "seen")
    assert place.raws() == already
    assert ["Seen" in flags for flags in place.server.flags(place.user)] == [False, False, True, True, True]
    place.sound("seen")


@pytest.mark.scenario("move")
def test_what_is_filed_is_moved(place: Place) -> None:
    other = place.server.other
    if place.kind == "imap":
        with place.server.imap(place.user) as imap:
            assert imap.create(f'"{other}"')[0] == "OK"
    if refused(place, f"{{move: {other}}}"):
        place.known("move")
        return
    already = settled(place, f"{{move: {other}}}")
    assert place.raws() == already[:2]
    assert place.server.raws(place.kind, place.user, other) == already[2:]
    place.sound("move")


@pytest.mark.scenario("delete")
def test_what_is_filed_is_deleted_and_what_somebody_else_wants_deleted_is_not(place: Place) -> None:
    if refused(place, "delete"):
        place.known("delete")
        return
    already = settled(place, "delete")
    assert place.raws() == already[:2]
    place.sound("delete")


@pytest.mark.scenario("watch")
def test_the_daemon_sees_new_mail(place: Place) -> None:
    """By IDLE, long before it would look by itself; POP3 has nothing of the kind."""
    place.account(every="1h" if place.kind == "imap" and place.server.announces else "2s")
    place.deliver(*new_mail(2, 11))
    with place.house.daemon():
        comes(place, 2)
        for number in (3, 4, 5):
            place.deliver(*new_mail(1, 10 + number))
            comes(place, number)
    place.sound("watch")


@pytest.mark.scenario("restart")
def test_a_daemon_outlives_a_restart_of_the_server(place: Place) -> None:
    place.account(every="1s")
    place.deliver(*new_mail(2, 21))
    with place.house.daemon():
        comes(place, 2)
        place.server.stop()
        time.sleep(2)
        place.server.start()
        place.deliver(*new_mail(3, 22))
        comes(place, 5)
    place.sound("restart")
    assert place.house.stored_digests() == digests(place.raws())


@pytest.mark.scenario("recreated")
def test_a_folder_that_is_removed_and_made_anew_is_read_anew(place: Place) -> None:
    old, new = new_mail(5, 31), new_mail(3, 32)
    put = inbox if place.kind == "pop3" else elsewhere
    put(place, old)
    place.settles()
    put(place, [*old[:2], *new])
    place.sound("recreated")
    # The two that came back may have another trace by now.
    assert set(place.house.filed()) == {marker(raw).decode() for raw in (*old, *new)}


@pytest.mark.scenario("restored")
@pytest.mark.parametrize("settles", [False, True])
@pytest.mark.parametrize("come", [1, 5])
def test_a_mailbox_that_is_restored_from_a_backup_loses_nothing(place: Place, settles: bool, come: int, tmp_path: Path) -> None:  # noqa: FBT001  a parameter of the test
    """UIDVALIDITY stays, and UIDNEXT goes back, to numbers or beyond those that were filed."""
    place.account(after=place.server.settles if settles else "keep")
    place.deliver(*new_mail(5, 41))
    seen = place.raws()
    if not settles:
        place.settles()
    place.server.back_up(tmp_path)
    place.settles()
    place.deliver(*new_mail(3, 42))
    seen += place.raws()
    place.settles()
    place.server.restore(tmp_path)
    place.deliver(*new_mail(come, 43))
    seen += place.raws()
    place.sound("restored")
    assert set(place.house.stored_digests()) == set(digests(seen))
    assert len(place.raws()) == (0 if settles and place.server.settles == "delete" else 5 + come)


@pytest.mark.scenario("expunged")
@pytest.mark.parametrize("settles", [False, True])
def test_what_is_expunged_between_listing_and_fetch_is_not_what_is_sent_in_its_place(place: Place, settles: bool) -> None:  # noqa: FBT001  a parameter of the test
    after = place.server.settles if settles else "keep"
    sent = new_mail(5, 51)
    place.deliver(*sent)
    seen = place.raws()
    gone = marker(sent[2])
    with place.interrupted(_FETCH, lambda: place.server.take_away(place.user, gone)):
        place.account(after=after)
        place.imports()
    place.account(after=after)
    place.sound("expunged")
    stored, others = place.house.stored_digests(), digests(raw for raw in seen if gone not in raw)
    assert set(stored) <= set(digests(seen))
    assert set(stored) >= set(others)
    assert len(place.raws()) == (0 if after == "delete" else 4)


@pytest.mark.scenario("unreadable")
def test_a_message_that_the_server_can_not_read_for_a_time_is_filed_afterwards(place: Place) -> None:
    sent = new_mail(5, 61)
    place.account(after=place.server.settles)
    place.deliver(*sent)
    seen = place.raws()
    with place.server.unreadable(place.user, marker(sent[2])):
        place.imports()
        place.imports()
    place.sound("unreadable")
    assert set(place.house.stored_digests()) >= set(digests(seen))
    assert place.because or place.house.stored_digests() == digests(seen)
    assert place.raws() == ([] if place.server.settles == "delete" else seen)


# --- what the scenarios have in common ----------------------------------------------------------------------------------


def comes(place: Place, number: int) -> None:
    """Wait until so many messages are filed."""
    until(f"{number} messages are filed", _SECONDS, lambda: place.filed() >= number)
    assert place.filed() == number


def refused(place: Place, after: str) -> bool:
    """Whether the protocol or the server can't do this without harm: then ``check`` says so, before anything is done."""
    place.account(after=after)
    check = place.house.run("check", "--online")
    if check.code == 0:
        return False
    place.told.append(check.out + check.err)
    return True


def settled(place: Place, after: str) -> list[bytes]:
    """Import two messages that stay, and three of which something is done on the server; return all five as they were."""
    place.account()
    place.deliver(*new_mail(2, 7))
    place.settles()
    if place.kind == "imap":
        with place.server.imap(place.user) as imap:
            imap.select("INBOX")
            imap.store("1", "+FLAGS", r"(\Deleted)")
    place.deliver(*new_mail(3, 8))
    already = place.raws()
    place.account(after=after)
    row = place.imports()
    assert (row["filed"], row["settled"], row["said"]) == (3, 3, "")
    return already


def inbox(place: Place, messages: list[bytes]) -> None:
    """Make INBOX anew, with these messages."""
    place.server.empty(place.user)
    place.deliver(*messages)


def elsewhere(place: Place, messages: list[bytes]) -> None:
    """Make another folder anew, with these messages."""
    place.account(folder=place.server.other)
    with place.server.imap(place.user) as imap:
        imap.delete(f'"{place.folder}"')
        # UIDVALIDITY may be a time in seconds.
        time.sleep(1.1)
        assert imap.create(f'"{place.folder}"')[0] == "OK"
        for message in messages:
            assert imap.append(f'"{place.folder}"', None, None, message)[0] == "OK"
