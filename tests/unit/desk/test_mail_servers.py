"""Where the mail of an address lies: by a table, or as its domain's DNS says, which may say anything."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rrset
import pytest
from dns.resolver import Resolver

from gatewayd.desk.mail_servers import MailServer, guesses, is_of_domain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextmanager
def name_server(records: Mapping[str, Sequence[str]]) -> Iterator[Resolver]:
    """Answer questions for SRV records by UDP while the block lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))

        def serve() -> None:
            while raw := ours.recvfrom(4096):
                if raw[0] == b"end":
                    return
                asked = dns.message.from_wire(raw[0])
                answer = dns.message.make_response(asked)
                name = asked.question[0].name
                found = records.get(name.to_text(omit_final_dot=True), ())
                if found:
                    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *found))
                ours.sendto(answer.to_wire(), raw[1])

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], ours.getsockname()[1]
        try:
            yield resolver
        finally:
            ours.sendto(b"end", ours.getsockname())
            thread.join()


def test_large_providers_are_known() -> None:
    servers, hint = guesses("GMail.com")
    assert servers == [MailServer("imap", "imap.gmail.com", 993), MailServer("pop3", "pop.gmail.com", 995)]
    assert "app password" in hint
    (only,), _ = guesses("icloud.com")
    assert only.kind == "imap"
    servers, hint = guesses("outlook.com")
    assert servers == []
    assert "no passwords" in hint


def test_others_are_asked_for_in_the_dns_and_the_preferred_one_comes_first() -> None:
    records = {
        "_imaps._tcp.acme.example": [
            "20 0 993 second.acme.example.",
            "10 1 1993 light.acme.example.",
            "10 9 993 first.acme.example.",
        ],
        "_imap._tcp.acme.example": ["0 0 143 plain.hoster.example."],
        "_pop3s._tcp.acme.example": ["0 0 0 ."],
    }
    with name_server(records) as resolver:
        servers, hint = guesses("acme.example", resolver)
    assert servers == [
        MailServer("imap", "first.acme.example", 993),
        MailServer("imap", "light.acme.example", 1993),
        MailServer("imap", "second.acme.example", 993),
        MailServer("imap", "plain.hoster.example", 143, "starttls"),
    ]
    assert hint == ""


@pytest.mark.parametrize("domain", ["unknown.example", "-", "a..b", "x" * 300, "ü" * 70, "\udc80"])
def test_a_domain_of_which_nothing_is_known_has_no_servers(domain: str) -> None:
    with name_server({}) as resolver:
        assert guesses(domain, resolver) == ([], "")


def test_a_host_is_of_its_domain_alone() -> None:
    assert is_of_domain("IMAP.acme.example.", "acme.example")
    assert is_of_domain("acme.example", "acme.example")
    assert not is_of_domain("acme.example.evil.example", "acme.example")
    assert not is_of_domain("notacme.example", "acme.example")
