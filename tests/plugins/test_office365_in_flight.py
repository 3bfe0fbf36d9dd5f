"""Several messages of one mailbox in flight: never more than the pace allows, and none lost or doubled by what befalls one of them."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from gatewayd import Action, Came, Failed, GatewaydError, Gone, PermanentError, Spool, TransientError
from gatewayd.testing.contracts.transport import message
from gatewayd_office365.pace import PATIENCE, Pace, pace_of
from tests.patience import LONG
from tests.plugins.graph_site import GraphSite, ids, keys, opened, sent_too_early
from tests.unit.testing.graph.graph_client import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd import Fetched, Listed
    from gatewayd.testing.graph import Graph, LoggedRequest
    from gatewayd_office365.transport import Office365, Office365Session

COUNT = 12


@pytest.fixture
def site(graph: Graph) -> GraphSite:
    found = GraphSite(graph)
    found.deliver([message(number, b"%d" % number * 5_000) for number in range(COUNT)])
    return found


def asked_for(site: GraphSite) -> Counter[str]:
    """Return how often each message was asked for, by its target."""
    return Counter(one.target for one in site.graph.log.find("$value") if one.mailbox == site.mailbox.id)


def pace(site: GraphSite) -> Pace:
    options = site.options()
    return pace_of(options.graph, options.app)


def held(graph: Graph, count: int) -> Event:
    """Let messages come only when so many of a mailbox have been in flight at once; return whether they were."""
    together = Event()

    def wait(request: LoggedRequest) -> None:
        if "$value" in request.target:
            if request.in_flight >= count:
                together.set()
            together.wait(LONG)

    graph.on_request = wait
    return together


def fetched(
    session: Office365Session, wanted: Sequence[Listed], folder: Path, name: str = "spool"
) -> tuple[list[Fetched], GatewaydError | None]:
    """Return what came, byte for byte what was sent, and the error that ended it."""
    found: list[Fetched] = []
    with Spool(folder / name) as spool:
        try:
            # What came before an error stays.
            found.extend(session.fetch("INBOX", wanted, spool))
        except GatewaydError as error:
            return found, error
        finally:
            spool.seal()
    return found, None


def came(found: Sequence[Fetched]) -> list[str]:
    return [one.key for one in found if isinstance(one, Came)]


def test_four_messages_are_in_flight_and_never_more_and_they_come_whole_and_in_order(site: GraphSite, tmp_path: Path) -> None:
    together = held(site.graph, 4)
    with opened(site) as session, Spool(tmp_path / "spool") as spool:
        wanted = keys(session)
        found = [one for one in session.fetch("INBOX", wanted, spool) if isinstance(one, Came)]
        spool.seal()
        assert [one.key for one in found] == [one.key for one in wanted]
        by_id = {one.immutable_id: one.mime for one in site.mailbox.messages()}
        assert [one.source.read(0, one.source.size) for one in found] == [by_id[one.key] for one in found]
    assert together.is_set()
    assert site.graph.log.most_in_flight() == 4
    assert set(asked_for(site).values()) == {1}
    assert pace(site)._in_flight.total() == 0


def test_no_more_are_in_flight_than_the_app_may_have(site: GraphSite, tmp_path: Path) -> None:
    one = pace(site)
    while one.bound > 2:
        with one.turn("other", urgent=True, stopped=lambda: False) as turn:
            turn.put_off(throttled=True, retry_after=0.0)
    with opened(site) as session:
        wanted = keys(session)
        bound = one.bound
        with one.turn("other", urgent=True, stopped=lambda: False):
            found, error = fetched(session, wanted[:2], tmp_path)
    assert (came(found), error) == ([each.key for each in wanted[:2]], None)
    # Each success widens the bound a little.
    assert site.graph.log.most_in_flight() <= bound - 1


def test_one_that_is_throttled_among_four_is_asked_for_again_when_Microsoft_wants_it(site: GraphSite, tmp_path: Path) -> None:
    with opened(site) as session:
        wanted = keys(session)
        site.graph.fail("$value", status=429, after=1, Retry_After="1")
        found, error = fetched(session, wanted, tmp_path)
    assert error is None
    assert sorted(came(found)) == sorted(ids(site))
    assert sorted(asked_for(site).values()) == [*[1] * (COUNT - 1), 2]
    assert sent_too_early(site.graph) == []
    assert pace(site)._in_flight.total() == 0


def test_what_is_in_flight_is_had_where_one_is_put_off_for_long(site: GraphSite, tmp_path: Path) -> None:
    held(site.graph, 4)
    with opened(site) as session:
        wanted = keys(session)
        site.graph.fail(quote(wanted[1].key), status=503, Retry_After="900")
        found, error = fetched(session, wanted, tmp_path)
    assert isinstance(error, TransientError)
    assert error.retry_after is not None
    assert error.retry_after > PATIENCE
    # The fifth was sent when the first had come.
    assert came(found) == [wanted[number].key for number in (0, 2, 3, 4)]
    # The others wait for the next visit, and so does the one that was put off.
    assert sum(asked_for(site).values()) == 5
    assert pace(site)._in_flight.total() == 0


@pytest.mark.parametrize("way", ["cut", "reset", "close"])
def test_one_that_breaks_among_four_loses_none_and_doubles_none(site: GraphSite, tmp_path: Path, way: str) -> None:
    with opened(site) as session:
        wanted = keys(session)
        site.graph.fail("$value", way, after=5)  # type: ignore[arg-type]
        found, error = fetched(session, wanted, tmp_path)
    # Where a kept connection ends without an answer, the message is asked for over a new one. A new one's end ends the session.
    assert error is None or (way != "cut" and isinstance(error, TransientError))
    failed = [one.key for one in found if isinstance(one, Failed)]
    assert len(failed) == (way == "cut")
    first = came(found)
    with opened(site) as session:
        again, error = fetched(session, [one for one in wanted if one.key not in first], tmp_path, "again")
    assert error is None
    assert Counter(first + came(again)) == Counter(ids(site))
    assert pace(site)._in_flight.total() == 0


def test_one_that_breaks_the_session_takes_none_of_those_before_it_along(site: GraphSite, tmp_path: Path) -> None:
    with opened(site) as session:
        wanted = keys(session)
        # Over a new connection: the one that is kept is used for the first message.
        site.graph.fail(quote(wanted[2].key), "reset")
        found, error = fetched(session, wanted, tmp_path)
    assert isinstance(error, TransientError)
    # So the first message without an answer is the one that ended the session.
    assert came(found) == [one.key for one in wanted[:2]]
    assert pace(site)._in_flight.total() == 0
    with opened(site) as session:
        again, error = fetched(session, wanted[2:], tmp_path, "again")
    assert error is None
    assert Counter(came(found) + came(again)) == Counter(ids(site))


def test_a_message_that_is_gone_and_one_that_is_damaged_cost_the_others_nothing(site: GraphSite, tmp_path: Path) -> None:
    with opened(site) as session:
        wanted = keys(session)
        site.mailbox.messages()[3].corrupt_value = True
        site.remove(1)
        found, error = fetched(session, wanted, tmp_path)
    assert error is None
    assert [type(one) for one in found] == [Came, Gone, Came, Failed, *[Came] * (COUNT - 4)]


def test_a_stop_ends_all_that_are_in_flight(site: GraphSite, tmp_path: Path) -> None:
    with opened(site) as session, ThreadPoolExecutor(1) as pool:
        wanted = keys(session)
        site.graph.fail("$value", "stall", times=99)
        waiting = pool.submit(fetched, session, wanted, tmp_path)
        until(lambda: len(asked_for(site)) == 4)
        began = time.monotonic()
        session.abort()
        found, error = waiting.result(LONG)
        # Nobody has waited for a request's own time.
        assert time.monotonic() - began < site.options().timeout / 2
    assert found == []
    assert "aborted" in str(error)
    # The server sees all of them end, and no other begins.
    until(lambda: all(one.ended for one in site.graph.log.requests))
    assert sum(asked_for(site).values()) == 4
    assert pace(site)._in_flight.total() == 0


def test_whoever_takes_no_more_lets_the_others_go(site: GraphSite, tmp_path: Path) -> None:
    with opened(site) as session:
        wanted = keys(session)
        with Spool(tmp_path / "spool") as spool:
            found = session.fetch("INBOX", wanted, spool)
            assert isinstance(next(iter(found)), Came)
            found.close()  # type: ignore[attr-defined]
        assert pace(site)._in_flight.total() == 0
        assert len(asked_for(site)) <= 5
        again, error = fetched(session, wanted, tmp_path, "again")
    assert (sorted(came(again)), error) == (sorted(ids(site)), None)


def test_backlogs_that_share_a_narrow_bound_all_come_to_their_end(graph: Graph, tmp_path: Path) -> None:
    sites = [GraphSite(graph) for _ in range(4)]
    one = pace(sites[0])
    while one.bound > 2:
        with one.turn("other", urgent=True, stopped=lambda: False) as turn:
            turn.put_off(throttled=True, retry_after=0.0)
    graph.throttling.scope, graph.throttling.retry_after = "client", 0
    for site in sites:
        site.deliver([message(number) for number in range(COUNT)])

    def run(transport: Office365) -> tuple[list[Fetched], GatewaydError | None]:
        with closing(transport.open()) as session:
            return fetched(session, keys(session), tmp_path, transport.options.mailbox)

    with ThreadPoolExecutor(len(sites)) as pool:
        ended = pool.map(run, [site.transport() for site in sites], timeout=LONG)
        for site, (found, error) in zip(sites, ended, strict=True):
            assert error is None
            assert sorted(came(found)) == sorted(ids(site))
    assert one._in_flight.total() == 0


@pytest.mark.parametrize("do", ["seen", "move", "delete"])
def test_actions_are_in_flight_together_and_one_that_is_throttled_is_done_later(site: GraphSite, do: str) -> None:
    together = Event()

    def wait(request: LoggedRequest) -> None:
        if request.method != "GET" and "messages" in request.target:
            if request.in_flight == 4:
                together.set()
            together.wait(LONG)

    with opened(site) as session:
        wanted = [one.key for one in keys(session)]
        site.graph.on_request = wait
        site.graph.fail("/messages/", status=429, after=2, Retry_After="1")
        session.settle("INBOX", wanted, Action(do=do, folder="Archive" if do == "move" else ""))  # type: ignore[arg-type]
    assert together.is_set()
    assert site.graph.log.most_in_flight() == 4
    assert sent_too_early(site.graph) == []
    here = site.mailbox.messages()
    assert [one.is_read for one in here] == ([True] * COUNT if do == "seen" else [])
    if do == "move":
        assert {one.immutable_id for one in site.mailbox.messages("archive")} == set(wanted)
    assert pace(site)._in_flight.total() == 0


def test_an_action_that_is_refused_keeps_none_of_the_others_back(site: GraphSite) -> None:
    with opened(site) as session:
        wanted = [one.key for one in keys(session)]
        site.graph.fail(quote(wanted[2]), status=403, code="ErrorAccessDenied")
        with pytest.raises(PermanentError, match=f"1 of {COUNT} messages"):
            session.settle("INBOX", wanted, Action(do="seen"))
    assert [one.is_read for one in site.mailbox.messages()].count(True) == COUNT - 1


def test_many_actions_that_are_refused_keep_none_back_once_one_was_done(site: GraphSite) -> None:
    with opened(site) as session:
        wanted = [one.key for one in keys(session)]
        site.graph.fail("PATCH", status=403, code="ErrorAccessDenied", after=1, times=10)
        with pytest.raises(PermanentError, match=f"10 of {COUNT} messages"):
            session.settle("INBOX", wanted, Action(do="seen"))
    assert sum(one.is_read for one in site.mailbox.messages()) == COUNT - 10


# --- the pace ---------------------------------------------------------------------------------------------------------


def test_one_more_begins_only_where_it_need_not_wait_and_nobody_else_waits() -> None:
    one, queued = Pace(), list[bool]()
    turns = [one.begin("box", urgent=False, stopped=lambda: False)]
    turns += [turn for _ in range(9) if (turn := one.begin_now("box", urgent=False))]
    assert len(turns) == 4
    turns += [one.begin(f"box {number}", urgent=False, stopped=lambda: False) for number in range(4)]
    # The app may have no more.
    assert one.begin_now("box 0", urgent=True) is None

    def wait() -> None:
        with one.turn("other", urgent=False, stopped=lambda: bool(queued.append(True))):  # type: ignore[func-returns-value]
            pass

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        while not queued:
            time.sleep(0.01)
        # Somebody has waited longer. Within one lock, so that he does not take his turn between both steps.
        with one._changed:
            turns.pop().end()
            assert one.begin_now("box 0", urgent=True) is None
        waiting.result(LONG)
    more = one.begin_now("box 0", urgent=True)
    assert more is not None
    more.put_off(throttled=False, retry_after=PATIENCE + 1)
    turns.pop().end()
    # Not even where it would be refused: those in flight come first.
    assert one.begin_now("box 0", urgent=True) is None
