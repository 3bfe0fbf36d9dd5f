"""How the web process starts, and what it says where it can't."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.request import HTTPSHandler, build_opener

import pytest
import trustme

from tests.browser.site import USERS, Site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.operator("acme", more=USERS)
    return made


def test_an_address_that_is_taken_is_told(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        done = site.run("web")
    assert done.code == 1
    assert f"the pages can't listen at 127.0.0.1:{site.port}: Address already in use" in done.err
    assert "`web: listen`" in done.err


def test_a_certificate_that_cannot_be_used_is_told(site: Site) -> None:
    text = (site.folder / "gatewayd.yaml").read_text()
    site.write("a.pem", "no certificate\n")
    site.write("gatewayd.yaml", text.replace("web: {", "web: {tls: {certificate: a.pem, key: a.pem}, "))
    done = site.run("web")
    assert done.code == 78
    assert "the certificate of the pages can't be used" in done.err


def test_the_pages_speak_tls_and_their_cookie_is_for_tls_alone(site: Site) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(site.folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(site.folder / "certificate.pem")
    text = (site.folder / "gatewayd.yaml").read_text()
    site.write("gatewayd.yaml", text.replace("web: {", "web: {tls: {certificate: certificate.pem, key: key.pem}, "))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    opener = build_opener(HTTPSHandler(context=context))
    with site.running(), opener.open(f"https://127.0.0.1:{site.port}/log-in", timeout=60) as answer:
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"]


def test_the_pages_start_before_the_daemon_and_say_that_it_is_missing(site: Site) -> None:
    with site.web():
        answer = site.ask("/log-in", form={"name": "acme/irina", "password": "correct horse battery"})
        assert answer.status == 503
        assert "daemon" in answer.text
        with site.daemon():
            site.password("irina", "correct horse battery")
            assert site.ask("/log-in", form={"name": "acme/irina", "password": "correct horse battery"}).status == 303
