"""Which addresses are public, and that a server is connected to at no other where its host is somebody's own word."""

from __future__ import annotations

import socket
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, Connection, HostAddress, is_public_address
from tests.unit.api.test_connection import place

_REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%1",
    "2606:4700::1%1",
    "fec0::1",
    "ff02::1",
    "4000::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]
_PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00::1",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", _REFUSED)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public_address(ip_address(address))


@pytest.mark.parametrize("address", _PUBLIC)
def test_what_stands_beside_them_is(address: str) -> None:
    assert is_public_address(ip_address(address))


_NAT64 = IPv6Network("64:ff9b::/96")


@given(st.ip_addresses())
def test_no_address_is_public_that_python_takes_for_a_special_one(address: IPv4Address | IPv6Address) -> None:
    special = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast, address.is_reserved)
    if any(special) or address.is_unspecified or not address.is_global:
        embedded = isinstance(address, IPv6Address) and address in _NAT64
        assert embedded or not is_public_address(address)


@given(st.ip_addresses(v=4))
def test_an_address_within_another_is_never_more_public_than_by_itself(inner: IPv4Address) -> None:
    number = int(inner)
    assert is_public_address(IPv6Address((0x64FF9B << 96) | number)) == is_public_address(inner)
    assert not is_public_address(IPv6Address((0xFFFF << 32) | number))
    assert not is_public_address(IPv6Address(number))
    assert not is_public_address(IPv6Address((0x2002 << 112) | (number << 80) | 1))
    # Teredo holds the address with all bits turned (RFC 4380 section 4).
    assert not is_public_address(IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)))


# --- a server ---------------------------------------------------------------------------------------------------------


def places(*addresses: str) -> list[HostAddress]:
    return [HostAddress(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, 993)) for one in addresses]


def test_of_a_name_with_addresses_of_both_kinds_only_the_public_ones_are_connected_to() -> None:
    mixed = places("127.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "169.254.169.254", "2001:4860:4860::8888")
    assert place(993).permitted(mixed) == mixed
    assert place(993).public_only().permitted(mixed) == [mixed[1], mixed[4]]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1", "127.1", "2130706433"])
def test_nothing_is_said_to_this_machine_if_only_public_addresses_may_be(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # Given past the checks of YAML: what the system's resolver makes of it is what counts.
        server = place(port).model_copy(update={"host": host})
        if ":" not in host:
            with closing(Connection(server, port)):
                listener.accept()[0].close()
        with pytest.raises(AuthError, match="no public address") as caught:
            Connection(server.public_only(), port)
        assert "127.0.0.1" not in caught.value.sentences.replace(host, "")
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_server_of_public_addresses_is_another_one_and_stays_it_in_a_copy() -> None:
    server = place(993)
    assert server.public_only() != server
    assert server.public_only() == server.public_only()
    with pytest.raises(AuthError):
        server.public_only().model_copy(update={"timeout": 1.0}).permitted(places("10.0.0.1"))
