"""Open pages hear of new mail within a second, and only of mail that the person may see."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers import Dovecot
from tests.browser.site import USERS, Site
from tests.e2e.house import until
from tests.e2e.test_choosing import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


def stream(site: Site, token: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Open the stream as a browser does."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request("GET", "/stream", headers={"Cookie": f"gatewayd={token}"})
    return connection, connection.getresponse()


def events(answer: http.client.HTTPResponse, *, until_event: str) -> list[str]:
    """Return the events that come, up to one of this name."""
    found: list[str] = []
    while until_event not in found:
        line = answer.readline().decode().strip()
        if line.startswith("event: "):
            found.append(line.removeprefix("event: "))
    return found


def test_P6_an_open_page_hears_of_mail_that_its_person_may_see_and_of_no_other(tmp_path: Path, dovecot: Dovecot) -> None:
    site = Site(tmp_path)
    site.operator("acme", more=USERS)
    site.operator("globetrot", more="users:\n  gerd: {name: Gerd, email: gerd@globetrot.example}\n")
    for user in ("desk", "irina"):
        dovecot.user(f"{user}@example.com", "pass")
    site.account("desk", "imap", dovecot.ports["imap"], "desk@example.com")
    site.account("irina", "imap", dovecot.ports["imap"], "irina@example.com", more="user: acme/irina\n")
    with site.running():
        until("both accounts are watched", 60, lambda: len(site.status()) == 2)
        tokens = {"irina": site.token("irina"), "tom": site.token("tom"), "gerd": site.token("gerd", "globetrot")}
        open_ = {name: stream(site, token) for name, token in tokens.items()}
        dovecot.deliver("irina@example.com", [message(1)])
        assert events(open_["irina"][1], until_event="mail") == ["mail"]
        dovecot.deliver("desk@example.com", [message(2)])
        # The first that Tom hears of is the second mail, which his list has then.
        assert events(open_["tom"][1], until_event="mail") == ["mail"]
        assert "booking 2" in site.ask("/emails", token=tokens["tom"]).text
        # Nobody at the other operator heard of anything: the stream ends with the web session, and nothing was in it.
        site.ask("/log-out", form={"csrf": site.csrf(tokens["gerd"])}, token=tokens["gerd"])
        assert events(open_["gerd"][1], until_event="end") == ["end"]
        for connection, answer in open_.values():
            answer.close()
            connection.close()


def test_who_is_not_logged_in_has_no_stream(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.operator("acme", more=USERS)
    with site.running():
        connection, answer = stream(site, "A" * 43)
        with closing(connection):
            assert (answer.status, answer.read()) == (204, b"")


def test_open_pages_of_one_web_session_have_a_bound(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.operator("acme", more=USERS)
    with site.running():
        token = site.token("irina")
        open_ = []
        for _ in range(4):
            open_.append(stream(site, token))
            time.sleep(0.05)
        statuses = {answer.status for _, answer in open_}
        more = stream(site, token)
        assert (statuses, more[1].status) == ({200}, 204)
        for connection, answer in (*open_, more):
            answer.close()
            connection.close()
