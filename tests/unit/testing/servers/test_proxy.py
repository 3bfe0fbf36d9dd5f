"""The ports on which tests start servers."""

from __future__ import annotations

import socket
from pathlib import Path

from gatewayd.testing.servers.proxy import free_ports


def test_free_ports_are_different_and_given_to_nobody_who_asks_for_any() -> None:
    ports = free_ports(50)
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 50
    assert all(1024 <= port < lowest for port in ports)
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
