"""Parcels, and a courier to a real SMTP server, for the tests of the forwarder ``smtp``."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import Address, FilingView, Parcel, Secret
from gatewayd.message.mail import BytesSource
from gatewayd_smtp.forwarder import Smtp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd import Mode, Source
    from gatewayd.testing.servers.smtp import SmtpServer
    from gatewayd_smtp.forwarder import SmtpCourier
    from tests.plugins.smtp_raw import Raw

PASSWORD = "correct hörse"
MAIL = b"From: Eva <eva@sunny.example>\r\nSubject: Booking 756\r\n\r\n.one\r\n..two\r\nthree\r\n"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DUTY = "duty@example.com"


def filing(**fields: object) -> FilingView:
    given: dict[str, object] = {
        "id": 7,
        "operator": "acme",
        "user": None,
        "account": "reservations",
        "folder": "INBOX",
        "key": "1:7",
        "message_id": "<7@sunny.example>",
        "sender": "eva@sunny.example",
        "sender_name": "Eva",
        "to": ("reservations@tours.example",),
        "subject": "Booking 756",
        "sent_at": NOON,
        "received_at": NOON,
        "size": 100,
        "digest": b"",
        "direction": "in",
        "unread": True,
        "attachments": (),
        "links": (),
        "rivals": (),
        "faults": (),
        "queue": None,
    }
    return FilingView(**{**given, **fields})  # type: ignore[arg-type]


def parcel(
    raw: bytes | Source = MAIL,
    *to: str,
    mode: Mode = "attached",
    number: int = 1,
    cause: str = "rule 2",
    sender: str = "out@tours.example",
    about: FilingView | None = None,
    addressed: tuple[str, ...] = (),
    hops: tuple[str, ...] | None = None,
) -> Parcel:
    message_id = f"<gw.f.{number}.token@tours.example>"
    return Parcel(
        id=number,
        message_id=message_id,
        filing=about or filing(),
        source=BytesSource(raw) if isinstance(raw, bytes) else raw,
        mode=mode,
        sender=Address(name="Acme Tours", email=sender),
        to=to or (DUTY,),
        addressed=addressed or to or (DUTY,),
        entered_at=NOON,
        cause=cause,
        hops=(f"Gatewayd-Hop: {message_id}",) if hops is None else hops,
    )


def forwarder(server: SmtpServer | Raw, **fields: object) -> Smtp:
    given: dict[str, object] = {
        "host": server.host,
        "port": server.port,
        "security": server.security,
        "insecure": server.security == "none",
        "ca_file": None if server.security == "none" else str(server.ca_file),
        "timeout": "120s",
    }
    return Smtp(Smtp.Options.model_validate({**given, **fields}), name="acme-out")


def secret(folder: Path, password: str = PASSWORD) -> Secret:
    file = folder / "password"
    file.write_text(password)
    return Secret("file", str(file))


@contextmanager
def courier(server: SmtpServer | Raw, **fields: object) -> Iterator[SmtpCourier]:
    with closing(forwarder(server, **fields).open()) as opened:
        yield opened
