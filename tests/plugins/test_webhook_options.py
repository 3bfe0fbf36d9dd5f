"""Where a webhook may go: its URL, and the addresses behind a name."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from gatewayd import AuthError, HttpPool, Secret, TransientError
from gatewayd_webhook.options import WebhookOptions
from tests.plugins.webhook_site import parcel, receiver, webhook

if TYPE_CHECKING:
    from pathlib import Path


def made(**fields: Any) -> WebhookOptions:
    return WebhookOptions.model_validate({"url": "https://crm.example.com/mail", "secret": Secret("env", "NONE")} | fields)


# --- the URL ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://crm.example.com", "crm.example.com", 443, "/"),
        ("https://CRM.Example.com:8443/a%20b/?x=1&y={z}", "crm.example.com", 8443, "/a%20b/?x=1&y={z}"),
        ("http://crm/", "crm", 80, "/"),
        ("https://[2606:4700::1]:444/x", "2606:4700::1", 444, "/x"),
        ("https://crm.example.com?x", "crm.example.com", 443, "/?x"),
    ],
)
def test_a_url_is_taken_as_it_stands(url: str, host: str, port: int, path: str) -> None:
    options = made(url=url, insecure=True)
    assert (options.url, options.host) == (url, host)
    pool = HttpPool(options.url)
    assert (pool.host, pool.port, pool.target(options.url)) == (host, port, path)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "ftp://crm.example.com/"},
        {"url": "crm.example.com/mail"},
        {"url": "https:///mail"},
        {"url": "https://anna:hunter2@crm.example.com/"},
        {"url": "https://@crm.example.com/"},
        {"url": "https://crm.example.com/#top"},
        {"url": "https://crm.example.com/#"},
        {"url": "https://crm.example.com/a b"},
        {"url": "https://crm.example.com/\r\nX: y"},
        {"url": "https://crm.example.com/ü"},
        {"url": "https://crm..example.com/"},
        {"url": "https://" + "x" * 64 + ".example/"},
        {"url": "https://crm.example.com:0/"},
        {"url": "https://crm.example.com:65536/"},
        {"url": "https://crm.example.com:x/"},
        {"url": "https://[::1/"},
        {"url": "https://[fe80::1%25eth0]/"},
        {"url": "https://crm.example.com/" + "x" * 2000},
        {"url": "http://crm.example.com/"},
        {"url": 7},
        {"secret": "whsec_plain"},
        {"previous_secret": "whsec_plain"},
        {"raw": "yes"},
        {"inline_bytes": -1},
        {"inline_bytes": 1 << 25},
        {"raw_url": "https://mail.example.com/{mail}"},
        {"raw_url": "https://mail.example.com/{id.real}"},
        {"raw_url": "https://mail.example.com/{id!r}"},
        {"raw_url": "https://mail.example.com/{id:9999999}"},
        {"raw_url": "https://mail.example.com/{"},
        {"raw_url": "https://{operator}@mail.example.com/"},
        {"allow_private": ["http://crm"]},
        {"allow_private": ["*"]},
        {"allow_private": [7]},
        {"timeout": "0s"},
        {"deadline": "1h"},
        {"headers": {}},
    ],
)
def test_fields_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**fields)
    assert "hunter2" not in str(caught.value)
    assert "plain" not in str(caught.value).replace("plain text", "")


def test_a_host_is_allowed_by_the_name_that_stands_in_the_url() -> None:
    for url, name in (("https://[::1]/", "[::1]"), ("https://[::1]/", "::1"), ("https://CRM.internal./", "crm.Internal")):
        assert made(url=url, allow_private=[name]).may_be_private
    assert not made(url="https://crm.internal.example.com/", allow_private=["crm.internal", "example.com"]).may_be_private


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_a_private_host_that_is_not_named_gets_no_connection(tmp_path: Path, host: str) -> None:
    with receiver(tmp_path, tls=False) as site:
        forwarder = webhook(tmp_path, f"http://{host}:{site.port}/", allow_private=["crm.internal"])
        with pytest.raises((AuthError, TransientError)) as caught:
            forwarder.open()
    assert site.connections == 0
    if not isinstance(caught.value, TransientError):
        # No path of the URL, which may be a secret.
        assert caught.value.message == f"{host.strip('[]')}: the host has no public address, so nothing is sent there"
        assert "allow_private" in caught.value.advice
    else:
        # A machine without IPv6 may not know such a name at all.
        assert host.startswith("[")


@pytest.mark.parametrize("allowed", ["localhost", "LOCALHOST", "localhost."])
def test_a_private_host_that_is_named_gets_it(tmp_path: Path, allowed: str) -> None:
    with receiver(tmp_path, tls=False) as site, closing(webhook(tmp_path, site.url(), allow_private=[allowed]).open()) as courier:
        list(courier.deliver([parcel()]))
    assert len(site.requests) == 1


def test_a_name_is_asked_for_once_and_the_connection_goes_to_that_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that changes its mind between the check and the connection has been asked for the last time."""
    asked = []

    def answered(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        assert len(asked) == 1, "asked twice"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with receiver(tmp_path, tls=False) as site:
        forwarder = webhook(tmp_path, f"http://crm.example:{site.port}/", allow_private=["crm.example"])
        monkeypatch.setattr(socket, "getaddrinfo", answered)
        with closing(forwarder.open()) as courier:
            list(courier.deliver([parcel()]))
    assert (len(site.requests), asked) == (1, ["crm.example"])


def test_of_several_addresses_only_the_public_ones_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(_host: str, port: int, **_: object) -> list[Any]:
        # The second is of a network that was given back and leads nowhere (RFC 3701).
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("3ffe::1", port, 0, 0)),
        ]

    with receiver(tmp_path, tls=False) as site:
        monkeypatch.setattr(socket, "getaddrinfo", answered)
        with pytest.raises(TransientError):
            webhook(tmp_path, f"http://crm.example:{site.port}/", timeout="1s").open()
    assert site.connections == 0


def test_the_next_address_is_tried_where_one_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(_host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.2", "127.0.0.1")]

    with receiver(tmp_path, tls=False) as site:
        monkeypatch.setattr(socket, "getaddrinfo", answered)
        with closing(webhook(tmp_path, site.url()).open()) as courier:
            list(courier.deliver([parcel()]))
    assert len(site.requests) == 1
