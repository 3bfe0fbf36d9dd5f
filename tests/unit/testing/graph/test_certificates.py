from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gatewayd.testing.graph import Graph


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_keeps_to_the_letter_of_RFC_5280_trusts_the_stand_in(graph: Graph, host: str) -> None:
    """Python 3.13 does so by default."""
    context = ssl.create_default_context(cafile=graph.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for address in (graph.authority, graph.elsewhere):
        plain = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=60)
        with plain, context.wrap_socket(plain, server_hostname=host) as connection:
            assert connection.version() == "TLSv1.3"


def test_its_certificate_is_for_its_own_hosts_alone(graph: Graph) -> None:
    context = ssl.create_default_context(cafile=graph.ca_file)
    plain = socket.create_connection(("127.0.0.1", graph.port), timeout=60)
    with plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="graph.microsoft.com")
