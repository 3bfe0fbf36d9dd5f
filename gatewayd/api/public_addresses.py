"""Tell public addresses from all others, by IANA's special-purpose registries (RFC 6890, RFC 8190).

Where a host is somebody else's word, what answers inside our own network (databases, metadata of clouds, routers) trusts
whoever reaches it. So a host is looked up once, each address is judged, and the connection goes to a judged address and no other:
asked twice, a name server could give two answers.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.hosts import HostAddress

__all__ = ["is_public_address", "public_places"]

_SPECIAL_4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # a provider's own (RFC 6598)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4, given up (RFC 7526)
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]

#: All that is public lies in here (RFC 4291 section 2.4); loopback, link-local, unique local, multicast and mapped do not.
_UNICAST_6 = IPv6Network("2000::/3")
_SPECIAL_6 = [
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address; given up (RFC 7526)
        "3fff::/20",  # documentation
    )
]
#: IPv4 behind a translator (RFC 6052 section 2.1): as public as the IPv4 address in its last 32 bits.
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public_address(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the public network, by itself and by what it holds."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public_address(IPv4Address(int(address) & 0xFFFFFFFF))
        return address in _UNICAST_6 and not address.scope_id and not any(address in network for network in _SPECIAL_6)
    return not any(address in network for network in _SPECIAL_4)


def public_places(places: Sequence[HostAddress]) -> Sequence[HostAddress]:
    """Return those of a host's addresses that are public."""
    return [place for place in places if is_public_address(ip_address(place.address[0]))]
