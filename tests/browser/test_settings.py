"""What a person sets: which accounts to follow, whom to share with, and where the person is logged in."""

from __future__ import annotations

import re
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders
from gatewayd.access.codes import one_time_code
from gatewayd_sql.store import Sql
from gatewayd_web.pages.settings_sessions import browser_of
from tests.browser.chromium import barriers, signed_in
from tests.browser.site import USERS, Answer, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

#: Where no server is: nothing here looks at one.
NOWHERE = 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.operator("acme", more=USERS)
    made.operator("globetrot", more="users:\n  eve: {name: Eve Other, email: eve@globetrot.example}\n")
    idle = "  enabled: false\n"
    made.account("desk", "imap", NOWHERE, "desk@acme.example", more="description: Front desk\n", imports=idle)
    made.account("nord", "imap", NOWHERE, "nord@globetrot.example", more="operators: [globetrot]\n", imports=idle)
    for name in ("tom", "max"):
        made.account(name, "imap", NOWHERE, f"{name}@acme.example", more=f"user: acme/{name}\n", imports=idle)
    made.account("rea", "imap", NOWHERE, "rea@acme.example", more="user: acme/rea\nshare: [acme/irina]\n", imports=idle)
    with made.running():
        yield made


def post(site: Site, token: str, path: str, **fields: object) -> Answer:
    """Send a form of the settings."""
    return site.ask(f"/settings/{path}", form={"csrf": site.csrf(token), **fields}, token=token)


def shown(site: Site, token: str, section: str = "subscriptions") -> str:
    """Return a page of the settings."""
    answer = site.ask(f"/settings/{section}", token=token)
    assert answer.status == 200, answer.text
    return answer.text


def follows(page: str, account: str) -> bool:
    """Whether the switch of an account is on."""
    found = re.search(rf'aria-checked="(\w+)"[^>]*aria-label="Follow {account}"', page)
    assert found, page
    return found[1] == "true"


def deeds(site: Site, user: str) -> list[str]:
    """Return what a user changed, the newest first."""
    with closing(Sql(Sql.Options(url=site.store or None), place=Folders(config=site.folder, state=site.state))) as store:
        store.open()
        return [one.detail for one in store.activities("acme", who=user) if one.what == "changed"]


def test_a_person_follows_an_account_or_not(site: Site) -> None:
    token = site.token("irina")
    page = shown(site, token)
    assert follows(page, "desk")
    assert "Front desk" in page
    assert "nord" not in page
    answer = post(site, token, "follow", account="desk", followed="no")
    assert (answer.status, answer.headers["location"]) == (303, "/settings/subscriptions")
    assert not follows(shown(site, token), "desk")
    assert follows(shown(site, site.token("max")), "desk"), "others follow it still"
    post(site, token, "follow", account="desk", followed="yes")
    assert follows(shown(site, token), "desk")
    assert deeds(site, "irina")[:2] == ["follows desk", "no longer follows desk"]


@pytest.mark.parametrize("account", ["nord", "max", "none", "", "../desk", "tom"])
def test_P6_nobody_follows_what_is_not_theirs_to_see(site: Site, account: str) -> None:
    token = site.token("irina")
    assert post(site, token, "follow", account=account, followed="yes").status == 404
    assert post(site, token, "follow", account=account, followed="no").status == 404


def test_P6_a_personal_account_is_seen_only_while_its_user_agrees(site: Site) -> None:
    irina, tom = site.token("irina"), site.token("tom")
    assert "Follow tom" not in shown(site, irina)
    assert "Who asks you to share" not in shown(site, tom)
    post(site, irina, "ask", account="tom")
    assert "asked, no answer yet" in shown(site, irina)
    assert "Who asks you to share" in shown(site, tom)
    post(site, tom, "answer", account="tom", user="irina", agree="no")
    assert "Ask again" in shown(site, irina)
    post(site, irina, "ask", account="tom")
    post(site, tom, "answer", account="tom", user="irina", agree="yes")
    assert follows(shown(site, irina), "tom")
    post(site, tom, "answer", account="tom", user="irina", agree="no")
    assert "Follow tom" not in shown(site, irina)
    assert deeds(site, "tom")[:3] == ["no longer shares tom with irina", "shares tom with irina", "refuses to share tom with irina"]
    assert deeds(site, "irina")[0] == "asks tom to share tom"


def test_P6_nobody_answers_for_somebody_else(site: Site) -> None:
    for user in ("irina", "max"):
        assert post(site, site.token(user), "answer", account="tom", user="max", agree="yes").status == 404
    eve = site.token("eve", "globetrot")
    assert post(site, eve, "ask", account="tom").status == 404
    assert "tom" not in shown(site, eve)
    assert post(site, site.token("tom"), "answer", account="tom", user="eve", agree="yes").status == 404
    assert post(site, site.token("rea"), "answer", account="rea", user="max", agree="yes").status == 403, "a reader shares nothing"


def test_what_a_file_shares_is_shown_as_an_administrators_word(site: Site) -> None:
    assert follows(shown(site, site.token("irina")), "rea")
    assert "An administrator shares it" in shown(site, site.token("rea"))


def test_a_person_ends_web_sessions_of_the_own_alone(site: Site) -> None:
    one, other, third, max_ = site.token("irina"), site.token("irina"), site.token("irina"), site.token("max")
    page = shown(site, one, "sessions")
    assert page.count("this one") == 1
    number = re.findall(r'name="number" value="(\d+)"', page)[0]
    answer = post(site, one, "sessions/end", number=number)
    assert answer.headers["location"] == "/settings/sessions?done=ended"
    assert (site.ask("/settings/sessions", token=other).status, site.ask("/settings/sessions", token=third).status) == (200, 303)
    # The number of another's is like none.
    mine = re.findall(r'name="number" value="(\d+)"', shown(site, other, "sessions"))
    post(site, max_, "sessions/end", number=mine[0])
    assert site.ask("/settings/sessions", token=one).status == 200
    post(site, one, "sessions/end", others="yes")
    assert [site.ask("/settings/sessions", token=token).status for token in (one, other, max_)] == [200, 303, 200]


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36 Edg/141.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1 (KHTML, like Gecko) Version/18 Safari/605.1",
            "Safari, macOS",
        ),
        ("curl/8.0", "curl/8.0"),
        ("", ""),
    ],
)
def test_a_browser_is_called_as_people_call_it(agent: str, browser: str) -> None:
    assert browser_of(agent) == browser


PASSWORD, OTHER = "correct horse battery", "staple battery horse"


def code_of(page: str) -> str:
    """Return the code that an app shows now which was given the secret of a page."""
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)<', page)
    assert found, page
    return one_time_code(found[1].replace(" ", ""), int(time.time()) // 30)


def test_a_person_changes_the_password_and_is_logged_in_here_alone(site: Site) -> None:
    site.password("irina", PASSWORD)
    token, elsewhere = site.token("irina"), site.token("irina")
    for old, new, again, why in (
        ("wrong", OTHER, OTHER, "the password is wrong"),
        (PASSWORD, "short", "short", "shorter than a password may be"),
        (PASSWORD, OTHER, "other", "not typed the same twice"),
    ):
        answer = post(site, token, "password", password=old, new=new, again=again)
        assert (answer.status, why in answer.text, OTHER in answer.text) == (400, True, False)
    answer = post(site, token, "password", password=PASSWORD, new=OTHER, again=OTHER)
    assert answer.headers["location"] == "/settings/log-in?done=password"
    assert (site.ask("/emails", token=token).status, site.ask("/emails", token=elsewhere).status) == (200, 303)
    logged_in = site.ask("/log-in", form={"name": "acme/irina", "password": OTHER})
    assert logged_in.headers["location"] == "/emails"
    assert deeds(site, "irina")[0] == "password"


def test_a_second_factor_is_set_up_used_and_ended(site: Site) -> None:
    site.password("max", PASSWORD)
    token = site.token("max")
    assert post(site, token, "factor", password="wrong").status == 400
    begun = post(site, token, "factor", password=PASSWORD).text
    assert "otpauth://totp/" in begun
    wrong = post(site, token, "factor/confirm", code="000000 ")
    assert (wrong.status, "the code is wrong" in wrong.text) == (400, True)
    assert "Set up a second factor" in shown(site, token, "log-in"), "it counts only once it is confirmed"
    codes = re.findall(r"<code>([a-z2-7-]+)</code>", post(site, token, "factor/confirm", code=code_of(begun)).text)
    assert len(codes) == 10
    page = shown(site, token, "log-in")
    assert "10 recovery codes are left" in page
    assert codes[0] not in page
    form = {"name": "acme/max", "password": PASSWORD}
    assert site.ask("/log-in", form=form).status == 403
    assert site.ask("/log-in", form={**form, "code": codes[0]}).status == 303
    assert "9 recovery codes are left" in shown(site, token, "log-in")
    anew = post(site, token, "factor/codes", password=PASSWORD).text
    assert codes[1] not in anew
    assert post(site, token, "factor/end", password="wrong").status == 400
    assert post(site, token, "factor/end", password=PASSWORD).headers["location"] == "/settings/log-in?done=factor-ended"
    assert site.ask("/log-in", form=form).status == 303
    assert deeds(site, "max")[:3] == ["second factor ended", "recovery codes", "second factor set up"]


def at(browser: Browser, site: Site, user: str, section: str = "subscriptions") -> Page:
    """Open a page of the settings as a user."""
    page = signed_in(browser, site.url, site.token(user))
    page.goto(f"{site.url}/settings/{section}")
    return page


def test_a_subscription_is_toggled_in_a_browser(site: Site, browser: Browser) -> None:
    page = at(browser, site, "irina")
    switch = page.get_by_role("switch", name="Follow desk")
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    page.locator('[role=switch][aria-label="Follow desk"][aria-checked=false]').wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Follow desk", "the keyboard stays there"
    page.reload()
    assert switch.get_attribute("aria-checked") == "false"
    switch.press("Enter")
    page.locator('[role=switch][aria-label="Follow desk"][aria-checked=true]').wait_for()
    assert barriers(page) == []
    page.context.close()


def test_two_people_ask_and_agree_to_share_in_their_browsers(site: Site, browser: Browser) -> None:
    asking, asked = at(browser, site, "irina"), at(browser, site, "max")
    asking.get_by_role("button", name="Ask to share (Max Manager, max)").click()
    asking.get_by_text("asked, no answer yet").wait_for()
    asked.reload()
    assert barriers(asked) == []
    asked.get_by_role("button", name="Agree").click()
    asked.get_by_role("heading", name="Who sees your own mail").wait_for()
    asked.get_by_role("button", name="End (irina, max)").wait_for()
    asking.reload()
    asking.get_by_role("switch", name="Follow max").wait_for()
    for page in (asking, asked):
        page.context.close()
