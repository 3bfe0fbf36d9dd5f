"""The text of a mail on its page: hostile mail does nothing, and honest mail is readable."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest

from gatewayd.testing.servers import Dovecot
from tests.browser.chromium import Asked, signed_in
from tests.browser.hostile_mail import CASES, HEAVY, Case
from tests.browser.site import USERS, Site
from tests.patience import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.chromium import Outside

_MANY = 40
_BATCHES = [CASES[at : at + _MANY] for at in range(0, len(CASES), _MANY)]
#: Milliseconds that a page is given to do what it must not.
_A_WHILE = 150
_HEAD = "Message-ID: <{0}@example.com>\r\nFrom: Anna <anna@example.com>\r\nTo: reservations@example.com\r\nSubject: {0}\r\n"
_HONEST = """<p>Hello <b>Irina</b>, see <a href="https://tours.example/756">your booking</a>.<img src="https://pictures.example/logo.png">
<img src="cid:a"><a href="http://www.evil.example/">www.bank.example</a></p>"""


class Hostile(NamedTuple):
    """A site whose users got hostile mail."""

    site: Site
    #: The mails, by the name of each.
    ids: dict[str, int]

    def page(self, name: object) -> str:
        """Return the address of the page of a mail."""
        return f"{self.site.url}/emails/{self.ids[str(name)]}"

    def text(self, name: object) -> str:
        """Return the address of its text."""
        return f"{self.page(name)}/text"


#: What wants to be a tag wherever it is shown.
_TAGS = "</title></a>'\"><img src=x onerror=parent.postMessage(1,String.fromCharCode(42))><script>parent.postMessage(2,'*')</script>{{7*7}}"


def _wicked() -> bytes:
    """Return a mail all of whose headers, and whose files, are called like that."""
    word = f"=?utf-8?b?{base64.b64encode(_TAGS.encode()).decode()}?="
    file = quote(_TAGS, safe="")
    return (
        f'Message-ID: <wicked@example.com>\r\nFrom: {word} <"<script>x"@example.com>\r\nTo: {word} <a@b.example>\r\n'
        f"Subject: {word}\r\nX-{_TAGS[:8]}: {word}\r\nCc: {word}: ;\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\n\r\n{_TAGS} http://a.example/{_TAGS}\r\n--b\r\nContent-Type: text/html\r\n"
        f"Content-Disposition: attachment; filename*=utf-8''{file}\r\n\r\n{_TAGS}\r\n--b--\r\n"
    ).encode()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    site = Site(tmp_path_factory.mktemp("site"))
    cases = [_HEAD.format(case.number).encode() + case.message(site.url) for case in CASES]
    cases.append(_HEAD.format("honest").encode() + Case(-1, "honest", html=_HONEST).message(site.url))
    cases += [
        f"{_HEAD.format(number)}Content-Type: text/html\r\n\r\n{html}".encode() for number, html in enumerate(HEAVY.values(), 1000)
    ]
    cases.append(_wicked())
    with Dovecot() as server:
        server.user("desk@example.com", "pass")
        server.deliver("desk@example.com", cases)
        site.operator("acme", more=USERS)
        site.operator("globetrot", more="users:\n  gerd: {name: Gerd, email: gerd@globetrot.example}\n")
        site.account("desk", "imap", server.ports["imap"], "desk@example.com", more="operators: [acme]\n")
        site.good("import")
        with site.running():
            rows = site.read("SELECT mail_id, message_id FROM filing JOIN mail ON mail.id = filing.mail_id")
            ids = {message_id.strip("<>").partition("@")[0]: mail for mail, message_id in rows}
            assert len(ids) == len(cases)
            yield Hostile(site, ids)


@pytest.fixture(scope="module")
def page(browser: Browser, hostile: Hostile) -> Iterator[Page]:
    page = signed_in(browser, hostile.site.url, hostile.site.token("irina"))
    page.on("dialog", lambda dialog: dialog.dismiss())
    yield page
    page.context.close()


#: Shows addresses in frames, and remembers the messages of scripts.
_SHOW = """async urls => {
    window.ran = []
    addEventListener("message", event => ran.push(event.data))
    document.querySelector("main").replaceChildren()
    await Promise.all(urls.map(url => new Promise(loaded => {
        const frame = document.createElement("iframe")
        frame.sandbox = "allow-popups allow-popups-to-escape-sandbox"
        frame.onload = loaded
        frame.src = url
        document.querySelector("main").append(frame)
    })))
}"""


@pytest.mark.parametrize("batch", _BATCHES, ids=[f"{batch[0].kind} {batch[0].number}" for batch in _BATCHES])
def test_hostile_mail_does_nothing_on_its_page(page: Page, hostile: Hostile, outside: Outside, batch: list[Case]) -> None:
    page.goto(f"{hostile.site.url}/none")
    asked = Asked(page)
    urls = [hostile.text(case.number) for case in batch]
    page.evaluate(_SHOW, urls)
    page.wait_for_timeout(_A_WHILE)
    own = (f"{hostile.site.url}/static/", "data:")
    assert {url for url in asked.urls if not url.startswith(own)} == set(urls)
    assert page.evaluate("window.ran") == []
    assert outside.asked() == []
    assert len(page.frames) == len(batch) + 1
    assert page.url == f"{hostile.site.url}/none"


def test_headers_and_names_of_files_do_nothing_on_the_pages_that_show_them(page: Page, hostile: Hostile, outside: Outside) -> None:
    page.add_init_script("window.ran = []; addEventListener('message', event => ran.push(event.data))")
    asked = Asked(page)
    for address in (hostile.page("wicked"), f"{hostile.site.url}/emails", f"{hostile.site.url}/link?mail={hostile.ids['wicked']}"):
        page.goto(address)
        page.wait_for_timeout(_A_WHILE)
        assert page.evaluate("window.ran") == []
        assert page.locator("img[src=x], script:not([src])").count() == 0
    page.goto(hostile.page("wicked"))
    assert page.locator("h1").inner_text() == _TAGS
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked.urls if url.endswith("/x")] == []
    assert outside.asked() == []


@pytest.mark.parametrize("number", range(1000, 1000 + len(HEAVY)), ids=HEAVY)
def test_a_heavy_mail_is_there_within_two_seconds(page: Page, hostile: Hostile, number: int) -> None:
    watch = Stopwatch()
    page.goto(hostile.page(number))
    # Only what is drawn is there.
    page.screenshot()
    assert watch.seconds < 2


def test_honest_mail_is_readable_and_its_own_pictures_are_there(page: Page, hostile: Hostile, outside: Outside) -> None:
    page.goto(f"{hostile.site.url}/none")
    page.evaluate(_SHOW, [hostile.text("honest")])
    text = page.frame_locator("iframe")
    assert text.locator("b").inner_text() == "Irina"
    assert text.locator("mark").inner_text() == "\N{RIGHTWARDS ARROW} www.evil.example"
    sizes = [text.locator("img").nth(number).evaluate("one => one.naturalWidth") for number in range(2)]
    assert sizes == [0, 1]
    assert outside.asked() == []


def test_pictures_that_lie_elsewhere_are_fetched_where_that_is_asked_for(page: Page, hostile: Hostile, outside: Outside) -> None:
    page.goto(f"{hostile.site.url}/none")
    with page.expect_event("requestfailed", lambda request: request.url == "https://pictures.example/logo.png") as request:
        page.evaluate(_SHOW, [f"{hostile.text('honest')}?pictures=yes"])
    assert not request.value.headers.get("referer")
    assert set(outside.asked()) == {"CONNECT pictures.example:443 HTTP/1.1"}
    outside.forget()


def test_a_link_opens_a_page_of_its_own_that_knows_nothing_of_ours(page: Page, hostile: Hostile, outside: Outside) -> None:
    page.goto(f"{hostile.site.url}/none")
    page.evaluate(_SHOW, [hostile.text("honest")])
    with page.context.expect_page() as opened:
        page.frame_locator("iframe").get_by_text("www.bank.example").click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("[window.opener, document.referrer, self.origin]") == [None, "", "http://www.evil.example"]
    # The browser wants the icon of whatever it opens.
    assert {line.removesuffix(" HTTP/1.1").removesuffix("favicon.ico") for line in outside.asked()} == {
        "GET http://www.evil.example/"
    }
    opened.value.close()
    outside.forget()


def test_the_text_holds_by_itself_where_it_is_opened_without_a_frame(page: Page, hostile: Hostile) -> None:
    answer = page.goto(hostile.text("honest"))
    assert answer is not None
    assert page.locator("b").inner_text() == "Irina"
    assert page.evaluate("self.origin") == "null"
    assert "sandbox" in answer.headers["content-security-policy"]
