"""Addresses: under which the pages are served, and from which a request comes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request

    from gatewayd import WebConfig

__all__ = ["client_address", "hosts", "is_secure", "url"]

#: So many hops of X-Forwarded-For are looked at, from the last one.
_HOPS = 10


def url(web: WebConfig) -> str:
    """Return the address that people type."""
    return web.url or f"{'https' if web.tls else 'http'}://{web.listen}"


def is_secure(web: WebConfig) -> bool:
    """Whether people reach the pages over TLS."""
    return url(web).startswith("https:")


def hosts(web: WebConfig) -> frozenset[str]:
    """Return what the header Host may be, in lower case."""
    return frozenset({urlsplit(url(web)).netloc.lower(), web.listen.lower()})


def client_address(request: Request, web: WebConfig) -> str:
    """Return the address that a request comes from: the last one that no proxy of ours has."""
    proxies = [ip_network(one) for one in web.proxies]
    given = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-_HOPS:]
    before = request.client.host if request.client else ""
    for hop in reversed(given):
        try:
            if not any(ip_address(before) in one for one in proxies):
                break
            before = str(ip_address(hop.strip()))
        except ValueError:
            break
    return before
