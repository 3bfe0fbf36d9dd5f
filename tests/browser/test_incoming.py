"""Get incoming mail on the page: three accounts, one of them broken; five of twenty are chosen, and the other fifteen stay offered."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from gatewayd.testing.servers import Dovecot
from tests.browser.chromium import barriers, signed_in
from tests.browser.site import USERS, Answer, Site
from tests.e2e.house import until
from tests.e2e.test_choosing import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

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
        return until("all have answered", 60, lambda: self._done(answer.headers["location"], "ha(s|ve) answered[.]"))

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


def test_all_that_a_long_list_offers_is_chosen_at_once_by_two_people_and_filed_once(
    site: Site, dovecot: Dovecot, tmp_path: Path
) -> None:
    dovecot.deliver(f"main-{tmp_path.name}@example.com", [message(number) for number in range(21, 59)])
    with site.running():
        irina, max_ = Person(site, "irina"), Person(site, "max")
        page = irina.look()
        assert len([one for one in offered(page) if one.startswith("main: ")]) == 50, "one page"
        (every,) = re.findall(r'name="every" value="(\d+@main)"', page)
        (more,) = re.findall(r'<a href="([^"]*before=[^"]*)" rel="next"', page)
        assert len(offered(irina.get(more.replace("&amp;", "&")))) == 8
        asked = irina.post("/incoming/confirm", every=every, offer=list(offered(page).values())[:3]).text
        assert "Download 58 messages?" in asked
        with ThreadPoolExecutor(2) as both:
            done = list(both.map(lambda one: one.download(every=every), (irina, max_)))
        assert all("The download is done" in one for one in done)
        assert "58 were chosen" in done[0] + done[1]
        until("all is here", 60, lambda: sum(site.filed("main").values()) == 58)
        assert set(site.filed("main").values()) == {1}
        assert offered(irina.get("/incoming?which=waiting&account=main")) == {}


def test_two_people_choose_the_same_messages_at_once_and_each_is_filed_once(site: Site) -> None:
    with site.running():
        irina, tom = Person(site, "irina"), Person(site, "tom")
        found = offered(irina.look())
        wanted = [found[f"main: booking {number}"] for number in range(1, 6)]
        with ThreadPoolExecutor(2) as both:
            done = list(both.map(lambda one: one.download(offer=wanted), (irina, tom)))
        assert [one.count('<span class="tag">here</span>') for one in done] == [5, 5]
        assert site.filed("main") == {f"<{number}@example.com>": 1 for number in range(1, 6)}


def test_what_nobody_wants_is_dismissed_and_offered_again(site: Site) -> None:
    with site.running():
        irina = Person(site, "irina")
        found = offered(irina.look())
        wanted = [found["main: booking 7"], found["main: booking 8"]]
        answer = irina.post("/incoming/dismiss", offer=wanted, which="waiting")
        page = irina.get(answer.headers["location"])
        assert "2 messages are dismissed." in page
        assert set(wanted).isdisjoint(offered(page).values())
        assert irina.get("/incoming?which=all").count("dismissed</span>") == 2
        assert re.findall(r'<input type="hidden" name="offer" value="([^"]*)">', page) == sorted(wanted)
        answer = irina.post("/incoming/dismiss", offer=wanted, which="waiting", undo="yes")
        assert set(wanted) <= set(offered(irina.get(answer.headers["location"])).values())


def test_P6_a_reader_chooses_nothing_and_nobody_sees_anothers(site: Site) -> None:
    with site.running():
        irina, rea, gerd = Person(site, "irina"), Person(site, "rea"), Person(site, "gerd", "globetrot")
        found = offered(irina.look())
        page = rea.look()
        assert "booking 20" in page
        assert "<h2" in page
        assert "own</h2>" not in page
        assert offered(page) == {}
        for path in ("confirm", "download", "dismiss"):
            assert rea.post(f"/incoming/{path}", offer=found["main: booking 1"]).status == 403
        # The looks were answered for Tom's account, too, whose server refuses: nobody is told under the name of an account of all.
        told = irina.get("/incoming/download?" + urlencode({"of": [f"{one}:1:1:1::shared" for one in range(1, 9)]}, doseq=True))
        theirs = rea.get("/incoming/download?" + urlencode({"of": [f"{one}:1:1:1::main" for one in range(1, 9)]}, doseq=True))
        assert ("(!)" in told, "(!)" in theirs) == (True, False)
        own = found["own: booking 1"]
        for person in (Person(site, "max"), gerd):
            assert person.post("/incoming/download", offer=own).status == 404
            assert "booking" not in person.post("/incoming/confirm", offer=own).text
            assert "booking" not in person.get("/incoming/download?of=1:1:1:99:1-99:own")
            assert person.post("/incoming/dismiss", offer=own).status == 404
        theirs = gerd.get("/incoming?asked=1.2.3&account=main")
        assert ("<h2" in theirs, "refused" in theirs, "answered" in theirs) == (False, False, False)
        assert site.filed() == {}


def test_what_could_not_be_had_says_why_and_while_the_daemon_is_away_what_is_known_is_shown(
    site: Site, dovecot: Dovecot, tmp_path: Path
) -> None:
    user = f"main-{tmp_path.name}@example.com"
    with ExitStack() as daemon:
        daemon.enter_context(site.daemon())
        with site.web():
            irina = Person(site, "irina")
            found = offered(irina.look())
            with dovecot.client(user) as imap:
                imap.select("INBOX")
                imap.store("1", "+FLAGS", "(\\Deleted)")
                imap.expunge()
            done = irina.download(offer=[found["main: booking 1"], found["main: booking 2"]])
            assert done.count(">gone</span>") == 1
            assert "1 of 2 are here." in done
            assert "main: booking 1" not in offered(irina.look(recheck="yes", which="waiting"))
            daemon.close()
            assert "booking 20" in irina.get("/incoming?which=waiting")
            answer = irina.post("/incoming/look")
            assert (answer.status, "the daemon does not answer" in answer.text) == (503, True)


def test_mail_is_chosen_in_a_browser(site: Site, browser: Browser) -> None:
    with site.running():
        page = signed_in(browser, site.url, site.token("irina"))
        page.goto(f"{site.url}/incoming")
        status = page.locator("#looked")
        status.filter(has_text="3 accounts have answered. 1 could not be asked in full.").wait_for(timeout=90_000)
        assert page.locator("[name=offer]").count() == 23
        assert barriers(page) == []
        for number in range(1, 6):
            page.get_by_label(f"Tick booking {number}", exact=True).first.check()
        page.get_by_role("button", name="Re-check mail").click()
        status.filter(has_text="3 accounts have answered.").wait_for(timeout=90_000)
        assert page.locator("[name=offer]:checked").count() == 5, "what is ticked stays so while a list is shown anew"
        page.get_by_role("button", name="Download").click()
        page.get_by_role("heading", name="Download 5 messages?").wait_for()
        assert barriers(page) == []
        page.get_by_role("button", name="Download").click()
        page.locator("#loaded").filter(has_text="The download is done.").wait_for(timeout=90_000)
        assert page.get_by_text("here", exact=True).count() == 5
        assert barriers(page) == []
        page.get_by_role("link", name="Emails").click()
        assert page.locator("tr.unread").count() == 5
        page.context.close()
