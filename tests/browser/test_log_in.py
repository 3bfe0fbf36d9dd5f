"""A person logs in by password, and stays logged in as long as the config says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.site import USERS, Answer, Site
from tests.e2e.house import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.operator("acme", more=USERS)
    made.operator("globetrot", more="users:\n  irina: {name: Other Irina, email: irina@globetrot.example}\n")
    with made.running():
        made.password("irina", PASSWORD)
        yield made


def log_in(site: Site, name: str, password: str, code: str = "") -> Answer:
    return site.ask("/log-in", form={"name": name, "password": password, "code": code})


def cookie(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


@pytest.mark.parametrize("name", ["acme/irina", "irina@acme.example", " ACME/Irina "])
def test_a_person_logs_in_by_name_or_address(site: Site, name: str) -> None:
    answer = log_in(site, name, PASSWORD)
    assert (answer.status, answer.headers["location"]) == (303, "/emails")
    attributes = {one.strip().lower() for one in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= attributes
    assert "irina" in site.ask("/emails", token=cookie(answer)).text


def test_each_log_in_has_a_token_of_its_own(site: Site) -> None:
    """No page can have chosen it before (session fixation)."""
    before = "A" * 43
    answers = [site.ask("/log-in", form={"name": "acme/irina", "password": PASSWORD}, token=before) for _ in range(2)]
    tokens = {cookie(one) for one in answers}
    assert len(tokens) == 2
    assert before not in tokens
    assert site.ask("/emails", token=before).status == 303


def test_a_wrong_password_and_an_unknown_user_are_told_alike(site: Site) -> None:
    answers = [
        log_in(site, name, word)
        for name, word in (("acme/irina", "wrong"), ("acme/nobody", PASSWORD), ("globetrot/irina", PASSWORD))
    ]
    assert {one.status for one in answers} == {403}
    texts = {one.text.replace("acme/irina", "N").replace("acme/nobody", "N").replace("globetrot/irina", "N") for one in answers}
    assert len(texts) == 1
    assert all(PASSWORD not in one.text for one in answers)


def test_a_user_who_has_left_the_config_is_logged_out_at_once(site: Site) -> None:
    token = site.token("tom")
    assert site.ask("/emails", token=token).status == 200
    site.operator("acme", more=USERS.replace("  tom: {name: Tom Berg, email: tom@acme.example}\n", ""))
    until("Tom is out", 30, lambda: site.ask("/emails", token=token).status == 303)
    site.operator("acme", more=USERS)


def test_a_person_logs_in_and_out_in_a_browser(site: Site, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{site.url}/")
    page.get_by_label("User or mail address").fill("acme/irina")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/emails")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/log-in")
    page.goto(f"{site.url}/emails")
    page.wait_for_url("**/log-in")
    page.close()


def test_many_wrong_log_ins_are_told_to_wait(site: Site) -> None:
    statuses = [log_in(site, "acme/max", f"wrong {number}").status for number in range(15)]
    assert statuses[0] == 403
    assert statuses[-1] == 429
