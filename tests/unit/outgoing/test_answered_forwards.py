"""Whoever answers each forward comes to an end soon (P7): forwards as they go out, answered in every way that a loop was seen in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.api.ledger import Filing
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import HOP
from gatewayd.outgoing.forward_mime import forwarded
from gatewayd.outgoing.loops import withheld
from gatewayd.outgoing.parcels import _hops
from gatewayd.outgoing.routing import Router
from gatewayd.testing.contracts.forwarder import make_parcel
from tests.unit.outgoing.test_routing import DUTY, SIGNER, config, nothing, rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Delivery, Mode

MAIL = b"From: anna@example.com\r\nSubject: Rome\r\nMessage-ID: <one@example.com>\r\n\r\nHello.\r\n"


def wire(original: bytes, delivery: Delivery, mode: Mode) -> bytes:
    """Return a forward as it goes out."""
    source = BytesSource(original)
    like = make_parcel()
    parcel = replace(
        like,
        message_id=delivery.message_id,
        source=source,
        mode=mode,
        filing=replace(like.filing, subject=parse(source).subject),
        hops=(f"{HOP}: {delivery.message_id}", *_hops(source)),
    )
    return b"".join(forwarded(parcel, eight_bit=True).pieces())


def head(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[0]


def field(raw: bytes, name: str) -> str:
    return next(
        (line.partition(b":")[2].strip().decode() for line in head(raw).split(b"\r\n") if line.startswith(name.encode())), ""
    )


def own_id(raw: bytes) -> str:
    return field(raw, "Resent-Message-ID") or field(raw, "Message-ID")


def answer(number: int, sender: str, subject: str, body: bytes = b"Thank you.", more: str = "") -> bytes:
    lines = f"From: {sender}\r\nTo: out@example.com\r\nSubject: {subject}\r\nMessage-ID: <{number}@robot.example>\r\n{more}\r\n"
    return lines.encode() + body + b"\r\n"


def another(number: int) -> str:
    """Return an address that no other answer has."""
    return f"{'abcdefghij'[number % 10] * (number + 1)}@robot.example"


#: How each forward is answered, and how many forwards there may be of one mail.
ANSWERS: dict[str, tuple[int, Callable[[bytes, int], bytes]]] = {
    "letter": (1, lambda sent, n: answer(n, "postmaster@x.example", "failure notice", b"No such user.\r\n\r\n" + sent)),
    "letter of a header": (
        1,
        lambda sent, n: answer(n, "postmaster@x.example", "failure notice", b"No such user.\r\n\r\n" + head(sent)),
    ),
    "letter without the mail": (1, lambda _, n: answer(n, "MAILER-DAEMON", "Undelivered mail", b"550 no such user")),
    "null sender": (1, lambda _, n: answer(n, another(n), "Hello", more="Return-Path: <MAILER-DAEMON>\r\n")),
    "reply": (1, lambda sent, n: answer(n, another(n), "Re", more=f"In-Reply-To: {own_id(sent)}\r\n")),
    "quoted header": (1, lambda sent, n: answer(n, another(n), "Ticket", f"> Message-ID: {own_id(sent)}".encode())),
    "within a mail": (
        1,
        lambda sent, n: answer(
            n,
            another(n),
            "Ticket",
            b"--z\r\nContent-Type: message/rfc822\r\n\r\n" + sent + b"\r\n--z--",
            "Content-Type: multipart/mixed; boundary=z\r\n",
        ),
    ),
    "redirected": (1, lambda sent, _: b"Received: from x by y\r\n" + sent),
    # Of an inline forward that has lost its Message-ID only hops are left, and they alone are counted.
    "redirected under another name": (
        3,
        lambda sent, n: b"Received: from x by y\r\n" + sent.replace(b"Message-ID: <", b"Message-ID: <%d." % n, 1),
    ),
    "subject": (7, lambda sent, n: answer(n, another(n), f"Re: {field(sent, 'Subject')}")),
    "hops": (7, lambda sent, n: answer(n, another(n), "Hello", more=f"{HOP}: {own_id(sent)}\r\n{_carried(sent)}")),
    "robot": (34, lambda _, n: answer(n, "desk@robot.example", f"Ticket {n}")),
    "robot of many addresses": (34, lambda _, n: answer(n, f"desk+{n}@robot.example", f"Ticket {n}")),
    "target": (6, lambda _, n: answer(n, f"Duty <{DUTY.to[0]}>", f"Ticket {n}")),
}


def _carried(sent: bytes) -> str:
    lines = [line.decode() for line in head(sent).split(b"\r\n") if line.startswith(HOP.encode())]
    return "".join(f"{line}\r\n" for line in lines[1:])


@pytest.mark.parametrize("mode", ["attached", "inline"])
@pytest.mark.parametrize("name", ANSWERS)
def test_P7_a_target_that_answers_each_forward_ends_soon(name: str, mode: Any) -> None:
    most, answered = ANSWERS[name]
    if (name, mode) == ("subject", "inline"):
        # What goes on as it is keeps its subject, and who answers it writes to whom it is from.
        return
    router, raw, count = Router(config(rule(1, "duty", automatic=True)), SIGNER, nothing), MAIL, 0
    while count <= 200:
        mail = parse(BytesSource(raw), mail_id=count + 1)
        back = router.returned([mail])
        ((_, filing),) = router.routed("main", [(mail, Filing(operator="acme", user=None))], fire={mail.id}, back=back)
        (delivery,) = filing.deliveries
        if delivery.withheld:
            break
        count += 1
        raw = answered(wire(raw, delivery, mode), count)
    assert count <= most, delivery.withheld


@pytest.mark.parametrize("mode", ["attached", "inline"])
def test_P7_a_hop_copied_from_a_forward_holds_back_none_of_a_strangers_later_mail(mode: Any) -> None:
    router = Router(config(rule(1, "duty")), SIGNER, nothing)
    ((_, filing),) = router.routed("main", [(parse(BytesSource(MAIL), mail_id=1), Filing(operator="acme", user=None))], fire={1})
    sent = wire(MAIL, filing.deliveries[0], mode)
    hop = next(line.decode() for line in head(sent).split(b"\r\n") if line.startswith(HOP.encode()))
    later = parse(BytesSource(answer(2, "stranger@example.net", "Offer", more=f"{hop}\r\n")))
    assert withheld(later, SIGNER) == ""
    assert withheld(parse(BytesSource(sent)), SIGNER), "the forward itself is"
