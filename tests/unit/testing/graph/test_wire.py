from __future__ import annotations

import socket
import threading
from contextlib import nullcontext, suppress
from http.client import HTTPException
from ssl import SSLError, create_default_context
from typing import TYPE_CHECKING, Literal

import pytest

from gatewayd.testing.graph import Graph
from tests.unit.testing.graph.graph_client import TIMEOUT, Client, until

if TYPE_CHECKING:
    from ssl import SSLSocket

TOKEN = b"grant_type=x"


def _connected(graph: Graph) -> SSLSocket:
    context = create_default_context(cafile=str(graph.ca_file))
    return context.wrap_socket(socket.create_connection((graph.host, graph.port), TIMEOUT), server_hostname=graph.host)


def _said(graph: Graph, data: bytes) -> bytes:
    """Send bytes, and return all that comes until the server closes the connection."""
    with _connected(graph) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def test_requests_come_in_chunks_and_several_on_one_connection(graph: Graph) -> None:
    path = f"POST /{graph.tenant.id}/oauth2/v2.0/token HTTP/1.1\r\nHost: x\r\n".encode()
    chunked = path + b"Transfer-Encoding: chunked\r\n\r\n5\r\ngrant\r\n7;x=y\r\n_type=x\r\n0\r\nTrailer: 1\r\n\r\n"
    sized = path + b"Expect: 100-continue\r\nContent-Length: 12\r\nConnection: close\r\n\r\n" + TOKEN
    said = _said(graph, chunked + sized)
    assert said.count(b"HTTP/1.1 400 Bad Request\r\n") == 2
    assert said.count(b"HTTP/1.1 100 Continue\r\n\r\n") == 1
    assert said.count(b'"error_codes": [700016]') == 2


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 17),
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_request_ends_the_connection(graph: Graph, data: bytes) -> None:
    # It may not have read all of it.
    with suppress(OSError):
        assert _said(graph, data) == b""
    assert graph.log.requests == []


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_reset_is_one_of_tcp(graph: Graph, way: Literal["close", "reset"]) -> None:
    graph.fail("GET", way)
    with _connected(graph) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        # Below TLS, which takes both for the same.
        with pytest.raises(ConnectionResetError) if way == "reset" else nullcontext():
            while socket.socket.recv(sock, 1 << 16):
                pass


def test_who_does_not_trust_the_ca_gets_nothing(graph: Graph) -> None:
    with pytest.raises(SSLError), socket.create_connection((graph.host, graph.port), TIMEOUT) as sock:
        create_default_context().wrap_socket(sock, server_hostname=graph.host)
    with Client(graph) as client:
        assert client.post_token().status == 200


def test_its_end_leaves_no_thread_and_no_folder_behind() -> None:
    before = set(threading.enumerate())
    with Graph() as graph, Client(graph) as client, _connected(graph):
        client.post_token()
        waiting = threading.Thread(target=_abandoned, args=[client])
        graph.fail("mailFolders", "stall")
        client.log_in()
        waiting.start()
        until(lambda: graph.log.find("mailFolders"))
        # A client that connects and says nothing, not even for TLS.
        silent = socket.create_connection((graph.host, graph.port), TIMEOUT)
    waiting.join(TIMEOUT)
    silent.close()
    assert set(threading.enumerate()) <= before
    assert not graph.folder.exists()


def _abandoned(client: Client) -> None:
    with pytest.raises((OSError, HTTPException)):
        client.get("mailFolders")
