"""A person with a browser, who opens the link of a consent; nothing listens where it ends."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from gatewayd import ConsentRequest

if TYPE_CHECKING:
    from pathlib import Path

REDIRECT = "http://localhost:53682"
STATE, VERIFIER = "state&of=us", "verifier-" + "x" * 40


def request(user: str, resource: str = "") -> ConsentRequest:
    """Return a request of the kernel."""
    return ConsentRequest(user=user, resource=resource, redirect=REDIRECT, state=STATE, verifier=VERIFIER)


def opened(link: str, ca_file: Path) -> str:
    """Open a link, and return the address at which the browser ends."""
    parts = urlsplit(link)
    context = ssl.create_default_context(cafile=str(ca_file))
    connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 302, body
        return str(answer.headers["Location"])
    finally:
        connection.close()


def told(address: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
