"""Who is let in, and what an answer tells the browser that it may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import calls
from gatewayd.api.web_sessions import ROLES
from gatewayd_web.app import ROUTES
from tests.browser.site import USERS, Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.operator("acme", more=USERS)
    with made.running():
        yield made


#: Where a route's path has a field, what stands there in these tests.
FIELDS = {"{mail:int}": "1", "{number:int}": "1"}


def address(path: str) -> str:
    """Return an address of a route."""
    for field, value in FIELDS.items():
        path = path.replace(field, value)
    return path


@pytest.mark.parametrize("page", ROUTES, ids=lambda page: f"{page.method} {page.path}")
def test_P6_nobody_sees_anything_without_a_web_session(site: Site, page: object) -> None:
    route = next(one for one in ROUTES if one is page)
    if route.role is None:
        return
    answer = site.ask(address(route.path), form={} if route.method == "POST" else None, token="A" * 43)
    assert (answer.status, answer.headers["location"]) == (303, "/log-in")


@pytest.mark.parametrize("page", [one for one in ROUTES if one.method == "POST" and one.role], ids=lambda page: page.path)
def test_a_form_without_the_token_of_the_web_session_is_refused(site: Site, page: object) -> None:
    route = next(one for one in ROUTES if one is page)
    token = site.token("max")
    for csrf in ("", "0" * 64, site.csrf(site.token("tom"))):
        assert site.ask(address(route.path), form={"csrf": csrf}, token=token).status == 403
    assert site.ask("/emails", token=token).status == 200


@pytest.mark.parametrize("page", [one for one in ROUTES if one.role], ids=lambda page: f"{page.method} {page.path}")
def test_P6_each_role_may_what_the_table_says_and_no_more(site: Site, page: object) -> None:
    route = next(one for one in ROUTES if one is page)
    assert route.role
    for user, role in (("rea", "reader"), ("tom", "agent"), ("max", "manager")):
        token = site.token(user)
        form = {"csrf": site.csrf(token)} if route.method == "POST" else None
        refused = site.ask(address(route.path), form=form, token=token).status == 403
        assert refused == (ROLES.index(role) < ROLES.index(route.role)), (user, route)


def test_what_a_page_asks_of_the_daemon_needs_the_role_there_too() -> None:
    """Who takes the web process over gets no further than the people who are logged in."""
    found: list[type[calls.Call]] = [one for one in vars(calls).values() if isinstance(one, type) and issubclass(one, calls.Call)]
    may_read: set[str] = {one.__name__ for one in found if one.role == "reader"}
    assert not may_read & {"Mark", "LinkMail", "UnlinkMail", "ChooseOffers", "DismissOffers", "FindRecords", "AnswerShare"}


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_a_form_of_another_site_is_refused(site: Site, headers: dict[str, str]) -> None:
    token = site.token("irina")
    answer = site.ask("/log-out", form={"csrf": site.csrf(token)}, token=token, headers=headers)
    assert answer.status == 403
    assert site.ask("/emails", token=token).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8025", "127.0.0.1", ""])
def test_a_host_that_is_not_ours_is_refused(site: Site, host: str) -> None:
    assert site.ask("/log-in", headers={"Host": host}).status == 421


def test_every_answer_tells_the_browser_what_the_page_may_do(site: Site) -> None:
    for path in ("/log-in", "/emails", "/none", "/static/style.css"):
        headers = site.ask(path, token=site.token("irina")).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_who_logs_out_is_out(site: Site) -> None:
    token = site.token("irina")
    assert site.ask("/emails", token=token).status == 200
    assert site.ask("/log-out", form={"csrf": site.csrf(token)}, token=token).status == 303
    assert site.ask("/emails", token=token).status == 303


def test_a_large_form_is_cut_off(site: Site) -> None:
    token = site.token("irina")
    answer = site.ask("/log-in", form={"name": "x" * (3 << 20)}, token=token)
    assert answer.status in {400, 413}
