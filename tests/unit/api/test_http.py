"""The HTTP client against a real server, and against servers that cut, stall, drip, flood and lie (P8, P9)."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import math
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from weakref import ref

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AnswerLost, AuthError, ConfigError, HttpClient, HttpPool, TooLarge, TransientError, retry_after
from gatewayd.api.http.exchange import AskedRequest, Exchange
from gatewayd.api.http.messages import Cut, Head, Malformed, body_of, read_head
from gatewayd.testing.servers.proxy import free_ports
from tests.patience import AT_ONCE, LONG
from tests.plugins.webhook_site import scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd import Connection
    from gatewayd.api.http.pool import KeptConnection

    Play = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords"
TOKEN = "t0ken-of-ours" * 100


# --- a real server --------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """A server of the standard library's, and what came to it."""

    ca_file: Path
    port: int = 0
    connections: int = 0
    ended: int = 0
    #: How many requests came by each connection.
    requests: Counter[int] = field(default_factory=Counter)
    heads: list[dict[str, str]] = field(default_factory=list)
    pools: list[HttpPool] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def pool(self, **fields: Any) -> HttpPool:
        self.pools.append(HttpPool(self.url, ca_file=self.ca_file, **fields))
        return self.pools[-1]


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            site.connections += 1
            self.number = site.connections
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def finish(self) -> None:
            super().finish()
            site.ended += 1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            site.requests[self.number] += 1
            site.heads.append(dict(self.headers))
            said = json.dumps([self.command, self.path, len(body), sum(body[::4096])]).encode()
            if self.path.startswith("/large/"):
                self.large(int(self.path[len("/large/") :]))
                return
            self.send_response(302 if self.path == "/moved" else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("X-Two", "one")
            self.send_header("x-two", "two")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said)

        def large(self, size: int) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, size, 100_000):
                piece = bytes(min(100_000, size - start))
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815  as the base class has it

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return context, path


@pytest.fixture
def site(authority: tuple[ssl.SSLContext, Path]) -> Iterator[Site]:
    context, ca_file = authority
    site = Site(ca_file)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(site)) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            for pool in site.pools:
                pool.close()
            server.shutdown()
            thread.join()


def test_requests_go_over_one_connection_with_all_that_they_have(site: Site) -> None:
    client = HttpClient(site.pool())
    client.open()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        body = b"x" * 4096 if method in {"POST", "PUT", "PATCH"} else b""
        answer = client.request(method, "/a?b=%20", what="it", headers={"Authorization": f"Bearer {TOKEN}"}, body=body)
        assert (answer.status, answer.reason, answer.headers["x-two"]) == (200, "OK", "one, two")
        assert json.loads(answer.body) == [method, "/a?b=%20", len(body), ord("x") if body else 0]
    assert client.request("HEAD", "/", what="it").body == b""
    assert client.request("GET", site.url + "/whole?x", what="it").body.startswith(b'["GET", "/whole?x"')
    assert list(site.requests.values()) == [7]
    assert site.heads[0] == {
        "Host": f"localhost:{site.port}",
        "User-Agent": "gatewayd",
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {TOKEN}",
    }
    assert [head.get("Content-Length") for head in site.heads[:5]] == [None, "4096", "4096", "4096", None]


def test_P8_many_threads_share_the_kept_connections(site: Site) -> None:
    pool = site.pool(kept=4)
    with ThreadPoolExecutor(4) as threads:
        answers = [*threads.map(lambda number: HttpClient(pool).request("GET", f"/{number}", what="it").body, range(80))]
    assert [json.loads(answer)[1] for answer in answers] == [f"/{number}" for number in range(80)]
    assert len(site.requests) <= 4


def test_P8_no_more_connections_are_kept_than_allowed_and_none_for_too_long(site: Site) -> None:
    for fields, connections in (({"kept": 1}, 3), ({"kept": 0}, 4), ({"idle": 0.0}, 4)):
        site.requests.clear()
        client = HttpClient(site.pool(**fields))
        with client.stream("GET", "/", what="it") as one, client.stream("GET", "/", what="it") as two:
            assert [*one] != []
            assert [*two] != []
        for _ in range(2):
            time.sleep(0.001)
            client.request("GET", "/", what="it")
        # Of the two at the beginning, one was kept.
        assert len(site.requests) == connections - (fields == {"kept": 1})


def test_P8_a_kept_connection_that_nobody_needs_any_more_is_closed(site: Site) -> None:
    client = HttpClient(site.pool(idle=0.2))
    with client.stream("GET", "/", what="it") as one, client.stream("GET", "/", what="it") as two:
        assert b"".join([*one, *two])
    until = time.monotonic() + AT_ONCE
    while not site.ended and time.monotonic() < until:
        # Too often for the other one to be too old.
        client.request("GET", "/", what="it")
    assert site.ended


def test_a_closed_pool_keeps_nothing(site: Site) -> None:
    pool = site.pool()
    client = HttpClient(pool)
    client.open()
    pool.close()
    for _ in range(2):
        client.request("GET", "/", what="it")
    assert len(site.requests) == 2


def test_a_large_body_is_streamed_and_a_large_one_sent(site: Site) -> None:
    client = HttpClient(site.pool())
    size = 40 << 20
    came = 0
    with client.stream("GET", f"/large/{size}", what="it", limit=size) as stream:
        for piece in stream:
            assert len(piece) <= 1 << 20
            came += len(piece)
    assert came == size
    upload = memoryview(bytes(range(256)) * (4 << 12))
    # Links of Microsoft Graph are long.
    assert client.request("GET", f"{site.url}/{'x' * 9000}", what="it").status == 200
    assert json.loads(client.request("PUT", "/upload", what="it", body=upload).body)[2:] == [4 << 20, 0]
    assert len(site.requests) == 1


def test_P8_a_body_beyond_its_bound_is_not_read_on(site: Site) -> None:
    client = HttpClient(site.pool())
    pieces: list[bytes] = []
    with (
        pytest.raises(TooLarge, match="the letter: the answer's body has more than 1000001 bytes"),
        client.stream("GET", "/large/5000000", what="the letter", limit=1_000_001) as stream,
    ):
        pieces.extend(stream)
    assert sum(map(len, pieces)) == 1_000_001
    assert client.request("GET", "/large/1000", what="it", limit=1000).body == bytes(1000)
    assert len(site.requests) == 2
    with pytest.raises(AnswerLost, match="it: the answer's body has more than 999 bytes") as caught:
        client.request("POST", "/large/1000", what="it", limit=999)
    assert caught.value.status == 200


def test_a_body_that_is_not_read_to_its_end_ends_the_connection(site: Site) -> None:
    client = HttpClient(site.pool())
    with client.stream("GET", "/large/5000000", what="it", limit=5_000_000) as stream:
        next(iter(stream))
    with pytest.raises(RuntimeError, match="the disk"), client.stream("GET", "/", what="it") as stream:
        raise RuntimeError("the disk")
    client.request("GET", "/", what="it")
    assert len(site.requests) == 3


def test_P9_no_redirect_is_followed_and_no_other_server_asked(site: Site) -> None:
    client = HttpClient(site.pool())
    assert client.request("GET", "/moved", what="it").status == 302
    base = f"localhost:{site.port}"
    for link in (
        "https://elsewhere.example/next",
        f"http://{base}/next",
        f"https://localhost:{site.port + 1}/next",
        f"https://{base}@elsewhere.example/next",
        f"https://user@{base}/next",
        "next",
        "",
    ):
        with pytest.raises((TransientError, ValueError)) as caught:
            client.request("GET", link, what="it", headers={"Authorization": TOKEN})
        assert "elsewhere" not in str(caught.value)
    assert client.request("GET", "//elsewhere.example/next", what="it").status == 200
    assert sum(site.requests.values()) == 2


@pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A": "\x00"}, {"A:": "b"}, {"": "b"}, {"A": "€"}, {"A\n": "b"}], ids=repr)
def test_P9_what_would_become_another_header_is_not_sent(site: Site, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="can't be sent") as caught:
        HttpClient(site.pool()).request("GET", "/", what="it", headers=headers | {"Authorization": TOKEN})
    assert TOKEN not in str(caught.value)
    for path in ("/ HTTP/1.1\r\nX: y", "/a b", "/\x00", "/é"):
        with pytest.raises((ValueError, TransientError)):
            HttpClient(site.pool()).request("GET", path, what="it")
    assert not site.requests


def test_P9_no_repr_has_a_header_or_a_body(site: Site) -> None:
    pool = site.pool()
    client = HttpClient(pool)
    with client.stream("GET", f"/{TOKEN}", what="it") as stream:
        shown = repr((pool, client, stream))
    answer = client.request("GET", f"/{TOKEN}", what="it")
    assert TOKEN in str(answer.body)
    assert TOKEN[:20] not in shown + repr(answer)


# --- servers that are a script of bytes -----------------------------------------------------------------------------------


def heard(line: socket.socket) -> bytes:
    """Read one whole request; nothing at the stream's end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    length = sum(int(each.split(b":")[1]) for each in head.split(b"\r\n") if each.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += line.recv(65536)
    return data


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@dataclass
class Told:
    """A server that plays a script at each of its connections, the last one again and again."""

    scripts: list[list[bytes]]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    resets: bool = False
    #: Set when a connection has ended, and the client's side has heard of it.
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, line: socket.socket) -> None:
        answers = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        for answer in answers:
            request = heard(line)
            if not request:
                return
            self.requests.append(request.split(b" ")[0])
            line.sendall(answer)
        if self.resets:
            reset(line)
        else:
            line.shutdown(socket.SHUT_WR)
        self.ended.set()


@contextmanager
def client_of(play: Play, **fields: Any) -> Iterator[HttpClient]:
    with scripted(play) as port:
        pool = HttpPool(f"http://localhost:{port}/", **{"timeout": LONG} | fields)
        try:
            yield HttpClient(pool)
        finally:
            pool.close()


def asked(client: HttpClient, method: str = "GET", **fields: Any) -> bytes:
    return client.request(method, "/", what="the letter", **fields).body


def test_one_thread_has_several_requests_in_flight_and_takes_their_answers_later(site: Site) -> None:
    client = HttpClient(site.pool())
    sent = [client.send("GET", f"/{number}", what="it") for number in range(3)]
    # Each went over its own connection, before any answer was taken.
    for number, one in reversed(list(enumerate(sent))):
        with one.stream() as stream:
            assert json.loads(b"".join(stream))[1] == f"/{number}"
    assert site.connections == 3
    # And all of these are kept.
    sent = [client.send("GET", "/", what="it") for _ in range(3)]
    for one in sent:
        one.drop()
    ended = time.monotonic() + LONG
    while site.ended < 3:
        assert time.monotonic() < ended
        time.sleep(0.01)
    assert site.connections == 3


@pytest.mark.parametrize("repeat", [True, False])
def test_a_request_that_was_sent_over_a_connection_that_then_ends_is_made_again_where_that_changes_nothing(*, repeat: bool) -> None:
    told = Told([[OK, b""], [OK]])
    with client_of(told) as client:
        asked(client)
        sent = client.send("POST", "/", what="it", repeat=repeat)
        if repeat:
            with sent.stream() as stream:
                assert b"".join(stream) == b"words"
        else:
            with pytest.raises(AnswerLost), sent.stream():
                pass
    assert told.requests == [b"GET", *[b"POST"] * (2 if repeat else 1)]


def test_the_wait_for_an_answer_may_begin_when_it_is_its_turn(site: Site) -> None:
    client = HttpClient(site.pool(timeout=2.0))
    turned, late = (client.send("GET", "/", what="it") for _ in range(2))
    time.sleep(2.1)
    with turned.stream(anew=True) as stream:
        assert b"".join(stream)
    with pytest.raises(AnswerLost, match="no answer within 2 s"), late.stream():
        pass


def test_an_abort_ends_all_that_were_sent(site: Site) -> None:
    client = HttpClient(site.pool())
    sent = [client.send("GET", "/", what="it") for _ in range(3)]
    client.abort()
    for one in sent:
        with pytest.raises(TransientError, match="aborted"), one.stream():
            pass
    with pytest.raises(TransientError, match="aborted"):
        client.send("GET", "/", what="it")


@pytest.mark.parametrize("size", range(len(OK)))
def test_an_answer_that_is_cut_is_none(size: int) -> None:
    with client_of(Told([[OK[:size]]])) as client, pytest.raises(AnswerLost, match=r"^localhost:[0-9]+: the letter: ") as caught:
        asked(client)
    assert caught.value.status == (200 if size >= len(b"HTTP/1.1 200") else None)
    assert caught.value.advice


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: -5\r\n\r\nwords",
        b"Content-Length: +5\r\n\r\nwords",
        b"Content-Length: 0x5\r\n\r\nwords",
        b"Content-Length: five\r\n\r\nwords",
        b"Content-Length: 5, 5\r\n\r\nwords",
        b"Content-Length: 5\r\n 6\r\n\r\nwords",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nwords",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: " + b"9" * 30 + b"\r\n\r\nwords",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\nwords",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\nwords",
        b"Transfer-Encoding: chunked\r\n\r\n+5\r\nwords\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nwords\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1_0\r\nwords\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n\r\nwords\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nwords\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 100_000 + b"\r\n\r\n",
        # Nobody knows whether this is all of it.
        b"\r\nwords",
    ],
)
def test_a_body_whose_end_is_not_certain_is_no_answer_though_its_status_is_known(rest: bytes) -> None:
    with client_of(Told([[b"HTTP/1.1 200 OK\r\n" + rest]])) as client, pytest.raises(AnswerLost) as caught:
        asked(client)
    assert (caught.value.status, caught.value.reason) == (200, "OK")


def test_the_words_of_an_error_may_end_with_the_connection() -> None:
    with client_of(Told([[b"HTTP/1.0 500 No\r\n\r\nwords"]])) as client:
        assert asked(client) == b"words"


@pytest.mark.parametrize(
    "answer",
    [
        b"* OK IMAP4rev1 ready\r\n",
        b"\r\n\r\n",
        b"\x00\xff\x80" * 100 + b"\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 600 High\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
        b"HTTP/1.1 ok\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\rContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
        b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 10_000 + b"\r\n") * 10 + b"\r\n",
    ],
)
def test_P8_what_is_no_answer_is_told_without_its_words(answer: bytes) -> None:
    with client_of(Told([[answer]])) as client, pytest.raises(AnswerLost) as caught:
        asked(client)
    assert caught.value.status is None
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200
    assert "ready" not in caught.value.message


def test_P8_headers_without_an_end_meet_their_bound() -> None:
    def play(line: socket.socket) -> None:
        heard(line)
        line.sendall(b"HTTP/1.1 ")
        while True:
            line.sendall(b"100 Continue\r\n\r\nHTTP/1.1 " * 100)

    with client_of(play) as client, pytest.raises(AnswerLost, match="more than 65536 bytes came"):
        asked(client)


@pytest.mark.parametrize("first", [b"100 Continue\r\n", b"103 Early Hints\r\nLink: </x>\r\n", b"102 Processing\r\n"])
def test_interim_answers_are_passed_over(first: bytes) -> None:
    with client_of(Told([[b"HTTP/1.1 " + first + b"\r\n" + OK, OK]])) as client:
        assert [asked(client), asked(client)] == [b"words", b"words"]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_answers_have_no_body_whatever_they_say(status: bytes) -> None:
    told = Told([[b"HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\n" % status, OK]])
    with client_of(told) as client:
        assert [asked(client), asked(client)] == [b"", b"words"]
    assert told.connections == 1


def test_an_old_server_may_fold_its_fields() -> None:
    with client_of(Told([[b"HTTP/1.1 200 OK\r\nA : one\r\n\ttwo : three\r\n four\r\na: five\r\n" + OK[17:]]])) as client:
        answer = client.request("GET", "/", what="it")
    assert (answer.headers["a"], answer.body) == ("one two : three four, five", b"words")


def test_fields_lines_and_chunks_may_be_written_in_each_permitted_way() -> None:
    answer = (
        b"HTTP/1.1 200\r\ntransfer-ENCODING:  Chunked \nX:\r\n\r\n"
        b"05;name=value\r\nwords\r\n0A ;x\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\n"
    )
    with client_of(Told([[answer, OK]])) as client:
        assert [asked(client), asked(client)] == [b"words0123456789", b"words"]


# --- connections that end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(
    ("method", "fields", "repeated"),
    [
        ("GET", {}, True),
        ("PUT", {"body": b"x"}, True),
        ("DELETE", {}, True),
        ("POST", {"body": b"x"}, False),
        ("PATCH", {"body": b"x"}, False),
        ("POST", {"body": b"x", "repeat": True}, True),
        ("GET", {"repeat": False}, False),
    ],
)
def test_a_kept_connection_that_ends_at_a_request(method: str, fields: dict[str, Any], *, repeated: bool, resets: bool) -> None:
    told = Told([[OK, b""], [OK]], resets=resets)
    with client_of(told) as client:
        asked(client)
        if repeated:
            assert asked(client, method, **fields) == b"words"
        else:
            with pytest.raises(AnswerLost) as caught:
                asked(client, method, **fields)
            assert caught.value.status is None
    assert told.requests == [b"GET", method.encode(), *([method.encode()] if repeated else [])]


@pytest.mark.parametrize(("sent", "repeatable"), [(0, True), (1, False)])
def test_what_must_not_be_repeated_is_repeated_only_if_nothing_of_it_was_sent(sent: int, *, repeatable: bool) -> None:
    """The connection ends just between the look at it and the request, which no server can be made to do at will."""
    with scripted(Told([[OK]])) as port:
        pool = HttpPool(f"http://localhost:{port}/")
        line = pool.open(lambda _: None)
        line.connection.cut()
        request = AskedRequest(
            what="it",
            method="POST",
            head=b"POST / HTTP/1.1\r\n\r\n",
            body=b"",
            seconds=LONG,
            until=math.inf,
            may_repeat=False,
            limit=0,
        )
        exchange = Exchange(line, request, was_kept=True, sent=sent)
        with pytest.raises(OSError, match="aborted") as caught:
            exchange.send()
        assert exchange.is_repeatable(caught.value) is repeatable
        line.connection.close()


def test_a_request_is_repeated_once_and_over_a_kept_connection_only() -> None:
    told = Told([[OK, b""], [b""]])
    with client_of(told) as client:
        asked(client)
        for _ in range(2):
            with pytest.raises(AnswerLost):
                asked(client)
    # The second one had no kept connection.
    assert (len(told.requests), told.connections) == (4, 3)


def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    told = Told([[OK, OK[:1]], [OK]])
    with client_of(told) as client:
        asked(client)
        with pytest.raises(AnswerLost):
            asked(client)
    assert len(told.requests) == 2


def test_what_was_sent_before_may_have_been_acted_on_though_the_server_is_gone_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            server.close()
            with line:
                Told([[OK, b""]])(line)

        thread = threading.Thread(target=serve)
        thread.start()
        client = HttpClient(HttpPool(f"http://localhost:{server.getsockname()[1]}/"))
        asked(client)
        with pytest.raises(AnswerLost, match="connection refused"):
            asked(client)
        thread.join()
        with pytest.raises(TransientError, match="connection refused") as caught:
            asked(client)
        assert not isinstance(caught.value, AnswerLost)


def test_nothing_is_sent_over_a_connection_that_ended_or_has_bytes_that_nobody_asked_for() -> None:
    for script in ([OK], [OK + OK], [OK + b"x"]):
        told = Told([script, [OK]])
        with client_of(told) as client:
            asked(client)
            assert told.ended.wait(AT_ONCE)
            asked(client, "POST", body=b"x")
        assert told.requests == [b"GET", b"POST"]


def test_what_came_with_an_answer_is_not_the_next_one() -> None:
    told = Told([[OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", OK], [OK]])
    with client_of(told) as client:
        assert [asked(client), asked(client)] == [b"words", b"words"]
    assert told.connections == 2


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nConnection: Keep, Close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_connection_that_the_server_does_not_keep_is_not_kept(head: bytes) -> None:
    told = Told([[head + b"Content-Length: 0\r\n\r\n", OK]])
    with client_of(told) as client:
        asked(client)
        asked(client)
    assert told.connections == 2


def test_a_request_that_is_taken_slowly_comes_whole() -> None:
    came = hashlib.sha256()

    def play(line: socket.socket) -> None:
        # Until then, more is sent than there is room for on the way.
        time.sleep(0.2)
        size = -1
        while size != 12_000_000:
            piece = line.recv(9999)
            if size < 0:
                piece = piece.partition(b"\r\n\r\n")[2]
                size = 0
            came.update(piece)
            size += len(piece)
        line.sendall(OK)

    body = random.Random(1).randbytes(12_000_000)
    with client_of(play) as client:
        assert asked(client, "POST", body=body) == b"words"
    assert came.digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize(("status", "counts"), [(b"413 Too Large", True), (b"200 OK", False)])
def test_a_refusal_before_the_end_of_the_request_counts(status: bytes, *, counts: bool) -> None:
    def play(line: socket.socket) -> None:
        line.recv(100)
        line.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
        line.shutdown(socket.SHUT_RD)
        # No reset before the answer was taken from the wire: that one would take it along.
        time.sleep(0.5)
        reset(line)

    with client_of(play) as client:
        if counts:
            answer = client.request("POST", "/", what="it", body=bytes(12_000_000))
            assert (answer.status, answer.reason) == (413, "Too Large")
        else:
            with pytest.raises(AnswerLost, match="connection lost"):
                client.request("POST", "/", what="it", body=bytes(12_000_000))


# --- deadlines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]])
def test_P8_a_server_that_stalls_meets_the_deadline_and_is_not_asked_again(begun: bytes) -> None:
    told = Told([[OK, begun, b""]])
    began = time.monotonic()
    with client_of(told) as client:
        asked(client)
        with pytest.raises(AnswerLost, match=r"the letter: no (whole )?answer within 2 s"):
            asked(client, deadline=2.0)
    assert time.monotonic() - began < AT_ONCE
    assert told.requests == [b"GET", b"GET"]


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
@pytest.mark.parametrize(("timeout", "deadline"), [(1.0, LONG), (LONG, 1.0)])
def test_P8_a_server_that_drips_meets_the_deadline(begun: bytes, timeout: float, deadline: float) -> None:
    def play(line: socket.socket) -> None:
        heard(line)
        line.sendall(begun)
        until = time.monotonic() + LONG
        while time.monotonic() < until:
            time.sleep(0.1)
            line.sendall(b"x")

    began = time.monotonic()
    with client_of(play, timeout=timeout) as client, pytest.raises(TransientError, match=r"no (whole )?answer within"):
        asked(client, deadline=deadline)
    assert time.monotonic() - began < AT_ONCE


def test_P8_a_server_that_takes_nothing_meets_the_deadline() -> None:
    over = threading.Event()
    began = time.monotonic()

    def play(_: socket.socket) -> None:
        over.wait(LONG)

    with client_of(play, timeout=1.0) as client:
        with pytest.raises(TransientError, match="no answer within 1 s"):
            asked(client, "POST", body=bytes(20_000_000))
        over.set()
    assert time.monotonic() - began < AT_ONCE


def test_P8_connecting_is_part_of_what_a_request_may_take() -> None:
    began = time.monotonic()
    over = threading.Event()

    def play(_: socket.socket) -> None:
        over.wait(LONG)

    with scripted(play) as port:
        with pytest.raises(TransientError, match="connect: no answer within 1 s") as late:
            asked(HttpClient(HttpPool(f"https://localhost:{port}/", timeout=LONG)), deadline=1.0)
        over.set()
    assert not isinstance(late.value, AnswerLost)
    assert time.monotonic() - began < AT_ONCE


# --- faults before anything is sent ---------------------------------------------------------------------------------------


def test_what_happens_before_a_request_is_sent_is_surely_not_acted_on(
    authority: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    with pytest.raises(TransientError, match=r"^nowhere\.invalid:443: host not found") as lost:
        HttpClient(HttpPool("https://nowhere.invalid/", field="graph")).open()
    assert "`graph`" in lost.value.advice
    with pytest.raises(ConfigError, match="ca_file"):
        asked(HttpClient(HttpPool("https://localhost/", ca_file=tmp_path / "none")))
    sent: list[bytes] = []

    def take(line: socket.socket) -> None:
        with suppress(OSError):
            sent.append(line.recv(100))

    with scripted(take, authority[0]) as port, pytest.raises(AuthError, match="the server's certificate is not trusted"):
        asked(HttpClient(HttpPool(f"https://localhost:{port}/")))

    def plain_text(line: socket.socket) -> None:
        line.recv(1000)
        line.sendall(OK)

    with scripted(plain_text) as port, pytest.raises(TransientError, match="TLS failed") as plain:
        asked(HttpClient(HttpPool(f"https://localhost:{port}/")))
    assert not isinstance(plain.value, AnswerLost)
    assert sent in ([], [b""])


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "ftp://localhost/", "https://user@localhost/", "https://localhost:0/", "https://localhost/#x", "https:///x"],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL"):
        HttpPool(url)


# --- aborting -------------------------------------------------------------------------------------------------------------


def test_an_abort_ends_what_is_under_way_and_lets_nothing_begin() -> None:
    came = threading.Event()

    def play(line: socket.socket) -> None:
        heard(line)
        line.sendall(OK)
        heard(line)
        came.set()
        line.recv(1)

    with client_of(play) as client:
        asked(client)

        def abort() -> None:
            came.wait(AT_ONCE)
            client.abort()

        threading.Thread(target=abort).start()
        began = time.monotonic()
        with pytest.raises(AnswerLost, match="the letter: the connection was aborted"):
            asked(client)
        for act in (client.open, lambda: asked(client)):
            with pytest.raises(TransientError, match="the connection was aborted"):
                act()
        assert time.monotonic() - began < AT_ONCE


def test_a_client_keeps_nothing_of_connections_that_could_not_be_made() -> None:
    """A client may live as long as its account's session, and try again and again."""
    made: list[ref[Connection]] = []

    class Watched(HttpPool):
        def open(self, made_: Callable[[Connection], object], *, most: float = math.inf) -> KeptConnection:
            def note(connection: Connection) -> None:
                made.append(ref(connection))
                made_(connection)

            return super().open(note, most=most)

    client = HttpClient(Watched(f"http://localhost:{free_ports(1)[0]}/"))
    with suppress(TransientError):
        client.open()
    gc.collect()
    assert [each() for each in made] == [None]


def test_an_abort_leaves_other_clients_of_the_pool_alone(site: Site) -> None:
    pool = site.pool()
    one, other = HttpClient(pool), HttpClient(pool)
    one.request("GET", "/", what="it")
    with other.stream("GET", "/", what="it") as stream:
        one.abort()
        assert b"".join(stream)
    with pytest.raises(TransientError, match="aborted"):
        one.request("GET", "/", what="it")
    assert other.request("GET", "/", what="it").status == 200


# --- the parser -----------------------------------------------------------------------------------------------------------


def whole(data: bytes, limit: int = 1 << 20) -> tuple[Head, bytes]:
    reader = cast("io.BufferedReader", io.BufferedReader(io.BytesIO(data)))
    head = read_head(reader)
    return head, b"".join(body_of(reader, "GET", head, limit))


CHUNKS = st.lists(st.binary(min_size=1, max_size=300), max_size=8)


@given(chunks=CHUNKS, at=st.floats(0, 1, exclude_max=True))
def test_a_chunked_body_that_is_cut_anywhere_is_never_a_whole_one(chunks: list[bytes], at: float) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert whole(data)[1] == b"".join(chunks)
    with pytest.raises((Cut, Malformed)):
        whole(data[: int(at * len(data))])


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
)
def test_whatever_comes_is_an_answer_or_a_fault_of_the_server(data: bytes, before: bytes) -> None:
    with suppress(Cut, Malformed):
        head, body = whole(before + data)
        assert 200 <= head.status <= 599
        assert len(body) <= len(data)


# --- Retry-After ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0), ("120", 120), ("99999999999", 86400), ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("Fri, 01 May 2026 00:00:00 GMT", 0), ("", None), ("-5", None), ("1.5", None), ("soon", None), ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None), ("9" * 400, None), ("٣", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}) == seconds
    assert retry_after({}) is None


def test_a_date_to_come_is_counted_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    assert retry_after({"retry-after": date}) == pytest.approx(600, abs=60)
