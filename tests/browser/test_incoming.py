"""Get incoming mail on the page: three accounts, one of them broken; five of twenty are chosen, and the other fifteen stay offered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from gatewayd.testing.servers import Dovecot
from tests.browser.site import USERS, Answer, Site
from tests.e2e.house import until
from tests.e2e.test_choosing import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHOSEN = "  take: chosen\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, dovecot: Dovecot) -> Site:
    """A general account by IMAP with twenty messages, Irina's own by POP3 with three, and Tom's, which he shares, with none at all."""
    made = Site(tmp_path)
    made.operator("acme", more=USERS)
    made.operator("globetrot", more="users:\n  gerd: {name: Gerd, email: gerd@globetrot.example}\n")
    for name, number in (("main", 20), ("own", 3)):
        dovecot.user(f"{name}-{tmp_path.name}@example.com", "pass")
        dovecot.deliver(f"{name}-{tmp_path.name}@example.com", [message(one) for one in range(1, number + 1)])
    made.account("main", "imap", dovecot.ports["imap"], f"main-{tmp_path.name}@example.com", imports=CHOSEN)
    own = {"more": "user: acme/irina\n", "imports": CHOSEN}
    made.account("own", "pop3", dovecot.ports["pop3"], f"own-{tmp_path.name}@example.com", **own)
    made.account("shared", "imap", 1, "tom@example.com", more="user: acme/tom\nshare: [acme/irina]\n", imports=CHOSEN)
    return made


class Person:
    """Somebody who uses the pages without JavaScript."""

    def __init__(self, site: Site, user: str, operator: str = "acme") -> None:
        self.site, self.token = site, site.token(user, operator)

    def get(self, path: str) -> str:
        answer = self.site.ask(path, token=self.token)
        assert answer.status == 200, answer.text
        return answer.text

    def post(self, path: str, **form: object) -> Answer:
        return self.site.ask(path, form={"csrf": self.site.csrf(self.token), **form}, token=self.token)

    def look(self, **form: object) -> str:
        """Press the button, and return the page once all servers have answered."""
        answer = self.post("/incoming/look", **form)
        assert answer.status == 303, answer.text
        return until("all have answered", 60, lambda: self._done(answer.headers["location"], "have answered. |has answered. "))

    def download(self, **form: object) -> str:
        """Confirm what is chosen, and return the page once it is done."""
        answer = self.post("/incoming/download", **form)
        assert answer.status == 303, answer.text
        return until("it is downloaded", 60, lambda: self._done(answer.headers["location"], "The download is done"))

    def _done(self, path: str, word: str) -> str:
        text = self.get(path)
        return text if re.search(word, text) and "<progress" not in text else ""


def offered(page: str) -> dict[str, str]:
    """Return what can be ticked, by account and subject."""
    found = re.findall(r'name="offer" value="(\d+@([\w/]+))"[^>]*aria-label="Tick ([^"]*)"', page)
    return {f"{account}: {subject}": value for value, account, subject in found}


def test_five_of_twenty_are_downloaded_and_are_unread_in_the_list(site: Site, dovecot: Dovecot, tmp_path: Path) -> None:
    user = f"main-{tmp_path.name}@example.com"
    before = dovecot.snapshot(user)
    with site.running():
        irina = Person(site, "irina")
        page = irina.look()
        assert re.findall(r'<h2 id="[^"]*">(?:<span[^>]*>(\(!\))</span> )?(\w+)', page) == [
            ("", "main"),
            ("", "own"),
            ("(!)", "shared"),
        ]
        assert "localhost:1: connection refused" in page
        found = offered(page)
        assert len([one for one in found if one.startswith("main: ")]) == 20
        assert len([one for one in found if one.startswith("own: ")]) == 3
        assert next(iter(found)) == "main: booking 20", "newest first"
        wanted = [found[f"main: booking {number}"] for number in range(1, 6)] + [found["own: booking 2"]]
        asked = irina.post("/incoming/confirm", offer=wanted).text
        assert "Download 6 messages?" in asked
        assert "main: 5 messages" in asked
        assert "own: 1 message<" in asked
        done = irina.download(offer=wanted)
        assert done.count('<span class="tag">here</span>') == 6
        links = re.findall(r'<a href="(/emails/\d+)" data-open>(booking \d+)</a>', done)
        assert sorted(subject for _, subject in links) == [
            "booking 1",
            "booking 2",
            "booking 2",
            "booking 3",
            "booking 4",
            "booking 5",
        ]
        listed = irina.get("/emails?unread=yes")
        for number in range(1, 6):
            assert f"booking {number}" in listed
        assert "booking 6" not in listed
        left = offered(irina.get("/incoming?which=waiting"))
        assert (len([one for one in left if one.startswith("main: ")]), len(left)) == (15, 17)
        assert offered(irina.get("/incoming")) == {}, "the mark is at the newest that was shown"
        everything = irina.get("/incoming?which=all")
        assert everything.count('<span class="tag">here</span>') == 6
        assert "booking 7" in irina.get(f"/incoming?{urlencode({'which': 'all', 'words': 'KING 7'})}")
        deeds = site.read("SELECT who, what, detail FROM activity WHERE what = 'downloaded' ORDER BY id")
        assert [tuple(one) for one in deeds] == [("irina", "downloaded", "5 of main"), ("irina", "downloaded", "1 of own")]
        assert dovecot.snapshot(user) == before, "the server never notices"
        dovecot.deliver(user, [message(21)])
        assert list(offered(irina.look())) == ["main: booking 21"], "only what is new"
        toms = Person(site, "tom").get("/incoming")
        assert (len(offered(toms)), toms.count('<span class="tag">here</span>')) == (16, 5), "his mark stays where it was"
