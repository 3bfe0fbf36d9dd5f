"""Accounts with the credential ``google``: mail comes in and goes out by tokens, and what Google refuses is told as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers import Dovecot
from tests.e2e.house import House
from tests.plugins.google_site import REFRESH_TOKEN, USER, google, key_file, pem

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
