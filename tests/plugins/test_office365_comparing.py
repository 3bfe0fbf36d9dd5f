"""Comparisons of whole folders by lists of messages: they leave no sync state behind, and miss nothing that is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import TransientError
from gatewayd.testing.contracts.transport import message
from gatewayd_office365.cursor import DeltaCursor
from tests.plugins.graph_site import ids, last_cursor, listed, opened

if TYPE_CHECKING:
    from gatewayd_office365.transport import Office365Session
    from tests.plugins.graph_site import GraphSite


def compared(session: Office365Session, cursor: str | None) -> tuple[list[str], int | None, set[str]]:
    """Return the keys, the count and the cursors of a comparison."""
    pages = list(session.compare("INBOX", cursor))
    assert max(len(page.keys) for page in pages) <= 1_000
    return [one.key for page in pages for one in page.keys], pages[-1].exists, {page.cursor for page in pages}


def at(site: GraphSite, number: int, second: float) -> None:
    site.mailbox.deliver(message(number), received=datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=second))


def test_a_comparison_leaves_no_sync_state_in_the_mailbox_and_the_cursor_as_it_was(site: GraphSite) -> None:
    for number in range(2_300):
        at(site, number, number // 7)
    with opened(site) as session:
        cursor = last_cursor(session)
        for _ in range(3):
            found, exists, cursors = compared(session, cursor)
            assert found == ids(site)
            assert (exists, cursors) == (2_300, {cursor})
        assert listed(session, cursor) == []
    assert site.mailbox.initial_deltas == 1


def test_messages_that_go_while_pages_are_listed_hide_no_others(site: GraphSite) -> None:
    for number in range(2_100):
        at(site, number, number)
    with opened(site) as session:
        cursor = last_cursor(session)
        there = site.mailbox.messages()
        pages = session.compare("INBOX", cursor)
        found = {one.key for one in next(pages).keys}
        for one in there[:10]:
            site.mailbox.delete(one)
        found |= {one.key for page in pages for one in page.keys}
        assert found == {one.immutable_id for one in there}


def test_more_messages_of_one_second_than_a_page_has_are_all_listed_and_prove_none_gone(site: GraphSite) -> None:
    for number in range(1_205):
        at(site, number, 0 if 100 <= number < 1_200 else number)
    with opened(site) as session:
        found, exists, _ = compared(session, last_cursor(session))
        assert sorted(found) == sorted(ids(site))
        assert exists is None


def test_mail_that_comes_while_a_folder_is_compared_is_no_backlog(site: GraphSite) -> None:
    at(site, 1, 0)
    with opened(site) as session:
        cursor = last_cursor(session)
        site.mailbox.deliver(message(2), received=datetime.now(UTC) + timedelta(hours=1))
        old, new, _ = session.compare("INBOX", cursor)
        assert ([one.key for one in old.keys], old.backlog) == (ids(site)[:1], True)
        assert ([one.key for one in new.keys], new.backlog) == (ids(site)[1:], False)
        # The next round tells it, too.
        assert listed(session, new.cursor) == ids(site)[1:]


def test_a_folder_that_has_another_ones_name_is_compared_by_a_new_listing(site: GraphSite) -> None:
    at(site, 1, 0)
    with opened(site) as session:
        known = DeltaCursor.parse(last_cursor(session))
        assert known is not None
        for cursor in (None, "nonsense", str(replace(known, folder="other")), str(replace(known, mailbox="other"))):
            found, exists, cursors = compared(session, cursor)
            assert (found, exists) == (ids(site), 1)
            assert all(DeltaCursor.parse(one) and one != cursor for one in cursors)
    assert site.mailbox.initial_deltas == 5


@pytest.mark.parametrize("times", [1, 3])
def test_pages_that_exchange_can_not_make_are_smaller(site: GraphSite, times: int) -> None:
    for number in range(25):
        at(site, number, number)
    with opened(site) as session:
        cursor = last_cursor(session)
        site.graph.fail("/messages?", status=504, code="", times=times)
        assert compared(session, cursor)[0] == ids(site)


def test_a_folder_whose_first_listing_has_not_ended_is_listed_anew(site: GraphSite) -> None:
    site.deliver([message(number) for number in range(2)])
    site.graph.knobs.empty_pages = 1
    with opened(site) as session:
        unfinished = next(iter(session.listing("INBOX", None))).cursor
        found, exists, cursors = compared(session, unfinished)
    assert (set(found), exists) == (set(ids(site)), 2)
    # Else what came in between would be backlog for good.
    behind = [one for one in map(DeltaCursor.parse, cursors) if one is not None]
    assert [one.backlog_until for one in behind].count(0) == 1


def test_an_empty_folder_is_compared(site: GraphSite) -> None:
    with opened(site) as session:
        assert compared(session, last_cursor(session))[:2] == ([], 0)


def test_a_page_that_exchange_can_never_make_ends_the_comparison(site: GraphSite) -> None:
    at(site, 1, 0)
    with opened(site) as session:
        cursor = last_cursor(session)
        site.graph.fail("/messages?", status=504, times=99)
        with pytest.raises(TransientError, match="not available"):
            compared(session, cursor)
