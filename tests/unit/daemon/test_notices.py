"""The administrators are told: who gets a notice, and that the store or a server may be away."""

from __future__ import annotations

import email.policy
import threading
from concurrent.futures import wait
from dataclasses import replace
from email.parser import BytesParser
from typing import TYPE_CHECKING

import pytest

from gatewayd import Courier, Forwarder
from gatewayd.config import load
from gatewayd.daemon.alarms import Alarms
from gatewayd.daemon.notices import Notices
from gatewayd.registry.loading import Registry
from gatewayd.testing.servers.smtp import SmtpServer
from tests.plugins.webhook_site import SECRET, receiver, verified
from tests.unit.alarms import alarm
from tests.unit.log import logged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ADMINISTRATORS = "{ada: {email: ada@example.com}, bob: {email: bob@example.com}}"


# --- who gets it ------------------------------------------------------------------------------------------------------


class Told:
    """A config with a way to the administrators, alarms on a clock of their own, and what the log says."""

    def __init__(self, folder: Path, notify: str, more: str = "") -> None:
        self.folder = folder / "config"
        self.now = 0.0
        self.alarms = Alarms(clock=lambda: self.now)
        self.notices = Notices(self.alarms)
        self.write(notify, more)

    def write(self, notify: str, more: str = "", administrators: str = ADMINISTRATORS) -> None:
        for name in ("operators", "accounts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        main = f"state: ../state\nadministrators: {administrators}\n{notify}\n"
        (self.folder / "gatewayd.yaml").write_text(main)
        (self.folder / "operators/acme.yaml").write_text("title: Acme\n")
        if more:
            (self.folder / "accounts/out.yaml").write_text(more)
        config = load(self.folder)
        assert config.faults == ()
        self.notices.apply(config)

    def pass_(self, seconds: float) -> None:
        """Let time pass, and whoever is told hear of it."""
        self.now += seconds
        self.notices.look()
        if self.notices._under_way:
            self.notices._under_way.result(20)
        self.notices.look()


def out(port: int) -> str:
    return (
        f"kind: smtp\noperators: [acme]\nhost: localhost\nport: {port}\nsecurity: none\ninsecure: true\ntimeout: 5s\n"
        "send: {from: {name: Acme, address: system@acme.example}}\n"
    )


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


def test_the_administrators_get_a_mail_from_nobody_that_no_robot_answers(tmp_path: Path, smtp: SmtpServer) -> None:
    told = Told(tmp_path, "notify: {through: out}", out(smtp.port))
    told.alarms.raised(alarm())
    told.pass_(30)
    assert smtp.messages == []
    told.alarms.raised(alarm("orders"))
    told.pass_(31)
    (message,) = smtp.messages
    assert (message.sender, message.recipients) == ("<>", ("ada@example.com", "bob@example.com"))
    mail = BytesParser(policy=email.policy.default).parsebytes(message.data)
    assert mail["Auto-Submitted"] == "auto-generated"
    told.pass_(4000)
    assert len(smtp.messages) == 1
    told.alarms.over("account", "sales")
    told.pass_(61)
    told.pass_(61)
    assert len(smtp.messages) == 2
    assert "account sales well again" in str(BytesParser(policy=email.policy.default).parsebytes(smtp.messages[1].data)["Subject"])


def test_one_who_is_refused_keeps_it_from_nobody_else(tmp_path: Path, smtp: SmtpServer) -> None:
    told = Told(tmp_path, "notify: {through: out}", out(smtp.port))
    smtp.answer = lambda step, argument: "550 5.1.1 no such user" if step == "RCPT" and "ada" in argument else None
    told.alarms.raised(alarm())
    told.pass_(0)
    told.pass_(61)
    assert smtp.messages[0].recipients == ("bob@example.com",)
    told.pass_(5000)
    assert len(smtp.messages) == 1


def test_a_corrected_address_of_an_administrator_is_tried_at_once(tmp_path: Path, smtp: SmtpServer) -> None:
    told = Told(tmp_path, "notify: {through: out}", out(smtp.port))
    smtp.answer = lambda step, argument: "550 5.1.1 no such user" if step == "RCPT" and "carla" not in argument else None
    told.alarms.raised(alarm())
    told.pass_(61)
    told.pass_(10)
    assert smtp.messages == []
    told.write("notify: {through: out}", administrators="{carla: {email: carla@example.com}}")
    told.pass_(1)
    assert [message.recipients for message in smtp.messages] == [("carla@example.com",)]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "connect"])
@pytest.mark.parametrize("code", ["451 4.3.0 later", "550 5.7.1 never"])
def test_a_notice_that_can_not_be_brought_waits_and_is_no_alarm_itself(
    tmp_path: Path, smtp: SmtpServer, step: str, code: str
) -> None:
    port = smtp.port
    told = Told(tmp_path, "notify: {through: out}", out(port if step != "connect" else 1))
    smtp.answer = lambda at, _: code if at == step else None
    with logged() as log:
        told.alarms.raised(alarm())
        told.pass_(61)
        assert smtp.messages == []
        assert [one.alarm.name for one in told.alarms.standing()] == ["sales"]
        assert "administrators not told" in log.getvalue()
        told.pass_(61)
        assert log.getvalue().count("administrators not told") == 1, "it is tried again, but not at once"
        smtp.answer = lambda _, __: None
        # A changed config is tried at once.
        told.write("notify: {through: out}", out(port).replace("timeout: 5s", "timeout: 6s"))
        told.pass_(0)
    assert len(smtp.messages) == 1


def test_a_webhook_is_told_over_https_and_signed(tmp_path: Path) -> None:
    with receiver(tmp_path) as site:
        (tmp_path / "key").write_text(SECRET)
        fields = f"url: '{site.url()}', secret: !file ../key, ca_file: {site.ca_file}, allow_private: [localhost]"
        told = Told(tmp_path, f"notify: {{kind: webhook, {fields}}}")
        told.alarms.raised(alarm())
        told.pass_(0)
        told.pass_(61)
        (request,) = site.requests
        assert verified(request.headers, request.body, SECRET)
        assert request.event["type"] == "alarm"
        assert [one["name"] for one in request.event["data"]["begun"]] == ["sales"]
        site.answers["/mail"] = (500, {}, b"")
        told.alarms.over("account", "sales")
        told.pass_(61)
        told.pass_(61)
        assert len(site.requests) == 2
        assert told.alarms.due()


def test_a_secret_that_changes_while_a_notice_is_under_way_is_tried_at_once_behind_it(tmp_path: Path, smtp: SmtpServer) -> None:
    told = Told(tmp_path, "notify: {through: out}", out(smtp.port))
    under_way, mended = threading.Event(), threading.Event()

    def answer(step: str, _: str) -> str | None:
        if step != "MAIL" or mended.is_set():
            return None
        under_way.set()
        mended.wait(5)
        return "451 4.3.0 later"

    smtp.answer = answer
    told.alarms.raised(alarm())
    told.now += 61
    told.notices.look()
    assert under_way.wait(20)
    told.notices.retry()
    mended.set()
    assert told.notices._under_way
    told.notices._under_way.result(20)
    told.pass_(0)
    assert len(smtp.messages) == 1


class Exits(Forwarder):
    """A forwarder that ends the process, as it thinks."""

    kind = "exits"

    def open(self) -> Courier:
        raise SystemExit(1)


def test_P4_a_forwarder_that_exits_is_told_and_not_tried_each_second(tmp_path: Path) -> None:
    told = Told(tmp_path, "notify: {through: out}", out(1))
    config = load(told.folder)
    assert config.notify
    notify = config.notify.model_copy(update={"kind": "exits"})
    registry = Registry(plugins=(), _classes={("forwarders", "exits"): Exits})
    told.notices.apply(replace(config, registry=registry, notify=notify, notify_options=Forwarder.Options()))
    told.alarms.raised(alarm())
    with logged() as log:
        told.alarms.raised(alarm())
        told.now += 61
        for _ in range(3):
            told.notices.look()
            if told.notices._under_way:
                wait([told.notices._under_way])
    assert log.getvalue().count("administrators not told") == 1
