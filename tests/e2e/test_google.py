"""Accounts with the credential ``google``: mail comes in and goes out by tokens, and what Google refuses is told as it is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers import Dovecot
from tests.e2e.house import House
from tests.e2e.terminal import Terminal
from tests.plugins.consent_pages import opened
from tests.plugins.google_consents import CLIENT
from tests.plugins.google_site import CLIENT_SECRET, REFRESH_TOKEN, USER, google, key_file, pem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.plugins.google_site import GoogleSite

INFO = "info@example.com"


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(tokens=True) as dovecot:
        yield dovecot


@pytest.fixture
def site(tmp_path: Path, server: Dovecot) -> Iterator[GoogleSite]:
    with google(tmp_path) as site:
        site.users = {USER, INFO}
        site.mint = server.token
        yield site


@pytest.fixture
def house(tmp_path: Path, site: GoogleSite, server: Dovecot) -> House:
    house = House(tmp_path)
    house.operator("acme")
    house.write("sales.json", json.dumps(key_file()))
    main = (house.folder / "gatewayd.yaml").read_text()
    shared = f"{{kind: google, service_account: !file sales.json, token_url: '{site.url}', ca_file: {site.ca_file}}}"
    house.write("gatewayd.yaml", f"{main}credentials:\n  google: {shared}\n")
    for name, kind, user in (("sales", "imap", USER), ("info", "pop3", INFO)):
        text = f"kind: {kind}\noperators: [acme]\nhost: localhost\nport: {server.ports[kind]}\nsecurity: none\ninsecure: true\n"
        house.write(f"accounts/{name}.yaml", f"{text}username: {user}\ncredential: google\nimport: {{folders: [INBOX]}}\n")
    return house


def test_mail_of_each_user_comes_in_by_a_token_of_its_own(house: House, site: GoogleSite, server: Dovecot) -> None:
    for user, many in ((USER, 3), (INFO, 2)):
        server.deliver(user, booking_messages(many))
    reports = house.good("import", "sales", "info", "--json").rows
    assert [report["filed"] for report in reports] == [3, 2]
    assert sorted(claims["sub"] for claims in site.claims) == sorted([USER, INFO])
    shown = "".join(path.read_bytes().decode("latin-1") for path in house.state.rglob("*") if path.is_file())
    assert not [one for one in (*site.given, *pem().splitlines()[1:-1], REFRESH_TOKEN) if one in shown]


def test_what_google_refuses_is_told_with_the_page_that_mends_it(house: House, site: GoogleSite) -> None:
    site.users = {INFO}
    site.delegated = set()
    for command in (("import", "sales", "info"), ("check", "--online")):
        done = house.run(*command)
        assert done.code in (1, 78)
        for words in (f"no user {USER}", "https://admin.google.com/ac/users", "is not delegated", "domainwidedelegation"):
            assert words in done.out + done.err, command


def test_P9_a_user_consents_and_its_mail_comes_in_until_it_takes_that_back(house: House, site: GoogleSite, server: Dovecot) -> None:
    main = (house.folder / "gatewayd.yaml").read_text()
    client = f"client: {CLIENT}, client_secret: !file client-secret, consent: true"
    shared = f"{{kind: google, {client}, token_url: '{site.url}', gmail: '{site.base}', ca_file: {site.ca_file}}}"
    house.write("gatewayd.yaml", f"{main}  people: {shared}\n")
    house.write("client-secret", CLIENT_SECRET)
    path = house.folder / "accounts/sales.yaml"
    user = "irina@example.com"
    path.write_text(path.read_text().replace(USER, user).replace("credential: google", "credential: people"))
    server.deliver(user, booking_messages(3))
    with Terminal(house, "account", "connect", "sales") as terminal:
        (link,) = re.findall(r"https://\S+", terminal.wait_for("Paste it here: "))
        assert f"login_hint={quote(user, safe='')}" in link
        terminal.type(opened(link.replace("https://accounts.google.com", site.base), site.ca_file))
        assert terminal.ended() == 0, terminal.shown
    (refresh_token,) = site.consents.refresh_tokens
    for filed in (3, 0):
        # Each command asks for a token by the one refresh token that Google has given.
        (report,) = house.good("import", "sales", "--json").rows
        assert report["filed"] == filed
    shown = "".join(path.read_bytes().decode("latin-1") for path in house.state.rglob("*") if path.is_file()) + terminal.shown
    assert not [one for one in (*site.given, refresh_token, CLIENT_SECRET) if one in shown]
    site.consents.revoke()
    done = house.run("import", "sales")
    assert done.code == 1
    assert f"the consent of {user} has expired, or was taken back" in done.out + done.err
    assert "Run `gatewayd account connect sales`." in done.out + done.err
