"""Listings by delta queries: whatever Graph does in between, each message is listed, and none is taken for new twice."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Action, AuthError, Came, Failed, Gone, Listed, PermanentError, Spool, TransientError
from gatewayd.testing.contracts.transport import message
from gatewayd_office365.cursor import DeltaCursor, moment_of
from gatewayd_office365.delta import Step
from gatewayd_office365.listing import pages_of
from gatewayd_office365.pace import pace_of
from tests.patience import LONG
from tests.plugins.graph_site import GraphSite, ids, keys, last_cursor, listed, opened
from tests.unit.testing.graph.graph_client import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd import Fetched, Page
    from gatewayd.testing.graph import Graph
    from gatewayd_office365.transport import Office365Session


def test_paging_to_the_end_over_empty_pages_and_pages_that_come_again(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(1_203)])
    site.graph.knobs.empty_pages, site.graph.knobs.replayed_pages = 3, 2
    with opened(site) as session:
        pages = list(session.listing("INBOX", None))
        assert {one.key for page in pages for one in page.keys} == set(ids(site))
        assert all(page.backlog for page in pages)
        assert [page.exists for page in pages if page.exists is not None] == [1_203]
        assert listed(session, pages[-1].cursor) == []
    assert site.mailbox.initial_deltas == 1


def test_a_quiet_round_imports_nothing_and_leaves_the_cursor_as_it_is(site: GraphSite) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        cursor = last_cursor(session)
        site.graph.log.clear()
        (page,) = session.listing("INBOX", cursor)
        assert (page.keys, page.cursor, page.backlog) == ((), cursor, False)
    assert [one.method for one in site.graph.log.requests] == ["GET"]


def test_new_and_removed_and_updated_in_one_round(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(4)])
    with opened(site) as session:
        cursor = last_cursor(session)
        first, second, *_ = site.mailbox.messages()
        site.mailbox.delete(first)
        site.mailbox.mark_read(second)
        site.deliver([message(9)])
        (page,) = session.listing("INBOX", cursor)
        assert {one.key for one in page.keys} == {second.immutable_id, ids(site)[-1]}
        assert not page.backlog
        assert page.keys[0].arrival is not None


def test_a_message_that_is_removed_where_it_is_told_as_new_is_not_listed(site: GraphSite) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        cursor = last_cursor(session)
        site.deliver([message(2), message(3)])
        site.remove(1)
        assert listed(session, cursor) == [ids(site)[-1]]


def test_mail_that_arrives_while_the_folder_is_listed_first_is_no_backlog(site: GraphSite) -> None:
    site.mailbox.deliver(message(1), received=datetime.now(UTC) - timedelta(days=9))
    site.mailbox.deliver(message(2), received=datetime.now(UTC) + timedelta(hours=1))
    with opened(site) as session:
        old, new = session.listing("INBOX", None)
        assert ([one.key for one in old.keys], old.backlog) == (ids(site)[:1], True)
        assert ([one.key for one in new.keys], new.backlog) == (ids(site)[1:], False)
        # After a crash between the two nothing is lost.
        assert ids(site)[1] in listed(session, old.cursor)
        assert listed(session, new.cursor) == []


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_lost_sync_state_loses_nothing_and_says_that_all_is_listed_anew(site: GraphSite, place: int) -> None:
    """On a nextLink (HTTP 410 in the middle of a walk) as well as on a deltaLink."""
    site.deliver([message(number) for number in range(1_203)])
    with opened(site) as session:
        cursor = list(session.listing("INBOX", None))[place].cursor
        site.graph.drop_sync_states()
        site.mailbox.deliver(message(2_000), received=datetime.now(UTC) + timedelta(hours=1))
        pages = list(session.listing("INBOX", cursor))
        assert [one.key for page in pages for one in page.keys] == ids(site)
        assert [page.others_gone for page in pages] == [True, *[False] * (len(pages) - 1)]
        assert all(page.backlog for page in pages[:-1])
        assert listed(session, pages[-1].cursor) == []


def test_a_lost_sync_state_within_a_listing_begins_anew_and_comes_to_an_end(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(1_203)])
    with opened(site) as session:
        pages = session.listing("INBOX", None)
        first = next(pages)
        site.graph.drop_sync_states()
        rest = list(pages)
        assert {one.key for page in (first, *rest) for one in page.keys} == set(ids(site))
        assert not any(page.others_gone for page in rest)
        site.graph.fail("$skiptoken", status=410, code="syncStateNotFound", times=99)
        with pytest.raises(TransientError, match="forgets each time"):
            list(session.listing("INBOX", None))


@pytest.mark.parametrize("code", ["SyncStateNotFound", "resyncRequired", "RESYNCREQUIRED", "BadRequest", "ErrorInvalidRequest"])
def test_other_answers_that_mean_the_same(site: GraphSite, code: str) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        cursor = last_cursor(session)
        site.graph.fail("$deltatoken", status=400, code=code)
        assert listed(session, cursor) == ids(site)


def test_a_message_that_left_and_came_back_between_two_rounds_is_listed_within_the_hour(site: GraphSite) -> None:
    site.deliver([message(1), message(2)])
    with opened(site) as session:
        cursor = last_cursor(session)
        first = site.mailbox.messages()[0]
        site.mailbox.move(first, "Elsewhere")
        site.mailbox.move(first, "inbox")
        # With immutable ids Graph tells it as removed, and never again.
        assert first.immutable_id not in listed(session, cursor)
        known = DeltaCursor.parse(cursor)
        assert known is not None
        late = str(replace(known, compared=int(time.time()) - 3_700))
        pages = list(session.listing("INBOX", late))
        assert first.immutable_id in {one.key for page in pages for one in page.keys}
        assert not any(page.backlog for page in pages)
        after = DeltaCursor.parse(pages[-1].cursor)
        assert after is not None
        assert after.compared >= time.time() - 100
        assert listed(session, pages[-1].cursor) == []


@pytest.mark.parametrize("within", [False, True])
def test_what_came_since_an_unfinished_first_listing_is_new_though_that_begins_anew(site: GraphSite, *, within: bool) -> None:
    """Whether the link dies between two visits or within one: rules fire for mail that came after the account was there."""
    site.deliver([message(number) for number in range(1_203)])
    with opened(site) as session:
        listing = session.listing("INBOX", None)
        cursor = next(listing).cursor
        began = DeltaCursor.parse(cursor)
        assert began is not None
        site.graph.drop_sync_states()
        site.mailbox.deliver(message(2_000), received=datetime.fromtimestamp(began.backlog_until + 2, UTC))
        while time.time() < began.backlog_until + 3:
            time.sleep(0.1)
        pages = [*listing] if within else [*session.listing("INBOX", cursor)]
        assert [one.key for page in pages for one in page.keys if not page.backlog] == ids(site)[-1:]
        assert {one.key for page in pages for one in page.keys} == set(ids(site))


def compared_at(cursor: str, second: float) -> str:
    """Return a cursor that says when what arrived lately was last listed."""
    known = DeltaCursor.parse(cursor)
    assert known is not None
    return str(replace(known, compared=int(second)))


@pytest.mark.parametrize("ahead", [-3_700, 3 * 86_400])
def test_what_arrived_lately_is_listed_each_hour_also_after_a_clock_that_was_ahead(site: GraphSite, ahead: int) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        cursor = compared_at(last_cursor(session), time.time() + ahead)
        *_, page = session.listing("INBOX", cursor)
        assert [one.key for one in page.keys] == ids(site)
        assert listed(session, page.cursor) == []


def test_messages_of_a_page_are_listed_oldest_first(site: GraphSite) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        known = DeltaCursor.parse(last_cursor(session))
    assert known is not None
    values = [{"id": f"id{day}", "receivedDateTime": f"2026-01-{day:02}T10:00:00Z"} for day in (3, 1, 2)]
    step = Step(values=values, before=known, behind=known, ends=True)
    assert [one.key for one in step.messages()] == ["id1", "id2", "id3"]


def test_items_that_are_no_messages_do_not_count(site: GraphSite) -> None:
    """Else each listing would lack them, and the folder be listed anew every ten minutes, nothing in it ever settled."""
    site.deliver([message(1), message(2)])
    site.mailbox.folder("inbox").other_items = 3
    with opened(site) as session:
        assert [page.exists for page in session.listing("INBOX", None)] == [2]
        # Without that count, the folder's own is better than none.
        site.graph.fail("count=true", status=500)
        assert [page.exists for page in session.listing("INBOX", None)] == [5]


@pytest.mark.parametrize("status", [500, 504])
def test_what_arrived_lately_and_cannot_be_shown_keeps_no_new_mail_back(site: GraphSite, status: int) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        cursor = compared_at(last_cursor(session), time.time() - 3_700)
        site.deliver([message(2)])
        site.graph.fail("filter=receivedDateTime", status=status, times=99)
        pages = list(session.listing("INBOX", cursor))
        assert [one.key for page in pages for one in page.keys] == ids(site)[1:]
        assert listed(session, pages[-1].cursor) == []


def test_a_folder_that_got_the_name_of_one_that_was_thrown_away_is_listed_within_the_hour(site: GraphSite) -> None:
    site.mailbox.deliver(message(1), "Trips")
    with opened(site) as session:
        cursor = last_cursor(session, None, "Trips")
        # Outlook moves what is thrown away, so that its id and its sync state go on.
        site.mailbox.folder("Trips").name = "Trips, old"
        with pytest.raises(PermanentError, match="no folder 'Trips'"):
            list(session.listing("Trips", compared_at(cursor, time.time() - 3_700)))
        site.mailbox.deliver(message(2), "Trips")
        pages = list(session.listing("Trips", compared_at(cursor, time.time() - 3_700)))
        assert [one.key for page in pages for one in page.keys] == ids(site, "Trips")
        assert pages[0].others_gone
        assert listed(session, pages[-1].cursor, "Trips") == []


def test_a_page_of_more_messages_than_were_asked_for_is_split_in_no_time(site: GraphSite) -> None:
    site.deliver([message(1)])
    until = 1_800_000_000
    with opened(site) as session:
        known = DeltaCursor.parse(last_cursor(session))
        assert known is not None
    arrivals = [until - 1, until, until + 1]
    values = [
        {"id": f"id{number}", "receivedDateTime": datetime.fromtimestamp(arrivals[number % 3], UTC).isoformat()}
        for number in range(30_000)
    ]
    before = replace(known, backlog_until=until)
    start = time.process_time()
    pages = list(pages_of(Step(values=values, before=before, behind=known, ends=True)))
    # By comparing each with each it would be minutes.
    assert time.process_time() - start < LONG
    assert [len(page.keys) for page in pages if page.backlog] == [1_000] * 20
    assert [len(page.keys) for page in pages if not page.backlog] == [1_000] * 10
    assert [page.cursor for page in pages] == [str(before)] * 29 + [str(known)]


def test_what_arrived_lately_comes_page_by_page(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(1_203)])
    with opened(site) as session:
        known = DeltaCursor.parse(last_cursor(session))
        assert known is not None
        late = str(replace(known, compared=int(time.time()) - 3_700))
        pages = list(session.listing("INBOX", late))
        assert {one.key for page in pages for one in page.keys} == set(ids(site))
        # Whoever dies in between lists it once more.
        assert listed(session, pages[-2].cursor)


def test_a_link_to_another_host_is_refused_and_gets_no_token(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(3)])
    site.graph.knobs.foreign_links = True
    with opened(site) as session, pytest.raises(TransientError, match="another server"):
        list(session.listing("INBOX", None))
    assert all(one.port == site.graph.port for one in site.graph.log.requests)


def test_a_page_that_Exchange_cannot_make_is_asked_for_in_smaller_ones(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(3)])
    site.graph.fail("/delta", status=504, times=2)
    with opened(site) as session:
        assert set(listed(session)) == set(ids(site))
        site.mailbox.messages()[1].corrupt_page = True
        assert set(listed(session)) == set(ids(site))


def test_a_server_whose_pages_never_end_is_given_up(site: GraphSite) -> None:
    site.deliver([message(1)])
    site.graph.knobs.empty_pages = 10_000
    with opened(site) as session, pytest.raises(TransientError, match="lead nowhere"):
        list(session.listing("INBOX", None))


@pytest.mark.parametrize("where", ["/delta", "mailFolders/inbox?"])
def test_an_answer_that_says_nothing_is_transient(site: GraphSite, where: str) -> None:
    site.graph.fail(where, status=200)
    with opened(site) as session, pytest.raises(TransientError):
        list(session.listing("INBOX", None))


def test_another_mailbox_is_listed_from_its_beginning(site: GraphSite) -> None:
    site.deliver([message(1)])
    other = GraphSite(site.graph)
    other.deliver([message(2)])
    with opened(site) as session, opened(other) as second:
        assert listed(second, last_cursor(session)) == ids(other)


def test_a_folder_that_was_made_anew_is_listed_from_its_beginning(site: GraphSite) -> None:
    site.mailbox.deliver(message(1), "Trips")
    with opened(site) as session:
        cursor = last_cursor(session, None, "Trips")
        folder = site.mailbox.folder("Trips")
        folder.id = f"{folder.id}x"
        (page,) = session.listing("Trips", cursor)
        assert ([one.key for one in page.keys], page.others_gone) == (ids(site, "Trips"), True)
        folder.name = "Travels"
        with pytest.raises(PermanentError, match="no folder 'Trips'"):
            list(session.listing("Trips", None))


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("INBOX", "inbox"),
        ("Inbox", "inbox"),
        ("Posteingang", "inbox"),
        ("Sent Items", "sentitems"),
        ("sentitems", "sentitems"),
        ("Gesendete Elemente", "sentitems"),
        ("inbox/Buchungen/2026", "inbox/Buchungen/2026"),
        ("POSTEINGANG/buchungen/2026", "inbox/Buchungen/2026"),
        ("Ein/Aus/Rechnungen", "Ein/Aus/Rechnungen"),
        ("Archive/2026", "archive/2026"),
    ],
)
def test_folders_are_found_in_any_language_nested_and_beyond_the_first_page(graph: Graph, name: str, folder: str) -> None:
    site = GraphSite(graph, language="de")
    for number in range(120):
        site.mailbox.folder(f"Ablage {number:03}")
        site.mailbox.folder(f"inbox/A {number:03}")
    slashed = site.mailbox.folder("Ein-Aus")
    slashed.name = "Ein/Aus"
    site.mailbox.folder("inbox/Buchungen/2026")
    site.mailbox.folder("archive/2026")
    if folder.startswith("Ein"):
        inner = site.mailbox._new_folder("Rechnungen", slashed)
        raw = site.mailbox.new_message(message(1), inner)
        expected = [raw.immutable_id]
    else:
        site.mailbox.deliver(message(1), folder)
        expected = ids(site, folder)
    with opened(site) as session:
        assert listed(session, None, name) == expected


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetched(site: GraphSite, path: Path, wanted: Sequence[Listed]) -> list[Fetched]:
    with opened(site) as session, Spool(path / "spool") as spool:
        return list(session.fetch("INBOX", wanted, spool))


def test_a_message_that_goes_between_its_listing_and_its_fetch_is_gone(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(3)])
    with opened(site) as session:
        wanted = keys(session)
    first = site.mailbox.messages()[0]
    site.graph.on_request = lambda asked: (
        site.mailbox.delete(first)
        if f"{first.immutable_id[:-2]}" in asked.target and site.mailbox.find(first.immutable_id)
        else None
    )
    assert [type(one) for one in fetched(site, tmp_path, wanted)] == [Gone, Came, Came]


def test_a_message_that_was_moved_is_had_all_the_same(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        wanted = keys(session)
        site.mailbox.move(site.mailbox.messages()[0], "Elsewhere")
        assert list(session.look_up("INBOX", [wanted[0].key])) == []
    assert [type(one) for one in fetched(site, tmp_path, wanted)] == [Came]


def test_what_is_cut_off_or_damaged_fails_and_the_others_come(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(number, b"x" * 200_000) for number in range(4)])
    with opened(site) as session:
        wanted = keys(session)
    site.mailbox.messages()[2].corrupt_value = True
    site.graph.fail("$value", "cut")
    first, *others = fetched(site, tmp_path, wanted)
    assert isinstance(first, Failed)
    assert "closed the connection" in first.cause
    assert [type(one) for one in others] == [Came, Failed, Came]
    assert isinstance(others[1], Failed)
    assert "damaged" in others[1].cause


def test_a_connection_that_is_cut_each_time_ends_the_session(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(9)])
    with opened(site) as session:
        wanted = keys(session)
    site.graph.fail("$value", "cut", times=99)
    with pytest.raises(TransientError):
        fetched(site, tmp_path, wanted)


def test_an_answer_that_never_begins_is_no_fault_of_a_message(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(1), message(2)])
    with opened(site) as session:
        wanted = keys(session)
    site.graph.fail("$value", "close", times=9)
    with pytest.raises(TransientError):
        fetched(site, tmp_path, wanted)


def test_a_message_that_is_cut_off_by_an_abort_has_not_failed(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(1, b"x" * 200_000)])
    with opened(site) as session, Spool(tmp_path / "spool") as spool, ThreadPoolExecutor(1) as pool:
        wanted, before = keys(session), session.came
        site.graph.fail("$value", "freeze")
        fetching = pool.submit(list, session.fetch("INBOX", wanted, spool))
        until(lambda: session.came > before)
        session.abort()
        with pytest.raises(TransientError, match="abort"):
            fetching.result(LONG)


def test_messages_that_are_cut_off_among_others_that_come_end_no_session(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(14)])
    with opened(site) as session:
        wanted = keys(session)
    numbers = itertools.count()
    # The request behind each second one is cut off: six in all, which is more than may be in a row.
    site.graph.on_request = lambda _: site.graph.fail("$value", "cut") if next(numbers) % 2 else None
    assert sorted(type(one).__name__ for one in fetched(site, tmp_path, wanted)) == ["Came"] * 8 + ["Failed"] * 6


def test_new_mail_is_fetched_before_the_backlog_of_other_mailboxes(graph: Graph, tmp_path: Path) -> None:
    backlog, news = GraphSite(graph), GraphSite(graph)
    backlog.deliver([message(1)])
    with opened(backlog) as first, opened(news) as second:
        old = keys(first)
        cursor = last_cursor(second)
        news.deliver([message(2)])
        new = keys(second, cursor)
        options = first._options
        pace = pace_of(options.graph, options.app)
        while pace.bound > 1:
            with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
                turn.put_off(throttled=True, retry_after=0.0)

        def fetch(session: Office365Session, wanted: Sequence[Listed], name: str) -> None:
            with Spool(tmp_path / name) as spool:
                assert [type(one) for one in session.fetch("INBOX", wanted, spool)] == [Came]

        with ThreadPoolExecutor(2) as pool:
            with pace.turn("box", urgent=True, stopped=lambda: False):
                waiting = [pool.submit(fetch, first, old, "old")]
                waiting.append(pool.submit(fetch, second, new, "new"))
                until(lambda: pace._urgent)
            for one in waiting:
                one.result(LONG)
    assert [one.mailbox for one in graph.log.find("$value")] == [news.mailbox.id, backlog.mailbox.id]


def test_a_message_that_is_too_large_fails_and_the_others_come(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(1, b"x" * 100_000), message(2)])
    with opened(site) as session, Spool(tmp_path / "spool") as spool:
        wanted = keys(session)
        spool.expect(wanted, 50_000)
        first, second = session.fetch("INBOX", wanted, spool)
        assert isinstance(first, Failed)
        assert isinstance(second, Came)


def test_many_keys_are_looked_up_by_few_requests(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(300)])
    with opened(site) as session:
        listed_ = keys(session)
        for _ in range(3):
            site.remove(5)
        site.mailbox.move(site.mailbox.messages()[0], "Elsewhere")
        site.graph.log.clear()
        found = {one.key for one in session.look_up("INBOX", [one.key for one in listed_])}
        assert found == set(ids(site))
    # One for all, and one for each that is not there.
    assert len(site.graph.log.requests) == 5


def test_a_list_that_Exchange_cannot_show_has_each_key_looked_up_by_itself(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(12)])
    with opened(site) as session:
        wanted = [one.key for one in keys(session)]
        site.graph.fail("/messages?", status=500, code="ErrorContentConversionFailed")
        assert {one.key for one in session.look_up("INBOX", wanted)} == set(ids(site))


def test_headers_of_a_large_message_are_had_without_its_body_and_of_a_damaged_one_not_at_all(site: GraphSite) -> None:
    site.deliver([message(1, b"x" * 2_000_000), message(2), message(3)])
    site.mailbox.messages()[1].corrupt_value = True
    with opened(site) as session:
        found = dict(session.headers("INBOX", [*ids(site), "no such key"]))
        assert found.keys() == {ids(site)[0], ids(site)[2]}
        assert found[ids(site)[0]].endswith(b"\r\n\r\n")
        assert session.came < 1_500_000
        site.graph.fail("$value", status=403, code="ErrorAccessDenied")
        with pytest.raises(AuthError):
            list(session.headers("INBOX", ids(site)))


def test_what_is_put_off_again_and_again_leaves_the_others_to_the_next_visit(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(3)])
    with opened(site) as session:
        wanted = keys(session)
    site.graph.fail("$value", status=503, times=99, Retry_After="900")
    with pytest.raises(TransientError) as caught:
        fetched(site, tmp_path, wanted)
    assert caught.value.retry_after is not None
    # All were in flight by then.
    assert len({one.target for one in site.graph.log.find("$value")}) == len(site.graph.log.find("$value"))


def test_an_action_that_Exchange_puts_off_stays_owed_for_the_next_visit(site: GraphSite) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        site.graph.fail("PATCH", status=503, Retry_After="900")
        with pytest.raises(TransientError):
            session.settle("INBOX", ids(site), Action(do="seen"))
    assert not site.mailbox.messages()[0].is_read


def test_a_token_that_ends_while_messages_are_fetched_costs_one_request_for_another(site: GraphSite, tmp_path: Path) -> None:
    site.deliver([message(number) for number in range(20)])
    with opened(site) as session, Spool(tmp_path / "spool") as spool:
        wanted = keys(session)
        for number, one in enumerate(session.fetch("INBOX", wanted, spool)):
            assert isinstance(one, Came)
            if number == 7:
                site.graph.expire_tokens()
    assert len(site.graph.log.token_requests) == 2
    assert 1 <= len(site.graph.log.find("$value", status=401)) <= 4


# --- settling and problems --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action(do="seen"), Action(do="move", folder="Done"), Action(do="delete")], ids=str)
def test_what_is_to_be_done_to_a_message_that_is_gone_counts_as_done(site: GraphSite, action: Action) -> None:
    site.deliver([message(1), message(2)])
    site.mailbox.folder("Done")
    wanted = ids(site)
    with opened(site) as session:
        site.mailbox.take_out(site.mailbox.messages()[0])
        session.settle("INBOX", wanted, action)
    assert [one.is_read for one in site.mailbox.messages()] == ([True] if action.do == "seen" else [])


def test_an_app_that_may_only_read_is_not_refused_for_each_message_anew(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(30)])
    site.graph.app.roles = {"Mail.Read"}
    with opened(site) as session, pytest.raises(PermanentError, match="30 of 30 messages"):
        session.settle("INBOX", ids(site), Action(do="seen"))
    # With the tenth refusal, three more are on their way.
    assert 10 <= len(site.graph.log.find("PATCH")) <= 13


def test_our_own_mark_comes_back_as_no_new_message(site: GraphSite) -> None:
    site.deliver([message(1)])
    with opened(site) as session:
        first: Page = list(session.listing("INBOX", None))[-1]
        session.settle("INBOX", [first.keys[0].key], Action(do="seen"))
        assert site.mailbox.messages()[0].is_read
        # The ledger knows it as it is.
        assert keys(session, first.cursor) == [first.keys[0]]


def test_an_app_that_may_only_read_imports_and_says_what_settling_needs(site: GraphSite) -> None:
    site.graph.app.roles = {"Mail.Read"}
    site.deliver([message(1)])
    with opened(site) as session:
        (one,) = keys(session)
        with pytest.raises(PermanentError, match=r"may not do this in the mailbox.*1 of 1 messages") as caught:
            session.settle("INBOX", [one.key], Action(do="delete"))
        assert "Mail.ReadWrite" in caught.value.advice
        (problem,) = session.problems(["INBOX"], Action(do="delete"))
        assert "needs the permission Mail.ReadWrite, and the access token has Mail.Read" in problem
        # What RBAC grants in Exchange stands in no token.
        site.graph.app.granted[site.mailbox.id] = {"Mail.ReadWrite"}
        assert session.problems(["INBOX"], Action(do="delete")) == []
        assert ids(site) == [one.key]
        session.settle("INBOX", [one.key], Action(do="delete"))
    assert ids(site) == []
    assert ids(site, "recoverableitemsdeletions") == [one.key]


def test_an_app_that_Exchange_alone_lets_read_is_told_what_settling_needs(site: GraphSite) -> None:
    site.graph.app.roles = set()
    site.graph.app.granted[site.mailbox.id] = {"Mail.Read"}
    with opened(site) as session:
        assert session.problems(["INBOX"], None) == []
        (problem,) = session.problems(["INBOX"], Action(do="seen"))
        assert "`after: seen` needs the permission Mail.ReadWrite, and the access token has no permission" in problem


def test_problems_name_each_missing_thing(site: GraphSite) -> None:
    with opened(site) as session:
        assert session.problems(["INBOX"], Action(do="seen")) == []
        one, two = session.problems(["INBOX", "Trips"], Action(do="move", folder="Done"))
        assert "no folder 'Trips'; the mailbox has 'Archive'" in one
        assert "'Done'" in two
    site.graph.app.roles = set()
    with opened(site) as session:
        site.graph.expire_tokens()
        (problem,) = session.problems(["INBOX"], None)
        assert "may not do this" in problem
        assert "no permission" in problem
        with pytest.raises(AuthError):
            keys(session)


# --- the cursor -------------------------------------------------------------------------------------------------------

CURSORS = st.builds(
    DeltaCursor,
    mailbox=st.text(min_size=1),
    folder=st.text(min_size=1),
    link=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=200).map(lambda text: f"/{text}"),
    backlog_until=st.integers(0, 253402300799),
    compared=st.integers(0, 253402300799),
)


@given(CURSORS)
def test_a_cursor_is_read_as_it_was_written(cursor: DeltaCursor) -> None:
    assert DeltaCursor.parse(str(cursor)) == cursor


@given(st.one_of(st.text(), st.text().map("graph1 {}".format), st.dictionaries(st.text(), st.text()).map(str)))
def test_any_other_text_is_no_cursor(text: str) -> None:
    assert DeltaCursor.parse(text) is None


@given(CURSORS, st.data())
def test_a_cursor_that_was_cut_is_none(cursor: DeltaCursor, data: st.DataObject) -> None:
    text = str(cursor)
    assert DeltaCursor.parse(text[: data.draw(st.integers(0, len(text) - 1))]) is None


@given(st.one_of(st.text(), st.none(), st.integers()))
def test_any_text_is_a_time_or_none(text: object) -> None:
    found = moment_of(text)
    assert found is None or found.tzinfo is UTC


def test_times_as_Graph_writes_them() -> None:
    assert moment_of("2026-11-22T05:00:00Z") == datetime(2026, 11, 22, 5, tzinfo=UTC)
    assert moment_of("2026-11-22T05:00:00.1234567Z") is not None
    assert moment_of("2026-11-22T05:00:00") is None
    assert moment_of("0001-01-01T00:00:00+14:00") is None
