"""The client of Graph against the stand-in: tokens, throttling, bounds on requests in flight, links, and each error's own text."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest

from gatewayd import AuthError, PermanentError, TransientError
from gatewayd_office365.graph import GraphClient
from gatewayd_office365.graph_faults import GRAPH_FAULTS, GraphAnswer
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.pace import PATIENCE, Pace
from tests.patience import LONG
from tests.plugins.graph_site import new_address, options

if TYPE_CHECKING:
    from gatewayd import GatewaydError
    from gatewayd.testing.graph import EntraApp, Graph

INBOX = "mailFolders/inbox"


def client(graph: Graph, app: EntraApp | None = None, mailbox: str = "") -> GraphClient:
    return GraphClient(options(graph, mailbox or graph.add_mailbox(new_address()).id, app))


def inbox(one: GraphClient) -> GraphAnswer:
    return one.request(GraphRequest(what="the inbox", target=one.path("mailFolders", "inbox")))


def test_a_request_is_answered_and_asks_for_immutable_ids(graph: Graph) -> None:
    mailbox = graph.add_mailbox(new_address())
    message = mailbox.deliver(b"Subject: x\r\n\r\n")
    one = client(graph, mailbox=mailbox.address)
    answer = one.request(GraphRequest(what="it", target=one.path("mailFolders", "inbox", "messages", query="$select=id")))
    assert answer.status == 200
    assert message.immutable_id in str(answer.data)
    assert one.came > 0


def test_a_token_that_ends_in_the_middle_is_renewed_by_exactly_one_request(graph: Graph) -> None:
    ones = [client(graph) for _ in range(6)]
    assert all(inbox(one).is_good for one in ones)
    assert len(graph.log.token_requests) == 1
    graph.expire_tokens()
    with ThreadPoolExecutor(len(ones)) as pool:
        assert all(answer.is_good for answer in pool.map(inbox, ones))
    assert len(graph.log.token_requests) == 2


def test_a_token_that_is_refused_twice_is_an_auth_error_and_no_loop(graph: Graph) -> None:
    graph.fail(INBOX, status=401, code="InvalidAuthenticationToken", times=100)
    with pytest.raises(AuthError, match=r"the access token is refused \(InvalidAuthenticationToken, request id ") as caught:
        inbox(client(graph))
    assert "authority" in caught.value.advice
    assert len(graph.log.find(INBOX)) == 2


def test_a_new_token_that_is_refused_too_is_told_as_that(graph: Graph) -> None:
    one = client(graph)
    graph.fail(INBOX, status=401, code="InvalidAuthenticationToken")
    assert inbox(one).is_good
    # Within a minute no third one is asked for.
    graph.fail(INBOX, status=401, code="InvalidAuthenticationToken", times=100)
    with pytest.raises(AuthError) as caught:
        inbox(one)
    assert "Else Microsoft refuses new tokens, too: see the sign-in logs" in caught.value.advice
    assert len(graph.log.token_requests) == 2


@pytest.mark.parametrize("status", [429, 503, 504])
def test_no_request_comes_before_the_time_that_Microsoft_gives(graph: Graph, status: int) -> None:
    graph.fail(INBOX, status=status, Retry_After="1")
    # Of the same app, and another mailbox.
    one, other = client(graph), client(graph)
    assert inbox(one).is_good
    assert inbox(other).is_good
    assert graph.log.find(INBOX, status=status)
    assert graph.log.too_early(of_client=status == 429, slack=0.0) == []


def test_P4_a_mailbox_that_is_to_be_left_alone_for_long_keeps_no_other_of_its_app_waiting(graph: Graph) -> None:
    graph.fail(INBOX, status=503, code="MailboxInfoStale", Retry_After="86400")
    one, other = client(graph), client(graph)
    with pytest.raises(TransientError) as caught:
        inbox(one)
    # It is asked again within the hour.
    assert 3_000 < (caught.value.retry_after or 0) < 3_601
    with pytest.raises(TransientError, match="left alone"):
        inbox(one)
    assert inbox(other).is_good


def test_other_apps_are_not_delayed(graph: Graph) -> None:
    graph.fail(INBOX, status=429, Retry_After="1000")
    with pytest.raises(TransientError, match="too many requests") as caught:
        inbox(client(graph))
    assert caught.value.retry_after == pytest.approx(1000, abs=60)
    assert caught.value.advice
    # Another mailbox shows that the app is throttled. Then it sends nothing, and no thread waits.
    graph.fail(INBOX, status=429, Retry_After="20")
    with pytest.raises(TransientError, match="too many requests") as caught:
        inbox(client(graph))
    assert caught.value.retry_after == pytest.approx(1000, abs=60)
    asked = len(graph.log.requests)
    with pytest.raises(TransientError, match="left alone") as caught:
        inbox(client(graph))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > PATIENCE
    assert len(graph.log.requests) == asked
    assert inbox(client(graph, graph.add_app(secret="s"))).is_good


def test_without_a_time_it_waits_longer_each_time_and_goes_on(graph: Graph) -> None:
    graph.fail(INBOX, status=429, times=3)
    assert inbox(client(graph)).is_good
    began = [request.began for request in graph.log.find(INBOX)]
    first, _, third = (later - earlier for earlier, later in pairwise(began))
    # With the largest and the smallest jitter: 0.5 to 1 s, then 2 to 4 s.
    assert first >= 0.5
    assert third >= 2.0


def test_P4_a_mailbox_that_is_throttled_for_long_keeps_no_other_of_its_app_waiting(graph: Graph) -> None:
    graph.fail(INBOX, status=429, Retry_After="1000")
    with pytest.raises(TransientError, match="too many requests"):
        inbox(one := client(graph))
    for _ in range(3):
        assert inbox(client(graph)).is_good
    with pytest.raises(TransientError, match="left alone"):
        inbox(one)
    assert graph.log.too_early() == []


def test_while_nobody_knows_whether_the_app_is_throttled_one_request_at_a_time_asks() -> None:
    pace = Pace()
    with ExitStack() as flights:
        first, before = (flights.enter_context(pace.turn(name, urgent=True, stopped=lambda: False)) for name in ("box", "before"))
        first.put_off(throttled=True, retry_after=PATIENCE - 1)
        # What was asked before shows nothing.
        before.succeeded()
        assert pace.bound == 1
        with pytest.raises(TransientError, match="aborted"), pace.turn("other", urgent=True, stopped=lambda: True):
            pass
    with pace.turn("other", urgent=True, stopped=lambda: False) as turn:
        with pytest.raises(TransientError, match="aborted"), pace.turn("third", urgent=True, stopped=lambda: True):
            pass
        turn.succeeded()
    assert pace.bound == 4
    with pytest.raises(TransientError, match="aborted"), pace.turn("box", urgent=True, stopped=lambda: True):
        pass


def test_a_mailbox_by_its_id_and_by_its_address_has_four_requests_in_flight_in_all(graph: Graph) -> None:
    address = new_address()
    by_id, by_address = client(graph, mailbox=graph.add_mailbox(address).id), client(graph, mailbox=address.upper())
    by_id.identify()
    assert not graph.log.find(INBOX), "all are named in one way"
    for one in (by_address, by_id, by_address):
        one.identify()
    assert len(graph.log.find(INBOX)) == 2
    graph.throttling.retry_after, graph.knobs.delay = None, 0.02
    with ThreadPoolExecutor(8) as pool:
        assert all(answer.is_good for answer in pool.map(inbox, [by_id, by_address] * 8))
    assert graph.log.most_in_flight() <= 4
    assert not graph.log.find("", status=429)


def test_what_a_mailbox_is_called_is_asked_again_if_it_was_refused(graph: Graph) -> None:
    client(graph).identify()
    one = client(graph, mailbox=graph.add_mailbox(new_address()).address)
    graph.fail(INBOX, status=403, code="ErrorAccessDenied", times=2)
    for _ in range(4):
        one.identify()
    assert [answer.status for answer in graph.log.find(INBOX)] == [403, 403, 200]


def test_a_mailbox_at_fault_delays_no_other_of_its_app(graph: Graph) -> None:
    graph.fail("/users/", status=500, times=4)
    one, other = client(graph), client(graph)
    with pytest.raises(TransientError, match=r"not available \(ErrorInternalServerError"):
        inbox(one)
    tries = len(graph.log.find(INBOX))
    start = time.monotonic()
    assert inbox(other).is_good
    assert time.monotonic() - start < LONG
    assert tries == 4


def test_an_app_that_is_throttled_without_end_is_left_to_a_later_visit(graph: Graph) -> None:
    graph.fail(INBOX, status=429, times=99, Retry_After="0")
    with pytest.raises(TransientError, match="too many requests"):
        inbox(client(graph))
    assert len(graph.log.find(INBOX)) == 8


def test_what_may_have_been_done_is_not_repeated_where_that_matters(graph: Graph) -> None:
    graph.fail(INBOX, status=504, times=2)
    one = client(graph)
    answer = one.request(GraphRequest(what="it", target=one.path("mailFolders", "inbox"), repeat=False))
    assert answer.status == 504
    assert len(graph.log.find(INBOX)) == 1


@pytest.mark.parametrize("scope", ["mailbox", "client"])
def test_never_more_than_four_requests_of_a_mailbox_are_in_flight(graph: Graph, scope: Literal["mailbox", "client"]) -> None:
    graph.throttling.scope = scope
    graph.throttling.retry_after = None
    graph.knobs.delay = 0.02
    mailbox = graph.add_mailbox(new_address()).id
    ones = [client(graph, mailbox=mailbox) for _ in range(8)] + [client(graph) for _ in range(4)]
    with ThreadPoolExecutor(len(ones)) as pool:
        assert all(answer.is_good for answer in pool.map(inbox, ones * 3))
    assert graph.log.most_in_flight() <= 4


def test_links_lead_to_the_server_of_graph_only(graph: Graph) -> None:
    one = client(graph)
    assert one.link(f"{graph.base}/users/x?$deltatoken=1") == "/v1.0/users/x?$deltatoken=1"
    for url in (f"{graph.elsewhere}/v1.0/x", "https://evil.example/v1.0/x", "x", "http://localhost/x", ""):
        with pytest.raises(TransientError, match="another server"):
            one.link(url)


def test_abort_ends_a_request_and_lets_none_begin(graph: Graph) -> None:
    one = client(graph)
    inbox(one)
    graph.fail(INBOX, "stall")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(inbox, one)
        while not graph.log.find(INBOX, status=0):
            time.sleep(0.01)
        one.abort()
        with pytest.raises(TransientError, match="abort"):
            waiting.result(LONG)
    with pytest.raises(TransientError, match="abort"):
        inbox(one)


# --- errors -----------------------------------------------------------------------------------------------------------


def refused(status: int, code: str) -> GatewaydError:
    data = {"error": {"code": code, "message": "never read", "innerError": {"request-id": "r-1"}}}
    return GraphAnswer(status=status, headers={}, data=data, where="graph.example:443: the inbox").error


@pytest.mark.parametrize(("code", "fault"), [(code, fault) for fault in GRAPH_FAULTS for code in fault.codes])
def test_each_row_of_the_table_is_found_by_its_code_in_any_case(code: str, fault: object) -> None:
    for word in (code, code.lower(), code.upper()):
        error = refused(400, word)
        (row,) = (one for one in GRAPH_FAULTS if code in one.codes)
        assert row is fault
        assert (type(error), error.advice) == (row.verb, row.advice)
        assert error.message == f"graph.example:443: the inbox: {row.what} ({word}, request id r-1)"


def test_the_rows_differ_and_each_has_an_advice() -> None:
    assert len({one.what for one in GRAPH_FAULTS}) == len(GRAPH_FAULTS)
    assert all(one.advice for one in GRAPH_FAULTS)


@pytest.mark.parametrize(
    ("status", "code", "verb"),
    [
        (403, "SomethingNew", AuthError),
        (418, "SomethingNew", PermanentError),
        (599, "SomethingNew", TransientError),
        (404, "", PermanentError),
        (429, "\n\x1b[31m", TransientError),
    ],
)
def test_an_unknown_code_is_judged_by_its_status(status: int, code: str, verb: type[GatewaydError]) -> None:
    error = refused(status, code)
    assert type(error) is verb
    assert error.advice
    assert "\n" not in error.message


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("code", ["ErrorAccessDenied", "ErrorMessageSizeExceeded"])
def test_a_status_that_says_later_counts_whatever_the_code(status: int, code: str) -> None:
    assert type(refused(status, code)) is TransientError


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("roles", "may not do this"),
        ("only", "may not do this"),
        ("mailbox", "no such mailbox"),
        ("licence", "no mailbox in Exchange"),
    ],
)
def test_what_a_new_tenant_lacks_has_its_own_message(graph: Graph, wrong: str, text: str) -> None:
    mailbox = graph.add_mailbox(new_address())
    if wrong == "roles":
        graph.app.roles = set()
    elif wrong == "only":
        graph.app.only = set()
    elif wrong == "licence":
        mailbox.is_licensed = False
    one = client(graph, mailbox="nobody@acme.example" if wrong == "mailbox" else mailbox.id)
    with pytest.raises(AuthError, match=text):
        inbox(one).checked()


# --- the pace ---------------------------------------------------------------------------------------------------------


def test_requests_for_new_mail_go_before_backlog() -> None:
    pace, order, queued = Pace(), list[str](), set[str]()

    def ask(what: str) -> None:
        # Whoever waits is asked this each time that something changes.
        with pace.turn(what, urgent=what == "new", stopped=lambda: bool(queued.add(what))):  # type: ignore[func-returns-value]
            order.append(what)

    with ThreadPoolExecutor(11) as pool, ExitStack() as flights:
        for number in range(8):
            flights.enter_context(pace.turn(f"box {number}", urgent=True, stopped=lambda: False))
        wanted = [*(f"backlog {number}" for number in range(10)), "new"]
        waiting = [pool.submit(ask, what) for what in wanted]
        while len(queued) < len(wanted):
            pace.wake()
            time.sleep(0.01)
        flights.close()
        for one in waiting:
            one.result(LONG)
    assert order[0] == "new"


def test_the_bound_over_all_mailboxes_is_halved_once_and_widens_and_is_zero_while_Microsoft_wants_patience() -> None:
    pace = Pace()

    def ask(wait: float | None) -> None:
        with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
            turn.succeeded() if wait is None else turn.put_off(throttled=True, retry_after=wait)

    assert pace.bound == 8
    for _ in range(100):
        ask(None)
    wide = pace.bound
    assert 8 < wide < 20
    with ExitStack() as flights:
        turns = [flights.enter_context(pace.turn(f"box {number}", urgent=True, stopped=lambda: False)) for number in range(4)]
        for turn in turns:
            turn.put_off(throttled=True, retry_after=0.0)
    assert pace.bound == wide // 2
    for _ in range(9):
        ask(0.0)
    assert pace.bound == 1
    ask(9.0)
    # Perhaps Microsoft counts the mailbox alone.
    assert pace.bound == 1
    with pace.turn("another", urgent=True, stopped=lambda: False) as turn:
        turn.put_off(throttled=True, retry_after=1.0)
    assert pace.bound == 0


def test_new_mail_that_waits_for_its_own_mailbox_keeps_no_backlog_of_others_back() -> None:
    pace, queued = Pace(), list[bool]()

    def wait() -> None:
        with pace.turn("busy", urgent=True, stopped=lambda: bool(queued.append(True))):  # type: ignore[func-returns-value]
            pass

    with ThreadPoolExecutor(1) as pool, ExitStack() as flights:
        for _ in range(4):
            flights.enter_context(pace.turn("busy", urgent=True, stopped=lambda: False))
        waiting = pool.submit(wait)
        while not queued:
            time.sleep(0.01)
        with pace.turn("other", urgent=False, stopped=lambda: False):
            assert not waiting.done()
        flights.close()
        waiting.result(LONG)


def test_new_mail_of_a_mailbox_that_is_to_be_left_alone_keeps_no_backlog_of_others_back() -> None:
    pace, queued, over = Pace(), list[bool](), list[bool]()
    with pace.turn("busy", urgent=True, stopped=lambda: False) as turn:
        turn.put_off(throttled=False, retry_after=PATIENCE - 1)

    def wait() -> None:
        with pace.turn("busy", urgent=True, stopped=lambda: queued.append(True) or bool(over)):  # type: ignore[func-returns-value]
            pass

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        while not queued:
            time.sleep(0.01)
        with pace.turn("other", urgent=False, stopped=lambda: False):
            assert not waiting.done()
        over.append(True)
        pace.wake()
        with pytest.raises(TransientError, match="aborted"):
            waiting.result(LONG)


def test_an_answer_to_an_earlier_request_does_not_shorten_what_Microsoft_asks_for() -> None:
    pace = Pace()
    with ExitStack() as flights:
        earlier, turn = (flights.enter_context(pace.turn("box", urgent=True, stopped=lambda: False)) for _ in range(2))
        turn.put_off(throttled=False, retry_after=PATIENCE - 1)
        earlier.succeeded()
    with pytest.raises(TransientError, match="aborted"), pace.turn("box", urgent=True, stopped=lambda: True):
        pass


def test_after_a_success_the_waits_begin_anew() -> None:
    pace = Pace()

    def put_off() -> float:
        with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
            return turn.put_off(throttled=False, retry_after=None)

    assert put_off() <= 1.0
    assert 1.0 <= put_off() <= 2.0
    with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
        turn.succeeded()
    assert put_off() <= 1.0


def test_the_bound_over_all_mailboxes_has_a_bound() -> None:
    pace = Pace()
    with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
        for _ in range(4_000):
            turn.succeeded()
    assert pace.bound == 64


def test_whoever_is_stopped_before_he_waits_does_not_wait() -> None:
    pace, asked = Pace(), list[float]()
    with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
        turn.put_off(throttled=True, retry_after=PATIENCE - 1)
    start = time.monotonic()
    with (
        pytest.raises(TransientError, match="aborted"),
        pace.turn("box", urgent=True, stopped=lambda: asked.append(time.monotonic()) is None),  # type: ignore[func-returns-value]
    ):
        pass
    # Asked before any wait.
    assert asked[0] - start < PATIENCE - 2


def test_one_who_waits_is_stopped_at_once() -> None:
    pace, stopped = Pace(), list[bool]()
    with pace.turn("box", urgent=True, stopped=lambda: False) as turn:
        turn.put_off(throttled=True, retry_after=PATIENCE - 1)

    def wait() -> None:
        with pace.turn("box", urgent=True, stopped=lambda: bool(stopped)):
            pass

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        stopped.append(True)
        while not waiting.done():
            pace.wake()
            time.sleep(0.01)
        with pytest.raises(TransientError, match="aborted"):
            waiting.result()
