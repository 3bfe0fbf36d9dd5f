"""The transport ``imap`` against a real Dovecot: numbers, folders, fetching and settling."""

from __future__ import annotations

import hashlib
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd import CHUNK, Action, Came, Failed, Gone, Listed, PermanentError, Spool, TransientError
from gatewayd.testing.contracts.transport import message
from gatewayd.testing.messages.malformed import malformed_messages
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy
from tests.plugins.imap_site import FOLDER, DovecotSite, behind, keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(dovecot: Dovecot) -> DovecotSite:
    return DovecotSite(dovecot)


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_renumbered_folder_is_listed_anew_and_its_old_keys_are_gone(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(5)])
    with closing(site.transport().open()) as session:
        (first,) = session.listing("INBOX", None)
    site.dovecot.renumber(site.user)
    site.dovecot.rewrite(site.user, "INBOX", lambda raw: raw.replace(b"Subject: Booking", b"Subject: [ext] Booking"))
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        (second,) = session.listing("INBOX", first.cursor)
        assert {type(one) for one in session.fetch("INBOX", first.keys, spool)} == {Gone}
        assert list(session.headers("INBOX", [one.key for one in first.keys])) == []
        heads = [head for _, head in session.headers("INBOX", [one.key for one in second.keys])]
        assert keys(session, "INBOX", second.cursor) == list(second.keys)
    assert (first.others_gone, second.others_gone, second.backlog) == (False, True, True)
    assert not {one.key for one in first.keys} & {one.key for one in second.keys}
    assert all(b"[ext]" in head for head in heads)


def test_only_the_first_page_after_renumbering_says_that_others_are_gone(site: DovecotSite) -> None:
    site.deliver([message(number) for number in range(1_500)])
    with closing(site.transport().open()) as session:
        assert [page.others_gone for page in session.listing("INBOX", "1 1500 1500")] == [True, False]


def test_a_renumbered_folder_that_is_empty_is_heard_of(site: DovecotSite) -> None:
    with closing(site.transport().open()) as session:
        (page,) = session.listing("INBOX", "1 7 7")
        assert (page.keys, page.others_gone) == ((), True)
        (page,) = session.listing("INBOX", page.cursor)
        assert (page.keys, page.others_gone, page.exists) == ((), False, 0)


def test_the_last_50_messages_are_listed_again_and_no_others(site: DovecotSite) -> None:
    site.deliver([message(number) for number in range(120)])
    with closing(site.transport().open()) as session:
        (page,) = session.listing("INBOX", None)
        (again,) = session.listing("INBOX", page.cursor)
        assert (again.keys, again.cursor, again.exists, again.doubts) == (page.keys[-50:], page.cursor, 120, ())
        site.deliver([message(120), message(121)])
        assert len(keys(session, "INBOX", page.cursor)) == 52


def test_messages_far_below_the_last_ones_are_found_among_the_numbers_that_are_left(site: DovecotSite) -> None:
    site.deliver([message(number) for number in range(100)])
    with closing(site.transport().open()) as session:
        (page,) = session.listing("INBOX", None)
    with site.dovecot.client(site.user) as other:
        other.select("INBOX")
        other.store("20:100", "+FLAGS", "(\\Deleted)")
        other.expunge()
    with closing(site.transport().open()) as session:
        assert keys(session, "INBOX", page.cursor) == list(page.keys[:19])


def test_messages_below_the_cursor_that_vanish_change_nothing(site: DovecotSite) -> None:
    site.deliver([message(number) for number in range(4)])
    with closing(site.transport().open()) as session:
        (page,) = session.listing("INBOX", None)
    site.remove(3)
    site.remove(0)
    with closing(site.transport().open()) as session:
        assert keys(session, "INBOX", page.cursor) == list(page.keys[1:3])
        assert len(keys(session)) == 2


def test_listings_say_size_and_arrival(site: DovecotSite) -> None:
    arrived = datetime(2025, 3, 1, 23, 30, 15, tzinfo=UTC)
    site.dovecot.deliver(site.user, [message(1, b"LF\nonly\n")], arrival=arrived)
    with closing(site.transport().open()) as session:
        (listed,) = keys(session)
    assert (listed.size, listed.arrival) == (len(site.raw()[0]), arrived)


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [FOLDER, 'a "quoted" one', "back\\slash", "&", "Börse &- Co", "tab\tand\nline", "%", "(x) {3}"])
def test_folders_are_named_as_people_read_them(site: DovecotSite, folder: str, tmp_path: Path) -> None:
    site.dovecot.deliver(site.user, [message(1)], folder)
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        (came,) = session.fetch(folder, keys(session, folder), spool)
        assert isinstance(came, Came)
        assert session.problems([folder], None) == []
        session.settle("INBOX", [], Action(do="move", folder=folder))


def test_keys_of_several_folders_are_told_apart(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(1)])
    site.dovecot.deliver(site.user, [message(2), message(3)], "Sent")
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        inbox, sent = keys(session), keys(session, "Sent")
        assert (len(inbox), len(sent)) == (1, 2)
        # Asked for in the wrong folder, a key is not mistaken for another message.
        assert [type(one) for one in session.fetch("Sent", inbox, spool)] == [Gone]
        assert [type(one) for one in session.fetch("INBOX", inbox, spool)] == [Came]


def test_problems_name_the_nearest_folder_and_the_missing_target(site: DovecotSite) -> None:
    site.dovecot.deliver(site.user, (), FOLDER)
    with closing(site.transport().open()) as session:
        (near,) = session.problems(["Entwürfe und Co/日本"], None)
        (far,) = session.problems(["xyz"], None)
        (target,) = session.problems(["INBOX"], Action(do="move", folder="Imported"))
        assert session.problems(["INBOX", FOLDER], Action(do="move", folder=FOLDER)) == []
        assert session.problems(["INBOX"], Action(do="delete")) == []
    assert "'Entwürfe und Co/日本'" in near
    assert f"the server has '{FOLDER}' (and 1 more, which are less alike): correct `folders`" in near
    assert f"the server has '{FOLDER}', INBOX: correct `folders`" in far
    assert "no folder Imported" in target


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_P8_a_message_of_20_mb_is_fetched_in_pieces_and_never_whole_in_memory(site: DovecotSite, tmp_path: Path) -> None:
    line = b"0123456789" * 7 + b"\r\n"
    site.deliver([message(1), message(2, line * 290_000), message(3)])
    with FaultProxy(site.host, site.port) as proxy, closing(site.transport(port=proxy.port).open()) as session:
        proxy.record = True
        listed = keys(session)
        with Spool(tmp_path / "spool") as spool:
            tracemalloc.start()
            found = list(session.fetch("INBOX", listed, spool))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            spool.seal()
            came = {one.key: one for one in found if isinstance(one, Came)}
            expected = hashlib.sha256(site.raw()[1]).digest()
            assert (came[listed[1].key].source.size, came[listed[1].key].digest) == (listed[1].size, expected)
            assert len(came) == 3
        recorded = proxy.sent_by_clients
    assert recorded.count(b"BODY.PEEK[]<") == 20_880_115 // CHUNK + 1
    assert peak < 8 * CHUNK


def test_P8_a_batch_goes_to_the_spool_as_it_comes(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number, b"0123456789" * 7 + b"\r\n") for number in range(2)])
    site.deliver([message(number, (b"x" * 70 + b"\r\n") * 20_000) for number in range(11)])
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        tracemalloc.start()
        found = list(session.fetch("INBOX", listed, spool))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert all(isinstance(one, Came) for one in found)
    assert sum(one.size or 0 for one in listed) > 14 * CHUNK
    assert peak < 4 * CHUNK


def test_P5_malformed_mail_comes_byte_for_byte(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([raw for _, raw in malformed_messages()])
    expected = [hashlib.sha256(raw).digest() for raw in site.raw()]
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        found = {one.key: one for one in session.fetch("INBOX", listed, spool)}
        digests = [one.digest if isinstance(one := found[key.key], Came) else one for key in listed]
    assert digests == expected


def test_a_message_whose_file_is_lost_fails_or_is_gone_and_the_others_come(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(5)])
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        listed = keys(session)
        (site.dovecot.folder / "mail" / site.user / "new").joinpath(file_of(site, 2)).unlink()
        found = {one.key: type(one) for one in session.fetch("INBOX", listed, spool)}
    assert found.pop(listed[2].key) in (Gone, Failed)
    assert list(found.values()) == [Came] * 4


def file_of(site: DovecotSite, position: int) -> str:
    return sorted(file.name for file in (site.dovecot.folder / "mail" / site.user / "new").iterdir())[position]


def test_a_folder_that_is_gone_is_a_permanent_error(site: DovecotSite, tmp_path: Path) -> None:
    with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
        with pytest.raises(PermanentError, match="'Gone'"):
            list(session.fetch("Gone", [Listed("7:1", 1)], spool))
        assert keys(session) == []


def test_a_full_disk_is_transient(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(1, b"x" * 100_000)])
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with closing(site.transport().open()) as session:
        listed = keys(session)
        spool = Spool(tmp_path / "spool")
        spool._file.close()
        spool._file = full.open("wb", buffering=0)  # type: ignore[assignment]  # every write to it fails
        with pytest.raises(TransientError, match="the spool can't be written: No space left"):
            list(session.fetch("INBOX", listed, spool))
        spool.close()


def test_P3_reading_sends_nothing_that_changes_anything(site: DovecotSite, tmp_path: Path) -> None:
    site.deliver([message(number, b"x" * number) for number in range(1_200)])
    site.dovecot.deliver(site.user, [message(1, b"x" * (5 << 20))], FOLDER)
    before = site.dovecot.snapshot(site.user), site.dovecot.snapshot(site.user, FOLDER)
    proxy = FaultProxy(site.host, site.port)
    proxy.record = True
    with behind(proxy, site) as session, Spool(tmp_path / "spool") as spool:
        for folder in ("INBOX", FOLDER):
            listed = keys(session, folder)
            assert all(isinstance(one, Came) for one in session.fetch(folder, listed, spool))
            assert len(list(session.headers(folder, [one.key for one in listed]))) == len(listed)
        session.problems(["INBOX", "nowhere"], Action(do="delete"))
        session.close()
    commands = {line.split(b" ", 1)[1] for line in proxy.sent_by_clients.splitlines() if b" " in line}
    words = {command.split(b" ")[1] if command.startswith(b"UID ") else command.split(b" ")[0] for command in commands}
    assert words == {b"CAPABILITY", b"LOGIN", b"EXAMINE", b"SEARCH", b"FETCH", b"LIST", b"LOGOUT"}
    assert all(b"PEEK" in command for command in commands if b"BODY" in command)
    assert (site.dovecot.snapshot(site.user), site.dovecot.snapshot(site.user, FOLDER)) == before


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action(do="seen"), Action(do="move", folder=FOLDER), Action(do="delete")])
@pytest.mark.parametrize("capability", ["MOVE UIDPLUS", "UIDPLUS"])
def test_P3_settling_leaves_other_peoples_deleted_mail_alone(action: Action, capability: str) -> None:
    with Dovecot(imap_capability=f"IMAP4rev1 {capability}") as dovecot:
        site = DovecotSite(dovecot)
        site.deliver([message(number) for number in range(4)])
        dovecot.deliver(site.user, (), FOLDER)
        with dovecot.client(site.user) as other:
            other.select()
            other.uid("STORE", "1,4", "+FLAGS", "(\\Deleted)")
            other.unselect()
        with closing(site.transport().open()) as session:
            settled = [one.key for one in keys(session)][1:3]
            session.settle("INBOX", settled, action)
            session.settle("INBOX", settled, action)
            assert len(keys(session)) == (4 if action.do == "seen" else 2)
        flags = {uid: set(found) - {"\\Recent"} for uid, found, _ in dovecot.snapshot(site.user).messages}
        moved = dovecot.snapshot(site.user, FOLDER).messages
    rest = {2: {"\\Seen"}, 3: {"\\Seen"}} if action.do == "seen" else {}
    assert flags == {1: {"\\Deleted"}, 4: {"\\Deleted"}} | rest
    assert len(moved) == (2 if action.do == "move" else 0)
    assert all("\\Deleted" not in found and "\\Seen" not in found for _, found, _ in moved)


def test_settling_under_old_numbers_touches_nothing_and_stays_owed(site: DovecotSite) -> None:
    site.deliver([message(1)])
    before = site.dovecot.snapshot(site.user).uids
    renumbered = pytest.raises(TransientError, match="was renumbered before this could be done: delete")
    with closing(site.transport().open()) as session, renumbered:
        session.settle("INBOX", ["1:1", "no key"], Action(do="delete"))
    assert site.dovecot.snapshot(site.user).uids == before


def test_moving_to_a_missing_folder_names_it(site: DovecotSite) -> None:
    site.deliver([message(1)])
    with closing(site.transport().open()) as session:
        listed = [one.key for one in keys(session)]
        with pytest.raises(PermanentError, match="can't move to 'Nowhere'") as caught:
            session.settle("INBOX", listed, Action(do="move", folder="Nowhere"))
        assert "Nowhere" in caught.value.advice
        assert len(keys(session)) == 1


def test_P4_a_mail_with_a_subject_of_megabytes_keeps_no_other_headers_back(site: DovecotSite) -> None:
    """Anybody may send one; in a folder that was renumbered the headers of all are asked for."""
    long = b"Message-ID: <long@example.com>\r\nSubject: " + b"x" * 900 + b"\r\n" + b" y\r\n" * 800_000
    site.deliver([message(1), long + b"\r\nhello\r\n", message(3)])
    with closing(site.transport().open()) as session:
        names = [one.key for one in keys(session)]
        found = dict(session.headers("INBOX", names))
    assert set(found) == set(names)
    assert len(found[names[1]]) <= 1 << 13
    assert b"Message-ID" in found[names[2]]
