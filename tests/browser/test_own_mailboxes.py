"""A person sets up a mailbox of the own on a page: tried on a real server, kept sealed, given another password, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import barriers, signed_in
from tests.browser.site import USERS, Answer, Site
from tests.e2e.house import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from gatewayd.testing.servers import Dovecot

PASSWORD = "sesame-of-irina-that-nobody-finds"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.operator("acme", more=USERS)
    with (made.folder / "gatewayd.yaml").open("a") as file:
        file.write(f"accounts_of_users: {{hosts: ['localhost:{dovecot.ports['imaps']}']}}\n")
    dovecot.user("own-irina", PASSWORD)
    with pytest.MonkeyPatch.context() as patch:
        # The server is one that everybody here trusts.
        patch.setenv("SSL_CERT_FILE", str(dovecot.ca_file))
        with made.running():
            yield made


def post(site: Site, token: str, path: str, **fields: object) -> Answer:
    """Send a form of the mailboxes."""
    return site.ask(f"/settings/mailboxes/{path}", form={"csrf": site.csrf(token), **fields}, token=token)


def fields(dovecot: Dovecot, **more: object) -> dict[str, object]:
    """Return what a person types."""
    typed = {"address": "irina@localhost", "kind": "imap", "host": "localhost", "port": dovecot.ports["imaps"]}
    return {**typed, "security": "tls", "username": "own-irina", "password": PASSWORD, **more}


def test_a_server_is_guessed_by_the_address(site: Site) -> None:
    token = site.token("irina")
    assert 'value="imap.gmx.net"' in post(site, token, "find", address="irina@gmx.de").text
    page = post(site, token, "find", address="irina@gmx.de", kind="pop3").text
    assert 'value="pop.gmx.net"' in page
    assert "pop.gmx.net is not of the address's domain" in page
    assert post(site, token, "find", address="nothing").status == 400


def test_P9_nothing_is_kept_of_what_does_not_log_in(site: Site, dovecot: Dovecot) -> None:
    token = site.token("tom")
    for more, why in (
        ({"password": "wrong"}, "The log-in failed"),
        ({"port": 25}, "no mailbox may be at"),
        ({"host": "127.0.0.1", "agreed": "127.0.0.1"}, "no mailbox may be at"),
        ({"host": "evil.example"}, "may be sent to that host"),
        ({"port": "none"}, "not complete"),
        ({"security": "none"}, "not complete"),
        ({"kind": "smtp"}, "not complete"),
    ):
        answer = post(site, token, "add", **fields(dovecot, **more))
        assert (answer.status, why in answer.text, PASSWORD in answer.text) == (400, True, False), (more, answer.text)
    assert site.read("SELECT count(*) FROM user_account") == [(0,)]


def test_a_mailbox_is_set_up_given_another_password_and_removed_in_a_browser(
    site: Site, dovecot: Dovecot, browser: Browser
) -> None:
    page = signed_in(browser, site.url, site.token("irina"))
    page.goto(f"{site.url}/settings/mailboxes")
    page.get_by_label("Mail address of another mailbox").fill("irina@localhost")
    page.get_by_role("button", name="Set it up").click()
    page.get_by_label("Host", exact=True).fill("localhost")
    page.get_by_label("Port", exact=True).fill(str(dovecot.ports["imaps"]))
    page.get_by_label("User name").fill("own-irina")
    page.get_by_label("Password of the mailbox").fill(PASSWORD)
    assert barriers(page) == []
    page.get_by_role("button", name="Try the log-in, and keep it").click()
    page.get_by_text("The log-in works, and the mailbox is kept").wait_for(timeout=60_000)
    page.get_by_text("acme/irina/1").wait_for()
    assert barriers(page) == []
    page.context.close()
    token = site.token("irina")
    subscriptions = "/settings/subscriptions"
    until("the pages know it", 30, lambda: "Follow acme/irina/1" in site.ask(subscriptions, token=token).text)
    name = "acme/irina/1"
    for other in ("tom", "max"):
        assert post(site, site.token(other), "password", account=name, password=PASSWORD).status == 400
        assert post(site, site.token(other), "remove", account=name).status == 404
    assert "The log-in failed" in post(site, token, "password", account=name, password="wrong").text
    answer = post(site, token, "password", account=name, password=PASSWORD)
    assert answer.headers["location"] == "/settings/mailboxes?done=password"
    assert post(site, token, "remove", account=name).headers["location"] == "/settings/mailboxes?done=removed"
    assert site.read("SELECT count(*) FROM user_account") == [(0,)]
