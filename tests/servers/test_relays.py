"""Foreign servers that mail is sent through: what is forwarded arrives byte for byte, once, or a person is told why not."""

from __future__ import annotations

import email.policy
import time
from email import message_from_bytes
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import until
from tests.e2e.sending import Sending, message_id
from tests.servers.relays import LARGEST

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from tests.servers.relays import Relay

pytestmark = pytest.mark.campaign

_SECONDS = 60.0


def sending(relay: Relay, dovecot: Dovecot, folder: Path, *, to: str = "duty@target.example", mode: str = "attached") -> Sending:
    """A house whose mail all goes on through the server."""
    target = f"{{kind: smtp, account: out, to: [{to}], mode: {mode}}}"
    house = Sending(folder, dovecot, relay.port, target=target)
    house.begin()
    return house


def forwarded(house: Sending, raw: bytes) -> None:
    """Import a mail, and try to deliver what goes out."""
    house.come(raw)
    house.house.good("import", "inbox")
    house.house.run("outbox", "deliver")


@pytest.mark.scenario("attached")
def test_a_mail_that_is_forwarded_attached_arrives_byte_for_byte(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    house = sending(relay, dovecot, tmp_path)
    raws = list(booking_messages(12, seed=71))
    house.come(*raws)
    house.house.good("import", "inbox")
    house.house.run("outbox", "deliver")
    assert house.states() == {"delivered": 12}, [one["cause"] for one in house.deliveries()]
    for raw in raws:
        marker = message_id(raw).encode()
        (arrived,) = until(f"{marker!r} arrived", _SECONDS, partial(relay.arrived, marker))
        assert original(arrived, raw)


@pytest.mark.scenario("inline")
def test_a_mail_that_is_forwarded_inline_arrives_byte_for_byte(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    house = sending(relay, dovecot, tmp_path, mode="inline")
    (raw,) = booking_messages(1, seed=72)
    forwarded(house, raw)
    assert house.states() == {"delivered": 1}, [one["cause"] for one in house.deliveries()]
    (arrived,) = until("it arrived", _SECONDS, lambda: relay.arrived(message_id(raw).encode()))
    assert raw.partition(b"Message-ID")[2] in arrived


@pytest.mark.scenario("refused")
def test_a_recipient_that_is_refused_is_told_with_the_words_of_the_server(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    house = sending(relay, dovecot, tmp_path, to="nobody@target.example")
    (raw,) = booking_messages(1, seed=73)
    forwarded(house, raw)
    (delivery,) = house.deliveries()
    assert delivery["state"] == "parked"
    assert "550" in delivery["words"]


@pytest.mark.scenario("put off")
def test_a_recipient_that_is_put_off_waits(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    if not relay.puts_off:
        pytest.skip(f"{relay.name} can't be told to put off a recipient")
    house = sending(relay, dovecot, tmp_path, to="busy@target.example")
    (raw,) = booking_messages(1, seed=74)
    forwarded(house, raw)
    (delivery,) = house.deliveries()
    assert delivery["state"] == "waiting"
    assert "450" in delivery["words"] or "451" in delivery["words"]


@pytest.mark.scenario("too large")
def test_a_mail_that_is_too_large_for_the_server_is_told(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    house = sending(relay, dovecot, tmp_path)
    (raw,) = booking_messages(1, seed=75)
    forwarded(house, raw + b"0123456789abcdef\r\n" * (LARGEST // 10))
    (delivery,) = house.deliveries()
    assert delivery["state"] == "parked"
    assert relay.arrived(message_id(raw).encode()) == []


@pytest.mark.scenario("restart")
def test_mail_outlives_a_restart_of_the_server_and_arrives_once(relay: Relay, dovecot: Dovecot, tmp_path: Path) -> None:
    house = sending(relay, dovecot, tmp_path)
    raws = list(booking_messages(4, seed=76))
    with house.house.daemon():
        house.come(raws[0])
        house.settled(1, _SECONDS)
        relay.stop()
        house.come(*raws[1:])
        until("they wait", _SECONDS, lambda: house.states()["waiting"] == 3)
        time.sleep(2)
        relay.start()
        house.settled(4, _SECONDS)
    assert house.states() == {"delivered": 4}
    for raw in raws:
        marker = message_id(raw).encode()
        assert len(until("it arrived", _SECONDS, partial(relay.arrived, marker))) == 1


def original(arrived: bytes, raw: bytes) -> bool:
    """Whether the mail carries the other one, byte for byte."""
    if raw in arrived:
        return True
    parts = message_from_bytes(arrived, policy=email.policy.SMTP).walk()
    return any(part.get_payload(decode=True) == raw for part in parts if not part.is_multipart())
