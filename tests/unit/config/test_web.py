"""What ``web`` in gatewayd.yaml says of the pages, and which roles users have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.config import WebConfig
from gatewayd.config.models.web import LogInConfig, WebSessionsConfig
from gatewayd.errors import ConfigError
from tests.unit.config.sound_folder import MAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatewayd import config


def test_without_the_block_the_defaults_count(load: Callable[..., config.Config], tmp_path: Path) -> None:
    loaded = load()
    assert loaded.web == WebConfig()
    assert (loaded.web.listen, loaded.web.url, loaded.web.user) == ("127.0.0.1:8025", None, None)
    assert (loaded.web.sessions.idle, loaded.web.sessions.longest) == (8 * 3600, 7 * 86400)
    assert loaded.web_socket == tmp_path / "state" / "web.sock"


def test_each_field_is_read(load: Callable[..., config.Config], tmp_path: Path) -> None:
    block = """\
web:
  listen: "[::1]:80"
  url: https://Mail.example.com:443/
  sessions: {idle: 30m, longest: 1d}
  frame_ancestors: ["https://crm.example.com", "http://[::1]:8080"]
  proxies: [192.0.2.1, "2001:db8::/64"]
  socket: run/web.sock
  user: gatewayd-web
  log_in: {password: false}
"""
    loaded = load({"gatewayd.yaml": MAIN + block})
    assert loaded.web == WebConfig.model_construct(
        listen="[::1]:80",
        url="https://mail.example.com",
        sessions=WebSessionsConfig(idle=1800.0, longest=86400.0),
        frame_ancestors=("https://crm.example.com", "http://[::1]:8080"),
        proxies=("192.0.2.1/32", "2001:db8::/64"),
        socket=tmp_path / "run" / "web.sock",
        user="gatewayd-web",
        log_in=LogInConfig(password=False),
    )
    assert loaded.web_socket == tmp_path / "run" / "web.sock"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen: 8025", "expected an address with a port"),
        ("listen: localhost:0", "expected an address with a port"),
        ("listen: localhost:99999", "expected an address with a port"),
        ("url: mail.example.com", "expected a URL"),
        ("url: https://mail.example.com/mail", "expected an address without a path"),
        ("sessions: {idle: 8d}", "longest: expected at least idle"),
        ("sessions: {idle: 1s}", "idle"),
        ("frame_ancestors: ['*']", "expected a URL"),
        ("proxies: [proxy.example.com]", "expected an IP address or a network"),
        ("proxies: [10.0.0.1/24]", "expected an IP address or a network"),
        ("user: 'a b'", "expected the name of a user"),
        ("colour: red", "unknown key"),
    ],
)
def test_a_fault_is_told(load: Callable[..., config.Config], text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"gatewayd.yaml": f"{MAIN}web: {{{text}}}\n"})
    assert expected in "\n".join(map(str, caught.value.faults))


def test_users_have_roles(load: Callable[..., config.Config]) -> None:
    users = "users: {irina: {name: I, email: i@x.y}, tom: {name: T, email: t@x.y, role: reader}, ann: {name: A, email: a@x.y, role: %s}}\n"
    loaded = load({"operators/nord.yaml": users % "manager"})
    assert [one.role for one in loaded.operators["nord"].users.values()] == ["agent", "reader", "manager"]
    (fault,) = load({"operators/nord.yaml": users % "boss"}).faults
    assert "'reader', 'agent' or 'manager'" in str(fault)
