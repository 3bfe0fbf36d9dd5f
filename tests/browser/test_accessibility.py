"""Every page can be used by keyboard and screen reader: axe finds nothing serious on any, light and dark, narrow and wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.testing.servers import Dovecot
from gatewayd_web.app import ROUTES
from tests.browser.chromium import barriers, signed_in
from tests.browser.site import USERS, Site
from tests.browser.test_one_mail import CUSTOMERS, message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

#: What is no page of its own: what is saved, and what stands in a frame.
NO_PAGES = ("/text", "/raw", "/files/{number:int}", "/picture")
#: Pages as they look with more on them.
MORE = ("/emails?words=nothing", "/link?mail={mail:int}&words=nord&kind=customer", "/none")
PATHS = sorted({one.path for one in ROUTES if one.method == "GET" and not one.path.endswith(NO_PAGES)})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.operator("acme", more=USERS, customers=CUSTOMERS)
    with Dovecot() as dovecot:
        dovecot.user("desk@example.com", "pass")
        dovecot.deliver("desk@example.com", [message(1), message(2, html="<p>Hi"), message(3, file=b"%PDF-1.4 x")])
        made.account("desk", "imap", dovecot.ports["imap"], "desk@example.com")
        made.good("import", "desk")
        with made.running():
            yield made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(site: Site, browser: Browser, scheme: Any, width: int) -> None:
    mail = site.good("mail", "list", "--operator", "acme", "--json").rows[0]["id"]
    page = signed_in(browser, site.url, site.token("max"))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    wrong = [one for path in (*PATHS, *MORE) for one in _wrong(page, site.url + path.replace("{mail:int}", str(mail)))]
    assert not wrong, "\n".join(wrong)
    page.context.close()


def _wrong(page: Page, url: str) -> list[str]:
    page.goto(url)
    found = barriers(page)
    # A page wider than its window is read by scrolling in two directions (WCAG 1.4.10).
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("wider than its window")
    return [f"{url}: {one}" for one in found]
