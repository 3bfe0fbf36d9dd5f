from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING, Literal

import pytest

from tests.unit.testing.graph.graph_client import Client, mail, until

if TYPE_CHECKING:
    from gatewayd.testing.graph import Graph
    from gatewayd.testing.graph.faults import FaultWay

INBOX = "mailFolders/inbox"


def test_so_many_requests_of_a_kind_fail_and_others_do_not(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    client.graph.fail("/$value", status=503, times=2, after=1, Retry_After="7")
    answers = [client.mime(message.item_id) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 503, 503, 200]
    assert (answers[1].code, answers[1].headers["Retry-After"]) == ("ServiceUnavailable", "7")
    client.graph.fail(f"GET /v1.0/users/{client.mailbox.id}/{INBOX}", status=504)
    assert client.get(INBOX).status == 504
    client.graph.fail(INBOX, status=500, code="ErrorX")
    assert client.get(INBOX).code == "ErrorX"
    client.graph.fail(INBOX)
    client.graph.faults.clear()
    assert client.get(INBOX).status == 200


@pytest.mark.parametrize("done", [True, False])
def test_a_request_may_be_done_although_its_answer_is_an_error(client: Client, *, done: bool) -> None:
    message = client.mailbox.deliver(mail())
    client.graph.fail("DELETE", status=504, done=done)
    assert client.ask("DELETE", f"messages/{message.item_id}").status == 504
    assert (client.mailbox.messages() == []) is done


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_connection_ends_without_an_answer(client: Client, way: FaultWay, *, done: bool) -> None:
    message = client.mailbox.deliver(mail())
    client.graph.fail("DELETE", way, done=done)
    with pytest.raises((OSError, HTTPException)):
        client.ask("DELETE", f"messages/{message.item_id}")
    assert (client.mailbox.messages() == []) is done
    [logged] = client.graph.log.find("DELETE")
    assert logged.status == 0
    assert client.get(INBOX).status == 200


def test_mime_and_json_are_cut_off_half_way(client: Client) -> None:
    message = client.mailbox.deliver(mail(1, "x" * 1000))
    for path in (f"messages/{message.item_id}/$value", f"{INBOX}/messages"):
        client.graph.fail(path, "cut")
        with pytest.raises(IncompleteRead) as caught:
            client.get(path)
        assert len(caught.value.partial) < 2000
        assert client.graph.log.requests[-1].status == 200


@pytest.mark.parametrize("way", ["stall", "freeze"])
def test_a_request_without_an_end_is_in_flight_until_its_client_goes(client: Client, way: FaultWay) -> None:
    client.graph.fail(INBOX, way)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, INBOX)
        until(lambda: [one.in_flight for one in client.graph.log.find(INBOX)] == [1])
        with Client(client.graph, client.mailbox) as other:
            assert other.log_in().get(INBOX).status == 200
            assert client.graph.log.find(INBOX)[-1].in_flight == 2
            assert not waiting.done()
            client.abandon()
            until(lambda: client.graph.log.find(INBOX)[0].ended)
            other.get(INBOX)
        assert client.graph.log.find(INBOX)[-1].in_flight == 1
        # Half of the body had come, which Python 3.13 may call a broken pipe; or nothing at all.
        error = waiting.exception(60)
        assert isinstance(error, IncompleteRead | BrokenPipeError if way == "freeze" else OSError)


def test_the_login_and_uploads_fail_too(client: Client) -> None:
    client.graph.fail("/oauth2/v2.0/token", status=429, Retry_After="3")
    answer = client.post_token()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
    assert client.post_token().status == 200
    client.graph.fail("PUT /upload", status=500)
    assert client.raw("PUT", f"{client.graph.elsewhere}/upload/x", b"").status == 500
    assert client.raw("PUT", f"{client.graph.elsewhere}/upload/x", b"").status == 404


@pytest.mark.parametrize("retry_after", [2, None])
def test_each_third_request_is_one_too_many(client: Client, retry_after: int | None) -> None:
    client.graph.throttling.every = 2
    assert [client.get(INBOX).status for _ in range(4)] == [200, 429, 200, 429]
    client.graph.throttling.every = 3
    client.graph.throttling.retry_after = retry_after
    client.get(INBOX), client.get(INBOX)
    client.graph.log.clear()
    assert client.graph.log.most_in_flight() == 0
    answers = [client.get(INBOX) for _ in range(6)]
    assert [answer.status for answer in answers] == [200, 200, 429, 200, 200, 429]
    assert answers[2].code == "ApplicationThrottled"
    assert answers[2].headers.get("Retry-After") == (None if retry_after is None else "2")
    assert len(client.graph.log.find(INBOX, status=429)) == 2


def test_retry_after_may_be_a_date(client: Client) -> None:
    client.graph.throttling.every, client.graph.throttling.as_date, client.graph.throttling.retry_after = 1, True, 100
    answer = client.get(INBOX)
    assert 90 < parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - time.time() <= 100
    assert 90 < client.graph.log.requests[-1].retry_after <= 100


def _together(graph: Graph, clients: list[Client]) -> list[int]:
    """Have all clients ask at once: no request goes on before all are in flight."""
    for one in clients:
        one.log_in()
    all_here = threading.Barrier(len(clients))
    graph.on_request = lambda _request: all_here.wait(60)
    with ThreadPoolExecutor(len(clients)) as pool:
        return sorted(answer.status for answer in pool.map(lambda one: one.get(INBOX), clients))


@pytest.mark.parametrize(
    ("scope", "mailboxes", "statuses"),
    [
        ("mailbox", 1, [200] * 4 + [429]),
        ("mailbox", 5, [200] * 5),
        ("client", 5, [200] * 4 + [429]),
    ],
)
def test_more_than_four_in_flight_are_refused(
    graph: Graph, scope: Literal["mailbox", "client"], mailboxes: int, statuses: list[int]
) -> None:
    graph.throttling.scope = scope
    boxes = [graph.add_mailbox(f"{number}@acme.example") for number in range(mailboxes)]
    clients = [Client(graph, boxes[number % mailboxes]) for number in range(5)]
    try:
        assert _together(graph, clients) == statuses
        assert graph.log.most_in_flight() == 5 // mailboxes
        assert graph.log.most_in_flight(of_client=True) == 5
    finally:
        for one in clients:
            one.__exit__()


def test_other_clients_count_by_themselves(graph: Graph) -> None:
    graph.throttling.scope = "client"
    box = graph.add_mailbox("ops@acme.example")
    clients = [Client(graph, box, graph.add_app(secret="s") if number > 3 else graph.app) for number in range(6)]
    try:
        assert _together(graph, clients) == [200] * 6
    finally:
        for one in clients:
            one.__exit__()


def test_requests_before_their_time_are_found(client: Client) -> None:
    client.graph.fail(INBOX, status=429, Retry_After="3600")
    client.get(INBOX)
    with Client(client.graph, client.graph.add_mailbox("other@acme.example")) as other:
        other.log_in().get(INBOX)
    client.get(INBOX)
    log = client.graph.log
    _, refused, _, of_other, same = log.requests
    assert log.too_early(slack=0) == [same]
    assert log.too_early(of_client=True, slack=0) == [of_other, same]
    assert log.too_early(slack=3600) == []
    refused.retry_after = same.began - refused.ended
    assert log.too_early(slack=0) == []


def test_each_answer_is_delayed(client: Client) -> None:
    client.graph.knobs.delay = 0.05
    start = time.monotonic()
    client.get(INBOX)
    assert time.monotonic() - start >= 0.05


def test_connections_are_broken(client: Client) -> None:
    client.get(INBOX)
    client.graph.break_connections()
    with pytest.raises((OSError, HTTPException)):
        client.get(INBOX)
    assert client.get(INBOX).status == 200


def test_what_is_asked_for_vanishes_in_this_moment(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    client.graph.on_request = lambda request: client.mailbox.delete(message) if request.path.endswith("/$value") else None
    assert client.mime(message.item_id).code == "ErrorItemNotFound"
